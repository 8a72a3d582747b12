"""The console at the origin, on a real Redis: its login, its sessions, its stream, its figures."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie

import jwt
import pytest

from holdfast.overview import encode
from holdfast.prediction import predict
from origin import metrics
from origin.sessions import COOKIE, CSRF_HEADER, SESSION_S, TICKET_S
from tests.figures import NOW_MS, overview
from tests.integration.test_operators_api import TOKENS, Site

GRIP_KEY = "the key that Pushpin signs with, 32 bytes"
RATE = "/api/values/counter/rate"


@pytest.fixture
def site(client, monkeypatch):
    return Site(client, monkeypatch)


def log_in(site, token=TOKENS["alice"], **headers):
    return site.http.post("/console/login", data={"token": token}, headers=headers)


def csrf_token(site):
    page = site.http.get("/console/")
    return re.search(r'name="csrf-token" content="([0-9a-f]{64})"', page.text)[1]


def refusals(reason):
    return metrics.REFUSED.labels(reason)._value.get()


def signed():
    return {"Grip-Sig": jwt.encode({"iss": "pushpin", "exp": 4e9}, GRIP_KEY, algorithm="HS256")}


# -- login


def test_who_has_not_logged_in_is_sent_to_the_login(site):
    answer = site.http.get("/console/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/login")
    assert answer.headers["Cache-Control"] == answer.headers["Surrogate-Control"] == "no-store"
    assert site.http.get("/console").headers["Location"] == "/console/"
    assert site.http.get("/console/stream").status_code == 401


def test_the_right_token_opens_the_console_by_a_cookie_that_scripts_and_other_sites_never_get(site):
    answer = log_in(site, **{"X-Forwarded-Proto": "https"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/")
    (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert (cookie.key, cookie["path"], cookie["samesite"]) == (COOKIE, "/", "Strict")
    assert (cookie["httponly"], cookie["secure"], cookie["max-age"]) == (True, True, "43200")
    assert TOKENS["alice"] not in answer.headers["Set-Cookie"]
    assert not SimpleCookie(log_in(site).headers["Set-Cookie"])[COOKIE]["secure"]
    page = site.http.get("/console/")
    assert (page.status_code, "alice" in page.text) == (200, True)
    assert page.headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert site.http.get("/console/login").headers["Location"] == "/console/"


def test_a_wrong_token_is_refused_counted_and_neither_shown_nor_logged(site, caplog):
    before = refusals("wrong token")
    answer = log_in(site, "wrong-wrong-wrong-wrong")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)
    assert "No operator has this token" in answer.text
    assert refusals("wrong token") == before + 1
    assert "wrong token" in caplog.text
    assert "wrong-wrong" not in caplog.text + answer.text


def test_after_ten_wrong_tokens_nobody_from_there_logs_in(site):
    for _ in range(10):
        log_in(site, "wrong-wrong-wrong-wrong")
    answer = log_in(site)
    assert (answer.status_code, 1 <= int(answer.headers["Retry-After"]) <= 60) == (429, True)
    # The API counts the same guesses.
    assert site.ask("GET", "values").status_code == 429


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, 303),
        ({"Origin": "http://localhost:8080"}, 303),
        ({}, 303),
    ],
)
def test_a_form_that_another_site_sends_logs_nobody_in(site, headers, status):
    before = refusals("wrong origin")
    assert log_in(site, **headers).status_code == status
    assert refusals("wrong origin") == before + (status == 403)


def test_where_no_operator_has_a_token_there_is_no_console(site):
    http = site.client(None)
    for path in ("/console/", "/console/login", "/console/stream"):
        assert http.get(path).status_code == 404


# -- sessions


def test_the_cookie_opens_the_api_and_changes_need_the_consoles_own_header(site):
    log_in(site)
    before = refusals("wrong origin")
    assert site.http.get(RATE).status_code == 200
    change = {"json": {"rate": 2}, "headers": {"If-Match": "*"}}
    for headers in ({}, {CSRF_HEADER: "0" * 64}, {CSRF_HEADER: "\u00e9"}):
        answer = site.http.put(RATE, json={"rate": 2}, headers={"If-Match": "*", **headers})
        assert answer.status_code == 403
    assert refusals("wrong origin") == before + 3
    assert site.log.offset == 0
    change["headers"][CSRF_HEADER] = csrf_token(site)
    cross = {**change["headers"], "Sec-Fetch-Site": "cross-site"}
    assert site.http.put(RATE, json={"rate": 2}, headers=cross).status_code == 403
    assert site.http.put(RATE, **change).json["who"] == "alice"


def test_another_operators_session_has_another_header(site):
    log_in(site, TOKENS["bob"])
    bobs = csrf_token(site)
    log_in(site)
    headers = {"If-Match": "*", CSRF_HEADER: bobs}
    assert site.http.put(RATE, json={"rate": 2}, headers=headers).status_code == 403


def test_a_forged_cookie_counts_as_a_guess(site):
    cookie = SimpleCookie(log_in(site).headers["Set-Cookie"])[COOKIE].value
    payload, signature = cookie.rsplit(".", 1)
    site.http.set_cookie(COOKIE, f"{payload}.{signature[::-1]}")
    before = refusals("wrong session")
    for _ in range(10):
        assert site.http.get("/api/values").status_code == 401
    assert refusals("wrong session") == before + 10
    assert site.http.get("/api/values").status_code == 429


def test_a_session_ends_by_itself(site):
    log_in(site)
    site.now += SESSION_S - 1
    assert site.http.get("/api/values").status_code == 200
    site.now += 2
    assert site.http.get("/api/values").status_code == 401
    assert site.http.get("/console/").headers["Location"] == "/console/login"


def test_after_logging_out_the_cookie_opens_nothing_even_if_somebody_kept_it(site):
    cookie = SimpleCookie(log_in(site).headers["Set-Cookie"])[COOKIE].value
    assert site.http.post("/console/logout").status_code == 403
    answer = site.http.post("/console/logout", headers={CSRF_HEADER: csrf_token(site)})
    assert (answer.status_code, f"{COOKIE}=;" in answer.headers["Set-Cookie"]) == (204, True)
    site.http.set_cookie(COOKIE, cookie)
    assert site.http.get("/api/values").status_code == 401
    log_in(site)
    assert site.http.get("/api/values").status_code == 200


def test_who_changes_a_token_ends_every_session(site, client, monkeypatch):
    cookie = SimpleCookie(log_in(site).headers["Set-Cookie"])[COOKIE].value
    monkeypatch.setitem(TOKENS, "bob", "bob-s-new-token-of-16")
    other = Site(client, monkeypatch)
    other.http.set_cookie(COOKIE, cookie)
    assert other.http.get("/console/").status_code == 303


# -- the stream


def test_the_stream_begins_with_the_newest_figures_and_is_held_without_a_chain(site):
    log_in(site)
    site.desk.figures.publish(encode(overview()), overview().point())
    answer = site.http.get("/console/stream", headers=signed())
    assert answer.text == f"data: {encode(overview()).decode()}\n\n"
    assert (answer.mimetype, answer.headers["Grip-Hold"]) == ("text/event-stream", "stream")
    assert answer.headers["Grip-Channel"] == "console"
    assert answer.headers["Cache-Control"] == "no-store"
    # Now that somebody watches, the next one is published, too.
    assert site.desk.figures.publish(encode(overview()), overview().point())


def test_a_stream_that_nobody_can_hold_ends_and_one_without_figures_begins_with_a_comment(site):
    log_in(site)
    answer = site.http.get("/console/stream")
    assert (answer.text, "Grip-Hold" in answer.headers) == (":\n\n", False)


def ends(site, renewal):
    """Pushpin repeats what is refused, and ends what nobody holds."""
    answer = site.http.get(renewal, headers=signed())
    assert (answer.status_code, answer.text) == (200, ":\n\n")
    return "Grip-Hold" not in answer.headers


def test_the_ticket_renews_the_stream_while_the_session_goes_on(site):
    log_in(site)
    link = site.http.get("/console/stream", headers=signed()).headers["Grip-Link"]
    renewal = re.fullmatch(r"<(/console/stream\?ticket=[\w.-]+)>; rel=next", link)[1]
    site.http.delete_cookie(COOKIE)
    assert site.http.get(renewal).status_code == 401, "only Pushpin may show it"
    answer = site.http.get(renewal, headers=signed())
    assert answer.headers["Grip-Hold"] == "stream"
    site.now += TICKET_S + 1
    assert ends(site, renewal)
    site.now -= TICKET_S + 1
    log_in(site)
    link = site.http.get("/console/stream", headers=signed()).headers["Grip-Link"]
    token = csrf_token(site)
    site.http.post("/console/logout", headers={CSRF_HEADER: token})
    again = link.removeprefix("<").partition(">")[0]
    assert ends(site, again)
    assert ends(site, f"{again}x")


# -- the figures


def test_the_overview_is_what_a_publisher_made(site):
    assert site.ask("GET", "overview").status_code == 503
    site.desk.figures.publish(encode(overview()), overview().point())
    answer = site.ask("GET", "overview")
    assert answer.data == encode(overview())
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_past_is_bounded_and_its_oldest_point_comes_first(site, monkeypatch):
    monkeypatch.setattr("holdfast.figures.PAST_POINTS", 3)
    for second in range(5):
        made = overview(at_ms=NOW_MS + 1000 * second)
        site.desk.figures.publish(encode(made), made.point())
    past = site.ask("GET", "overview/past").json
    assert past["series"][:3] == ["at", "updates_per_s", "releases_per_s"]
    assert [point[0] for point in past["points"]] == [
        NOW_MS / 1000 + second for second in (2, 3, 4)
    ]
    assert past["points"][0][1:3] == [20.0, 1.0]
    assert site.redis.llen("figures:past") == 3


def test_a_prediction_is_the_models_for_what_is_measured(site):
    site.desk.figures.publish(encode(overview()), overview().point())
    answer = site.ask("GET", "values/counter/prediction?rate=5").json
    assert answer["given"] == {"updates_per_s": 20.0, "requests_per_s": 100.0}
    expected = predict(5, 20, [100])
    assert answer["predicted"]["releases"] == expected.releases == 5
    assert answer["predicted"]["hit_ratio"] == pytest.approx(expected.hit_ratio)
    assert site.ask("GET", "values/counter/prediction").json["rate"] == 1
    for wrong in ("0", "-1", "nan", "fast", "1e9"):
        assert site.ask("GET", f"values/counter/prediction?rate={wrong}").status_code == 422
    assert site.ask("GET", "values/nobody/prediction").status_code == 404
