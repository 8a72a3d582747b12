"""/api/webhooks on a real Redis: what it takes, what it shows, and what it never shows."""

from __future__ import annotations

import pytest

from holdfast.hook_states import HookState
from holdfast.hooks import MOST_HOOKS, hook_of
from tests.integration.test_operators_api import Site

URL = "https://example.com/in"


@pytest.fixture
def site(client, monkeypatch):
    return Site(client, monkeypatch)


def created(site, **more):
    answer = site.ask("POST", "webhooks", {"url": URL, "values": "counter", **more})
    assert answer.status_code == 201, answer.json
    return answer


def test_a_hook_is_made_with_a_secret_that_is_shown_once(site):
    answer = created(site)
    hook = answer.json
    assert answer.headers["Location"] == f"/api/webhooks/{hook['id']}"
    assert hook["secret"].startswith("whsec_")
    assert (hook["url"], hook["values"], hook["state"], hook["who"]) == (
        URL,
        "counter",
        "live",
        "alice",
    )
    shown = site.ask("GET", f"webhooks/{hook['id']}")
    assert shown.json == {**hook, "secret": "***"}
    listed = site.ask("GET", "webhooks")
    assert listed.json == {"webhooks": [shown.json]}
    for later in (shown, listed, site.ask("POST", f"webhooks/{hook['id']}/enable")):
        assert hook["secret"] not in later.text


def test_a_secret_may_be_brought_along(site):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert created(site, secret=secret).json["secret"] == secret


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"url": URL}, 422),
        ({"values": "*"}, 422),
        ({"url": URL, "values": "nobody"}, 404),
        ({"url": "https://user@example.com/", "values": "*"}, 422),
        ({"url": "file:///etc/passwd", "values": "*"}, 422),
        ({"url": URL, "values": "*", "secret": "guess"}, 422),
        ({"url": URL, "values": "*", "rate": 1}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(site, body, status):
    assert site.ask("POST", "webhooks", body).status_code == status
    assert site.log.offset == 0


def test_there_are_not_too_many(site):
    for _ in range(MOST_HOOKS):
        created(site)
    answer = site.ask("POST", "webhooks", {"url": URL, "values": "*"})
    assert (answer.status_code, site.log.offset) == (422, MOST_HOOKS)


def test_what_nobody_has_made_is_not_found(site):
    for id in ("0123456789abcdef", "x", "0123456789ABCDEF", "*"):
        assert site.ask("GET", f"webhooks/{id}").status_code == 404
        assert site.ask("DELETE", f"webhooks/{id}").status_code == 404
        assert site.ask("POST", f"webhooks/{id}/enable").status_code == 404
    assert site.log.offset == 0


def test_it_shows_how_the_receiver_takes_it_until_it_is_enabled_again(site):
    id = created(site).json["id"]
    desk = site.http.application.extensions["holdfast"].desk
    hook = hook_of(site.log.settings[f"hook:{id}"])
    failing = HookState(hook.version, 3, 1000, 2000, 500, "answered 500", 500)
    desk.hooks.write(id, failing, {"counter": 7})
    shown = site.ask("GET", f"webhooks/{id}").json
    assert (shown["state"], shown["failures"]) == ("failing", 3)
    assert shown["failing_since"] == "1970-01-01T00:00:01.000Z"
    assert shown["last"] == {
        "status": 500,
        "error": "answered 500",
        "at": "1970-01-01T00:00:02.000Z",
    }
    failing.disabled_at_ms, failing.reason = 3000, "answered 410: gone"
    desk.hooks.write(id, failing)
    shown = site.ask("GET", f"webhooks/{id}").json
    assert shown["disabled"] == {
        "reason": "answered 410: gone",
        "at": "1970-01-01T00:00:03.000Z",
    }
    enabled = site.ask("POST", f"webhooks/{id}/enable", who="bob").json
    assert (enabled["state"], enabled["disabled"], enabled["who"]) == ("live", None, "bob")
    assert enabled["delivered_at"] == "1970-01-01T00:00:00.500Z"
    assert site.ask("GET", f"webhooks/{id}").json == enabled
    # It owes what it owed.
    assert desk.hooks.delivered(id) == {"counter": 7}


def test_a_deleted_hook_is_gone_with_all_that_was_kept_of_it(site):
    id = created(site).json["id"]
    desk = site.http.application.extensions["holdfast"].desk
    desk.hooks.write(id, HookState(), {"counter": 7})
    assert site.ask("DELETE", f"webhooks/{id}").json == {"id": id, "deleted": True}
    assert site.ask("GET", "webhooks").json == {"webhooks": []}
    assert site.redis.keys(f"hook*{id}") == []
    assert site.ask("DELETE", f"webhooks/{id}").status_code == 404
