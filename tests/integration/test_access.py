"""Who may read what is private and who may post, at the origin on a real Redis."""

from __future__ import annotations

import time

import pytest
from gripcontrol import WebSocketEvent, decode_websocket_events, encode_websocket_events

from holdfast.access_tokens import Grant, SharedKey, Verifier
from holdfast.kafka import Cluster
from holdfast.relay_state import RelayState
from holdfast.state import Partition, State
from holdfast.topics import TopicRules, Topics
from holdfast.values import parse
from origin import create_app, metrics
from origin.access import COOKIE, GUESSES, Access
from origin.grip import Signatures
from origin.parts import Parts
from origin.replay import Replay
from origin.tickets import Tickets
from tests.integration.folds import sets
from tests.integration.test_origin import KEY as GRIP_KEY
from tests.integration.test_origin import NotingProducer, signed
from tests.tokens import KEY, bearer, token

VALUES = parse("""
[values.counter]
reduce = "sum"
default = true
[values.secret]
reduce = "latest"
private = true
[values."hidden.*"]
reduce = "latest"
private = true
""")
TOPICS = Topics([TopicRules("orders", private=True), TopicRules("news")])
APP = "https://app.example"


class Known(Replay):
    def topics(self):
        return {"orders": 1, "news": 1}


class Site:
    def __init__(self, client, **options):
        self.state = State(client)
        self.producer = NotingProducer()
        self.access = Access(
            Verifier(SharedKey(KEY), "holdfast"), Tickets(GRIP_KEY), proxies=0, **options
        )
        parts = Parts(
            VALUES,
            self.state,
            self.producer,
            Signatures(GRIP_KEY),
            TOPICS,
            RelayState(client),
            Known(Cluster("")),
            access=self.access,
        )
        self.app = create_app(parts)
        self.http = self.app.test_client(use_cookies=False)
        partition = Partition("updates", 0)
        self.state.heartbeat(partition, 0, 0, 1, True, "")
        self.state.apply(partition, 0, 0, [sets("secret", 0, "hush")])
        self.state.release(partition, [VALUES.rules("secret")])

    def get(self, path="/values/secret", text=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.get(path, headers={**(bearer(text) if text else {}), **headers})

    def hold(self, path, text=None, **headers):
        return self.get(path, text, Grip_Sig=signed(), **headers)

    def post(self, name="secret", text=None, **headers):
        return self.http.post(
            f"/values/{name}",
            json={"set": 1} if name != "counter" else {"add": 1},
            headers={**(bearer(text) if text else {}), **headers},
        )

    def hear(self, path, *events, text=None, **headers):
        answer = self.http.post(
            path,
            data=encode_websocket_events(list(events)),
            content_type="application/websocket-events",
            headers={"Grip-Sig": signed(), **(bearer(text) if text else {}), **headers},
        )
        return answer, decode_websocket_events(answer.data) if answer.status_code == 200 else []


@pytest.fixture
def site(client):
    return Site(client)


def counted(reason):
    return metrics.ACCESS_REFUSED.labels(reason)._value.get()


READS = [
    "/values/secret",
    "/values/secret?as=sse",
    "/values/secret?as=ndjson",
    "/values/secret?as=socket",
    "/values/secret?after=1&wait=10",
    "/values/secret/history",
    "/values/hidden.nobody-knows",
    "/events/orders/",
    "/events/orders",
    "/events/orders/at/1-0",
]


@pytest.mark.parametrize("path", READS)
def test_without_a_token_all_are_told_the_same_whatever_there_is(site, path):
    answer = site.hold(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer.headers["Holdfast-Private"] == "yes"
    assert answer.headers["Surrogate-Control"] == "max-age=60"
    assert "Grip-Hold" not in answer.headers
    assert b"hush" not in answer.data


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("reason", "text", "status"),
    [
        ("expired", token(lives_s=-60, read=["*"], events=["*"]), 401),
        ("audience", token(aud="another", read=["*"], events=["*"]), 401),
        ("invalid", token(key="k" * 40, read=["*"], events=["*"]), 401),
        ("scope", token(read=["other"], events=["other"], write=["*"]), 403),
    ],
)
def test_a_wrong_token_is_refused_counted_and_logged_without_it(
    site, caplog, path, reason, text, status
):
    before = counted(reason)
    answer = site.hold(path, text)
    assert answer.status_code == status
    assert "Bearer " in answer.headers["WWW-Authenticate"]
    assert answer.headers["Surrogate-Control"] == "no-store"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "Holdfast-Private" not in answer.headers
    assert b"hush" not in answer.data
    assert counted(reason) == before + 1
    assert reason in caplog.text
    assert text not in caplog.text
    assert text.split(".")[2] not in caplog.text


def test_who_may_read_it_gets_it_and_nobody_else_from_a_cache(site):
    answer = site.get(text=token(read=["sec*"]))
    assert answer.get_json()["value"] == "hush"
    assert answer.headers["Surrogate-Control"] == "no-store"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert {"Authorization", "Cookie"} <= set(answer.vary)
    by_cookie = site.get(Cookie=f"{COOKIE}={token(read=['secret'])}")
    assert by_cookie.get_json()["value"] == "hush"


def test_every_route_that_takes_a_name_asks_who_that_is(site):
    """Of routes that come later, too."""
    tried = set()
    for rule in site.app.url_map.iter_rules():
        if not rule.arguments & {"name", "topic"} or rule.rule.startswith(("/api/", "/console/")):
            continue
        names = {"name": "secret", "topic": "orders", "position": "1-0", "key": "a"}
        if "ticket" in rule.arguments:
            names["ticket"] = "none"
        path = rule.build({key: names[key] for key in rule.arguments})[1]
        for method in rule.methods - {"OPTIONS"}:
            answer = site.http.open(path, method=method, headers={"Grip-Sig": signed()})
            assert answer.status_code in (401, 403), (method, path)
            tried.add((method, rule.rule))
    assert ("GET", "/values/<name>/history") in tried
    assert ("POST", "/values/<name>") in tried
    assert ("GET", "/events/<topic>/at/<position>/<key>") in tried


def test_a_private_stream_has_a_channel_of_its_own_and_ends_with_the_token(site):
    text = token(read=["secret"], lives_s=100)
    for form in ("sse", "ndjson"):
        answer = site.hold(f"/values/secret?as={form}", text)
        channel, expiry = answer.headers["Grip-Channel"].split(", ")
        assert channel.startswith("private:secret")
        assert expiry == "expiry"
        link, _, timeout = answer.headers["Grip-Link"].partition("; rel=next; timeout=")
        assert 90 <= int(timeout) <= 102
        assert text not in link

        path = link.strip("<>")
        assert path.startswith("/values/secret/held/")
        again = site.hold(path + "&after=1")
        assert b"hush" in again.data
        assert again.headers["Grip-Link"].startswith(link)
        assert again.headers["Surrogate-Control"] == "no-store"
        # Only Pushpin recovers, and only this.
        assert site.get(path).status_code == 403
        assert site.hold(path.replace("/secret/", "/hidden.other/")).status_code == 403
        assert site.hold(path.replace("/secret/", "/counter/")).status_code == 403
        assert site.hold(path.replace("/secret/", "/nothing/")).status_code == 403
    other = site.hold("/values/secret?as=sse", token(read=["secret"], lives_s=101))
    assert other.headers["Grip-Link"].partition("?")[0] != link.partition("?")[0]


def test_a_long_poll_waits_on_the_private_channel(site):
    text = token(read=["secret"])
    version = site.get(text=text).get_json()["version"]
    answer = site.hold(f"/values/secret?after={version}&wait=20", text)
    assert answer.status_code == 204
    assert answer.headers["Grip-Channel"].startswith("private:secret; prev-id=")


def test_a_ticket_that_has_ended_ends_the_stream(site):
    answer = site.hold("/values/secret?as=sse", token(read=["secret"], lives_s=100))
    path = answer.headers["Grip-Link"].partition(">")[0].strip("<")
    over = site.access.tickets.issue("/values/secret", Grant((), (), (), time.time() - 2, "id"))
    before = counted("expired")
    ended = site.hold(f"/values/secret/held/{over}?as=sse")
    # No error: Pushpin would ask for half a minute, and the stream would be open all the time.
    assert (ended.status_code, ended.data) == (200, b"")
    assert not [name for name, _ in ended.headers if name.startswith("Grip-")]
    assert counted("expired") == before + 1
    assert b"hush" in site.hold(path).data


def test_a_topic_goes_on_by_tickets_too(site):
    text = token(events=["orders"])
    # Nothing has relayed it: what matters is that whoever may read gets as far as that.
    assert site.hold("/events/orders/", text).status_code == 503
    assert site.hold("/events/orders/", token(read=["orders"])).status_code == 403
    assert site.hold("/events/news/").status_code == 503


def test_updates_need_a_token_that_allows_them(site):
    assert site.post("counter").status_code == 401
    assert site.post("counter", token(read=["*"])).status_code == 403
    assert site.post("counter", token(write=["other"])).status_code == 403
    assert site.post("counter", token(lives_s=-60, write=["*"])).status_code == 401
    # A browser would send a cookie along from any page.
    cookie = {"Cookie": f"{COOKIE}={token(write=['*'])}"}
    assert site.post("counter", None, **cookie).status_code == 401
    assert not site.producer.updates
    assert site.post("counter", token(write=["counter"])).status_code == 202
    assert site.post("secret", token(write=["secret"])).status_code == 202
    assert site.post("nothing").status_code == 404


def test_where_posting_is_open_only_what_is_private_needs_a_token(client):
    site = Site(client, open_post=True)
    assert site.post("counter").status_code == 202
    assert site.post("secret").status_code == 401


def test_a_page_of_another_site_may_neither_post_nor_read(client):
    site = Site(client, open_post=True, origins=[APP])
    before = counted("origin")
    for origin in ("https://evil.example", "null", "https://app.example.evil.example"):
        assert site.post("counter", None, Origin=origin).status_code == 403
        cookie = {"Cookie": f"{COOKIE}={token(read=['*'])}"}
        assert site.get(Origin=origin, **cookie).status_code == 403
        answer, _ = site.hear("/values/secret", WebSocketEvent("OPEN"), Origin=origin, **cookie)
        assert answer.data.startswith(b"CLOSE")
    assert counted("origin") == before + 9
    for origin in (APP, "http://localhost", "http://localhost:8080"):
        assert site.post("counter", None, Origin=origin).status_code == 202
        assert site.post("counter", None, Origin=APP).headers["Access-Control-Allow-Origin"] == APP
    asked = site.http.options("/values/counter", headers={"Origin": APP})
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    evil = site.http.options("/values/counter", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in evil.headers
    answer = site.get(text=token(read=["*"]), Origin=APP)
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_guesses_are_few(site):
    before = counted("too many")
    answers = [site.get(text=token(key=f"{number:040}")) for number in range(GUESSES.amount + 5)]
    assert [it.status_code for it in answers] == [401] * GUESSES.amount + [429] * 5
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert counted("too many") == before + 5
    # From there nobody is listened to; whoever is elsewhere, or asks for what is public, is.
    assert site.get(text=token(read=["secret"])).status_code == 429
    elsewhere = {"REMOTE_ADDR": "10.0.0.9"}
    good = bearer(token(read=["secret"]))
    assert site.http.get("/values/secret", headers=good, environ_base=elsewhere).status_code == 200
    assert site.get("/values/counter").status_code == 200


def test_an_expired_token_is_no_guess(site):
    for _ in range(GUESSES.amount + 5):
        assert site.get(text=token(lives_s=-60)).status_code == 401


def test_a_socket_of_a_private_value_ends_with_the_token(site):
    answer, events = site.hear(
        "/values/secret", WebSocketEvent("OPEN"), text=token(read=["secret"], lives_s=100)
    )
    assert events[0].type == "OPEN"
    assert b'"private:secret"' in answer.data
    assert 90 <= int(answer.headers["Keep-Alive-Interval"]) <= 102
    memory = {"Meta-Socket": answer.headers["Set-Meta-Socket"]}
    _, events = site.hear("/values/secret", text=token(read=["secret"], lives_s=-1), **memory)
    assert [event.type for event in events] == ["CLOSE"]
    assert events[0].content.startswith(b"\x03\xf0")


def subscribing(name):
    return WebSocketEvent("TEXT", b'{"type":"subscribe","names":["%b"]}' % name)


def test_a_socket_of_many_values_shows_private_ones_to_who_may_read_them(site):
    opened, _ = site.hear("/ws", WebSocketEvent("OPEN"))
    memory = {"Meta-Socket": opened.headers["Set-Meta-Socket"]}
    for text in (None, token(read=["other"]), token(read=["*"], lives_s=-60)):
        answer, _ = site.hear("/ws", subscribing(b"secret"), text=text, **memory)
        assert b'"status":403' in answer.data
        assert b"hush" not in answer.data
        assert b"c:" not in answer.data
        assert "Keep-Alive-Interval" not in answer.headers

    good = token(read=["secret"])
    answer, _ = site.hear("/ws", subscribing(b"secret"), text=good, **memory)
    assert b'"private:secret"' in answer.data
    assert b"hush" in answer.data
    assert int(answer.headers["Keep-Alive-Interval"]) > 500
    memory = {"Meta-Socket": answer.headers["Set-Meta-Socket"]}
    _, events = site.hear("/ws", text=token(read=["secret"], lives_s=-1), **memory)
    assert [event.type for event in events] == ["CLOSE"]


def test_a_socket_needs_a_token_to_write(site):
    opened, _ = site.hear("/ws", WebSocketEvent("OPEN"))
    memory = {"Meta-Socket": opened.headers["Set-Meta-Socket"]}
    add = WebSocketEvent("TEXT", b'{"type":"add","name":"counter","value":1}')
    answer, _ = site.hear("/ws", add, text=token(read=["*"]), **memory)
    assert b'"status":403' in answer.data
    assert not site.producer.updates


def test_without_access_nothing_private_is_shown(client):
    site = Site(client)
    object.__setattr__(site.app.extensions["holdfast"], "access", Access())
    assert site.get().status_code == 401
    assert site.get(text=token(read=["*"])).status_code == 401
    assert site.post("counter").status_code == 202
