"""Webhooks as they are set, and the requests that come of them."""

from __future__ import annotations

import base64
import json

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from holdfast.errors import SettingError
from holdfast.hooks import Hook, check_hook, hook_of, hooks_of, new_id, new_secret, target_of
from holdfast.operator_settings import Change, Setting
from holdfast.snapshots import Snapshot
from holdfast.tuning import Tuning
from publisher.hooks.message import message

SECRET = new_secret()
THING = {"url": "https://example.com/in", "values": "price.*", "secret": SECRET}
ID = new_id()


def hook(**members) -> Hook:
    return hook_of(Setting(f"hook:{ID}", 7, "alice", 1000, {**THING, **members}))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", ("https", "example.com", 443, "/")),
        ("https://EXAMPLE.com:8443/a/b?c=d&e", ("https", "example.com", 8443, "/a/b?c=d&e")),
        ("http://127.0.0.1:80?x", ("http", "127.0.0.1", 80, "/?x")),
        ("https://[2606:4700::1111]:443/", ("https", "2606:4700::1111", 443, "/")),
        ("https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443, "/")),
    ],
)
def test_a_url_is_read_one_way(url, target):
    found = target_of(url)
    assert (found.scheme, found.host, found.port, found.path) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "https://",
        "https:///path",
        "ftp://example.com/",
        "gopher://127.0.0.1:6379/_SET",
        "file:///etc/passwd",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/#part",
        "https://exa mple.com/",
        "https://example.com/\r\nX: y",
        "https://example.com/\x00",
        "https://bücher.example/",
        "https://[fe80::1%25lo]/",
        "https://[::1/",
        "https://[v1.x]/",
        "https://-example.com/",
        "https://example.com:0/",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:65536/",
        "https://example.com:x/",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_a_url_that_may_mean_something_else_is_refused(url):
    with pytest.raises(SettingError) as refused:
        check_hook({**THING, "url": url})
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "a password",
        pytest.param(SECRET.removeprefix("whsec_"), id="without its prefix"),
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_****",
        7,
        None,
    ],
)
def test_a_secret_is_one_of_the_scheme(secret):
    with pytest.raises(SettingError) as refused:
        check_hook({**THING, "secret": secret})
    assert refused.value.status == 422
    if secret not in ("", "whsec_"):
        assert str(secret) not in str(refused.value)


@pytest.mark.parametrize("values", ["", "a b", "price.?", "*" * 65, None])
def test_values_are_a_name_or_a_glob(values):
    with pytest.raises(SettingError):
        check_hook({**THING, "values": values})


def test_unknown_members_are_refused():
    with pytest.raises(SettingError, match="unknown member rate"):
        check_hook({**THING, "rate": 1})


def test_a_hook_wants_what_its_glob_matches():
    assert hook().wants("price.BTC")
    assert not hook().wants("prices")
    assert hook(values="*").wants("counter")
    assert hook(values="a*c").wants("a.b.c")
    assert not hook(values="visits").wants("visits2")
    assert not hook(values="a.c").wants("abc")


def test_what_makes_no_sense_is_no_hook():
    settings = [
        Setting("hook:race", 1, "test", 0, {"n": 1}),
        Setting(f"hook:{new_id()}", 2, "test", 0, {**THING, "url": "https://127.0.0.1:22/"}),
        Setting("pause:counter", 3, "test", 0, {}),
        Setting(f"hook:{ID}", 4, "test", 0, THING),
    ]
    assert list(hooks_of(Tuning(settings))) == [ID]


def test_a_secret_is_shown_nowhere():
    assert SECRET not in repr(hook())
    masked = Change("hook:x", "alice", 0, THING, {**THING, "values": "*"}).masked
    assert SECRET.encode() not in masked.encode()
    assert masked.before["url"] == THING["url"]


SNAPSHOT = Snapshot("price.BTC", b'"\xe2\x82\xac"', 1764000000123, 1764000000000, 1764000000123)


def test_a_request_is_what_the_scheme_says():
    sent = message(hook(), SNAPSHOT, 1764000001.9)
    assert sent.headers["webhook-timestamp"] == "1764000001"
    assert "." not in sent.headers["webhook-id"]
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(sent.body, sent.headers)
    event = json.loads(sent.body)
    assert event == {
        "type": "value.released",
        "timestamp": "2025-11-24T16:00:00.123Z",
        "data": json.loads(SNAPSHOT.encode()),
    }


def test_the_librarys_verifier_believes_it_and_nothing_else():
    import time

    sent = message(hook(), SNAPSHOT, time.time())
    assert Webhook(SECRET).verify(sent.body, sent.headers)["data"]["value"] == "€"
    for body, headers in (
        (sent.body.replace(b"price", b"prize"), sent.headers),
        (sent.body, {**sent.headers, "webhook-id": "msg_other"}),
        (sent.body, {**sent.headers, "webhook-timestamp": str(int(time.time()) - 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(sent.body, sent.headers)


def test_another_attempt_has_the_same_id_and_body():
    first, second = message(hook(), SNAPSHOT, 1000), message(hook(), SNAPSHOT, 2000)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    other = Snapshot("price.ETH", b"1", SNAPSHOT.version, 0, 1)
    ids = {message(each, SNAPSHOT, 0).headers["webhook-id"] for each in (hook(),)}
    assert message(hook(), other, 0).headers["webhook-id"] not in ids
