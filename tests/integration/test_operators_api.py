"""The operators' API on a real Redis: who gets in, and what it shows and refuses."""

from __future__ import annotations

import pytest

from holdfast.budget import Budget
from holdfast.figures import Figures
from holdfast.hook_states import HookStates
from holdfast.kafka import Cluster
from holdfast.operator_settings import Setting
from holdfast.relay_state import RelayState
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import Partition, State
from holdfast.topics import Topics
from holdfast.tuning import Tuning
from holdfast.value_states import ValueStates
from holdfast.values import parse
from origin import create_app, metrics
from origin.desk import Desk
from origin.grip import Signatures
from origin.operators import Operators
from origin.parts import Parts
from origin.replay import Replay
from origin.sessions import Sessions
from origin.settings_log import Audited, Written
from tests.integration.folds import adds, sets
from tests.integration.test_origin import NotingProducer

TOKENS = {"alice": "alice-s-token-of-16", "bob": "bob-s-token-of-16-too"}
VALUES = parse("""
[values.counter]
reduce = "sum"
default = true
[values.visits]
reduce = "sum"
burst = 3
[values."price.*"]
reduce = "latest"
threshold = 0.5
settle = 10
""")


class TestLog:
    """Writes at once to Redis, as Kafka and a publisher do together; `slow`: only to Kafka."""

    __test__ = False

    def __init__(self, mirror: SettingsMirror) -> None:
        self.mirror = mirror
        self.offset = 0
        self.settings: dict[str, Setting] = {}
        self.slow = False
        self.read = (0, None)

    def change(self, key, who, decide, *, always=False):
        new = decide(Tuning(self.settings.values()))
        before = self.settings.pop(key, None)
        if new is not None:
            self.settings[key] = Setting(key, self.offset, who, 1_764_000_000_000, new)
        if before is not None and before.to == new and not always:
            self.settings[key] = before
            return Written(before.version, Tuning(self.settings.values()))
        self.offset += 1
        if not self.slow:
            self.mirror.write("id", self.offset, self.settings.values())
        return Written(self.offset - 1, Tuning(self.settings.values()))

    def audit(self, most, before=None) -> list[Audited]:
        self.read = (most, before)
        return []


class Site:
    def __init__(self, client, monkeypatch) -> None:
        self.redis = client
        self.state = State(client)
        self.mirror = SettingsMirror(client)
        self.log = TestLog(self.mirror)
        self.now = 1_764_000_000.0
        monkeypatch.setattr("origin.desk.EFFECT_S", 0.05)
        desk = Desk(
            Operators(TOKENS, client),
            self.log,
            self.mirror,
            ValueStates(client),
            Sessions(TOKENS, client, lambda: self.now),
            Figures(client),
            HookStates(client),
            Budget(per_hour=1000),
            2,
        )
        self.desk = desk
        self.http = self.client(desk)
        self.state.heartbeat(Partition("updates", 0), 0, 0, 1, True, "")
        self.mirror.write("id", 0, [])

    def client(self, desk):
        parts = Parts(
            VALUES,
            self.state,
            NotingProducer(),
            Signatures("the key that Pushpin signs with, 32 bytes"),
            Topics(()),
            RelayState(self.redis),
            Replay(Cluster("")),
            desk=desk,
        )
        return create_app(parts).test_client()

    def ask(self, method, path, body=None, who="alice", etag=None, **headers):
        headers = {"Authorization": f"Bearer {TOKENS[who]}", **headers}
        if etag is not None:
            headers["If-Match"] = etag
        return self.http.open(f"/api/{path}", method=method, json=body, headers=headers)


@pytest.fixture
def site(client, monkeypatch):
    return Site(client, monkeypatch)


PATHS = [
    ("GET", "values"),
    ("GET", "values/counter"),
    ("GET", "values/counter/rate"),
    ("PUT", "values/counter/rate"),
    ("DELETE", "values/counter/rate"),
    ("POST", "values/counter/pause"),
    ("POST", "values/counter/resume"),
    ("POST", "values/counter/purge"),
    ("PUT", "defaults"),
    ("GET", "families"),
    ("PUT", "families/price.*"),
    ("PUT", "budget"),
    ("GET", "audit"),
    ("GET", "overview"),
    ("GET", "overview/past"),
    ("GET", "values/counter/prediction"),
    ("GET", "webhooks"),
    ("POST", "webhooks"),
    ("GET", "webhooks/0123456789abcdef"),
    ("DELETE", "webhooks/0123456789abcdef"),
    ("POST", "webhooks/0123456789abcdef/enable"),
]


# -- who gets in


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_a_token_nobody_sees_or_does_anything(site, method, path):
    answer = site.http.open(f"/api/{path}", method=method, json={"rate": 2})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.mimetype == "application/problem+json"
    assert site.log.offset == 0


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_where_no_operator_has_a_token_there_is_no_api(site, method, path):
    answer = site.client(None).open(
        f"/api/{path}", method=method, headers={"Authorization": f"Bearer {TOKENS['alice']}"}
    )
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong-wrong-wrong-wrong",
        f"Bearer {TOKENS['alice']}x",
        f"Bearer alice:{TOKENS['alice']}",
        "Bearer \xff\xfe",
    ],
)
def test_a_wrong_token_is_refused_counted_and_not_logged(site, caplog, header):
    before = metrics.REFUSED.labels("wrong token")._value.get()
    answer = site.http.get("/api/values", headers={"Authorization": header})
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    assert metrics.REFUSED.labels("wrong token")._value.get() == before + 1
    assert "wrong token" in caplog.text
    assert header.removeprefix("Bearer ") not in caplog.text + answer.text


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", f"Basic {TOKENS['alice']}"])
def test_a_header_without_a_token_is_no_guess(site, header):
    for _ in range(12):
        assert site.http.get("/api/values", headers={"Authorization": header}).status_code == 401
    assert site.ask("GET", "values").status_code == 200


def test_each_operator_is_known_by_name(site):
    site.ask("PUT", "values/counter/rate", {"rate": 2}, who="bob", etag="*")
    assert site.ask("GET", "values/counter/rate").json["who"] == "bob"


def test_after_ten_wrong_tokens_an_address_is_not_listened_to_for_a_while(site):
    def guess(address):
        return site.http.get(
            "/api/values",
            headers={
                "Authorization": "Bearer wrong-wrong-wrong-wrong",
                "X-Forwarded-For": address,
            },
        )

    # A client that claims to be others is known by what nginx adds.
    for n in range(10):
        assert guess(f"10.0.0.{n}, 1.2.3.4, 127.0.0.1").status_code == 401
    answer = guess("1.2.3.4, 127.0.0.1")
    assert (answer.status_code, 1 <= int(answer.headers["Retry-After"]) <= 60) == (429, True)
    right = site.ask("GET", "values", **{"X-Forwarded-For": "1.2.3.4, 127.0.0.1"})
    assert right.status_code == 429
    other = site.ask("GET", "values", **{"X-Forwarded-For": "1.2.3.5, 127.0.0.1"})
    assert other.status_code == 200


# -- rates


def test_what_is_set_comes_back_with_who_and_from_where(site):
    answer = site.ask("PUT", "values/visits/rate", {"rate": 0.5}, etag='"0"')
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"0"')
    assert site.ask("GET", "values/visits/rate").json == {
        "name": "visits",
        "set": {"rate": 0.5},
        "who": "alice",
        "at": "2025-11-24T16:00:00.000Z",
        "rules": {"rate": 0.5, "burst": 3, "threshold": 0.0, "settle": 0.0},
        "from": {"rate": "value", "burst": "table", "threshold": "defaults", "settle": "defaults"},
    }
    site.ask("DELETE", "values/visits/rate", etag="*")
    assert site.ask("GET", "values/visits/rate").json["set"] is None


def test_defaults_and_families_are_set_alike(site):
    site.ask("PUT", "defaults", {"rate": 3}, etag="*")
    site.ask("PUT", "families/price.*", {"settle": 4}, etag="*")
    assert site.ask("GET", "defaults").json["rules"]["rate"] == 3
    (family,) = site.ask("GET", "families").json["families"]
    assert family["family"] == "price.*"
    assert family["rules"] == {"rate": 3, "burst": 1, "threshold": 0.5, "settle": 4}
    assert family["from"]["rate"] == "default"
    assert site.ask("GET", "values/price.BTC/rate").json["from"]["settle"] == "family"


@pytest.mark.parametrize(
    ("etag", "status"), [(None, 428), ('"7"', 412), ('W/"0"', 412), ('"0"', 200), ("*", 200)]
)
def test_a_change_needs_the_etag_that_holds(site, etag, status):
    site.ask("PUT", "values/counter/rate", {"rate": 2}, etag="*")
    answer = site.ask("PUT", "values/counter/rate", {"rate": 3}, who="bob", etag=etag)
    assert answer.status_code == status
    now = site.ask("GET", "values/counter/rate").json["set"]
    assert now == {"rate": 3 if status == 200 else 2}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("values/counter/rate", {"rate": 0}, 422),
        ("values/counter/rate", {}, 422),
        ("values/counter/rate", [1], 422),
        ("values/counter/rate", {"threshold": 1}, 422),
        ("values/counter/rate", {"speed": 1}, 422),
        ("values/nobody/rate", {"rate": 1}, 404),
        ("values/price.*/rate", {"rate": 1}, 404),
        ("families/cost.*", {"rate": 1}, 404),
        ("families/counter", {"rate": 1}, 404),
        ("families/price.*", {"settle": 0}, 422),
        ("budget", {"per_second": -1}, 422),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(site, path, body, status):
    answer = site.ask("PUT", path, body, etag="*")
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["detail"]
    assert site.log.offset == 0


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 4000, "application/json", 422),
        (b'{"rate":' + b"1" * 5000 + b"}", "application/json", 413),
        (b'{"rate":1}', "text/plain", 415),
    ],
)
def test_a_body_that_is_no_object_of_json_is_refused(site, data, content_type, status):
    answer = site.http.put(
        "/api/defaults",
        data=data,
        content_type=content_type,
        headers={"Authorization": f"Bearer {TOKENS['alice']}", "If-Match": "*"},
    )
    assert answer.status_code == status


def test_a_change_that_no_publisher_has_taken_yet_is_202(site):
    site.log.slow = True
    assert site.ask("PUT", "defaults", {"rate": 3}, etag="*").status_code == 202
    answer = site.ask("POST", "values/counter/pause")
    assert (answer.status_code, answer.json["in_effect"]) == (202, False)


def test_without_a_publisher_s_word_nothing_is_shown(site):
    site.redis.delete("settings")
    answer = site.ask("GET", "values/counter/rate")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


# -- values


def test_a_value_shows_what_is_released_and_what_waits(site):
    partition = Partition("updates", 0)
    rules = VALUES.rules("counter")
    site.state.apply(partition, 0, 0, [adds("counter", 0, 5)])
    (released,) = site.state.release(partition, [rules])
    site.state.apply(partition, 0, 0, [adds("counter", 1, 2)])
    entry = site.ask("GET", "values/counter").json
    assert (entry["released"], entry["working"], entry["dirty"]) == (5, 7, True)
    assert entry["version"] == released.snapshot.version
    assert entry["released_at"] == released.snapshot.released_at
    assert 0 <= entry["tokens"] < 1
    assert (entry["reduce"], entry["default"], entry["paused"]) == ("sum", True, None)
    assert site.ask("POST", "values/counter/pause").json["paused"]["who"] == "alice"
    assert site.ask("GET", "values/counter").json["paused"]["who"] == "alice"
    assert site.ask("POST", "values/counter/resume").json["paused"] is None


def test_a_value_that_never_changed_is_at_rest(site):
    entry = site.ask("GET", "values/visits").json
    assert (entry["released"], entry["working"], entry["dirty"]) == (None, None, False)
    assert (entry["version"], entry["tokens"], entry["changed_at"]) == (0, 3, None)


def test_values_are_listed_by_name_page_by_page(site):
    partition = Partition("updates", 0)
    for n in range(5):
        site.state.apply(partition, 0, 0, [sets(f"price.{n}", n, {"any": [n]})])
    first = site.ask("GET", "values?limit=4").json
    assert [value["name"] for value in first["values"]] == [
        "counter",
        "price.0",
        "price.1",
        "price.2",
    ]
    rest = site.ask("GET", f"values?limit=4&after={first['next']}").json
    assert [value["name"] for value in rest["values"]] == ["price.3", "price.4", "visits"]
    assert rest["next"] is None
    prices = site.ask("GET", "values?prefix=price.").json["values"]
    assert [value["working"] for value in prices] == [{"any": [n]} for n in range(5)]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001"])
def test_a_page_has_a_size_within_bounds(site, query):
    assert site.ask("GET", f"values?{query}").status_code == 422


def test_pausing_twice_changes_nothing_and_purging_twice_purges_twice(site):
    for _ in range(2):
        site.ask("POST", "values/counter/pause")
    assert site.log.offset == 1
    for _ in range(2):
        site.ask("POST", "values/counter/purge")
    assert site.log.offset == 3


# -- the budget and the audit


def test_the_budget_shows_what_holds_and_what_is_left(site):
    assert site.ask("GET", "budget").json == {
        "set": None,
        "who": None,
        "at": None,
        "per_second": None,
        "per_hour": 1000,
        "left": {"second": None, "hour": 100.0},
        "waiting": 0,
    }
    answer = site.ask("PUT", "budget", {"per_second": 20, "per_hour": None}, etag="*")
    assert answer.json["left"] == {"second": 2.0, "hour": None}
    site.state.spend(1, Budget(per_second=20))
    assert 1 <= site.ask("GET", "budget").json["left"]["second"] < 2


@pytest.mark.parametrize(
    ("query", "read"),
    [("", (50, None)), ("?limit=5", (5, None)), ("?limit=500&before=7", (500, 7))],
)
def test_the_audit_is_read_in_pages(site, query, read):
    assert site.ask("GET", f"audit{query}").json == {"changes": []}
    assert site.log.read == read


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before=-1", "before=0"])
def test_a_page_of_the_audit_has_bounds(site, query):
    assert site.ask("GET", f"audit?{query}").status_code == 422
