"""The origin on a real Redis: what the edge gets to cache, and what a bad request gets."""

from __future__ import annotations

import json
import time

import jwt
import pytest
from httpx_sse._decoders import SSEDecoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import UnavailableError
from holdfast.kafka import Cluster
from holdfast.relay_state import RelayState
from holdfast.state import Partition, Released, State
from holdfast.topics import TopicRules, Topics
from holdfast.updates import MAX_BODY_BYTES, MAX_VALUE_BYTES
from holdfast.values import Rules, parse
from origin import create_app
from origin.grip import Signatures
from origin.parts import Parts
from origin.replay import Replay
from tests.integration.folds import adds, sets

KEY = "the key that Pushpin signs with, 32 bytes"
VALUES = parse("""
[values.counter]
reduce = "sum"
default = true
[values.headline]
reduce = "latest"
[values."sum.*"]
reduce = "sum"
[values."price.*"]
topic = "ticks"
reduce = "latest"
field = "price"
""")
FRESH = "max-age=300, stale-if-error=86400"
BRIEF = "max-age=1"


class NotingProducer:
    """Takes every update, unless Kafka is `down`."""

    def __init__(self):
        self.updates = []
        self.keys = []
        self.down = False

    def send(self, name, update, key=None):
        if self.down:
            raise UnavailableError("Kafka does not answer")
        self.updates.append((name, update))
        self.keys.append(key)
        return 2, len(self.updates) - 1


class Site:
    """An origin, its state, and the partition that feeds both."""

    def __init__(self, client, topics=None):
        self.redis = client
        self.state = State(client)
        self.producer = NotingProducer()
        self.app = create_app(
            Parts(
                VALUES,
                self.state,
                self.producer,
                Signatures(KEY),
                topics or Topics(()),
                RelayState(client),
                Replay(Cluster("")),
            )
        )
        self.http = self.app.test_client()
        self.partition = Partition("updates", 0)
        self.offset = 0

    def vouch(self, *topics):
        for topic in topics or ("updates", "ticks"):
            self.state.heartbeat(Partition(topic, 0), 0, 0, 1, True, "")

    def release(self, name, value):
        """The next release of a value: a sum's increment, or what a latest is set to."""
        rules = VALUES.rules(name)
        make = adds if rules.reduce == "sum" else sets
        self.state.apply(self.partition, 0, 0, [make(name, self.offset, value)])
        self.offset += 1
        self.redis.hset(f"bucket:{name}", "tokens", 1)
        (result,) = self.state.release(self.partition, [rules])
        assert isinstance(result, Released)
        return result.snapshot

    def get(self, path, **headers):
        return self.http.get(path, headers={key.replace("_", "-"): headers[key] for key in headers})

    def post(self, name, body, content_type="application/json"):
        return self.http.post(f"/values/{name}", data=body, content_type=content_type)


def signed(key=KEY, expires_in=3600, **claim):
    return jwt.encode({"iss": "pushpin", "exp": int(time.time()) + expires_in, **claim}, key)


def events(body):
    """What an independent parser reads: (event, id, data) of each server-sent event."""
    decoder = SSEDecoder()
    found = []
    # Lines of an event stream end at CR, LF or CRLF, and nowhere else.
    text = body.decode().replace("\r\n", "\n").replace("\r", "\n")
    assert text.endswith("\n\n")
    for line in text.split("\n")[:-1]:
        event = decoder.decode(line)
        if event is not None:
            found.append((event.event, event.id, event.data))
    return found


def assert_problem(answer, status):
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    document = answer.get_json(force=True)
    assert set(document) == {"type", "title", "status", "detail"}
    assert (document["type"], document["status"]) == ("about:blank", status)
    assert document["title"]
    if status == 503:
        assert int(answer.headers["Retry-After"]) >= 1
    assert "Grip-Hold" not in answer.headers
    return document["detail"]


@pytest.fixture
def site(client):
    site = Site(client)
    site.vouch()
    return site


# -- representations


def test_a_snapshot_is_json_with_version_prev_and_time(site):
    site.release("counter", 1)
    prev = site.redis.hget("value:counter", "version")
    snapshot = site.release("counter", 41)
    answer = site.get("/values/counter")
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.get_json() == {
        "name": "counter",
        "value": 42,
        "version": snapshot.version,
        "prev": int(prev),
        "released_at": snapshot.released_at,
    }


@pytest.mark.parametrize(
    ("accept", "query", "content_type"),
    [
        (None, "", "application/json"),
        ("*/*", "", "application/json"),
        ("application/json", "", "application/json"),
        ("text/event-stream", "", "text/event-stream; charset=utf-8"),
        ("application/json;q=0.5, text/event-stream", "", "text/event-stream; charset=utf-8"),
        ("text/event-stream;q=0", "", "application/json"),
        ("text/html", "", "application/json"),
        ("garbage;;;=", "", "application/json"),
        ("application/json", "?as=sse", "text/event-stream; charset=utf-8"),
        ("text/event-stream", "?as=json", "application/json"),
    ],
)
def test_the_representation_is_chosen_by_as_and_else_by_accept(site, accept, query, content_type):
    answer = site.get(f"/values/counter{query}", **({"Accept": accept} if accept else {}))
    assert answer.status_code == 200
    assert answer.content_type == content_type
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("asked", ["invalid", "xml", ""])
def test_a_representation_that_does_not_exist_is_a_bad_request(site, asked):
    assert_problem(site.get(f"/values/counter?as={asked}"), 400)


def test_an_event_stream_begins_with_the_snapshot_whose_version_is_its_id(site):
    snapshot = site.release("counter", 42)
    ((event, id, data),) = events(site.get("/values/counter?as=sse").data)
    assert (event, id) == ("message", str(snapshot.version))
    assert data == site.get("/values/counter").get_data(as_text=True)


# -- after


def test_a_client_that_has_seen_this_version_gets_a_comment_for_a_second(site):
    version = site.release("counter", 1).version
    answer = site.get(f"/values/counter?as=sse&after={version}")
    assert answer.data == b":\n\n"
    assert answer.headers["Surrogate-Control"] == BRIEF


def test_a_client_that_has_seen_an_older_version_gets_the_newest_without_a_reset(site):
    older = site.release("counter", 1).version
    newer = site.release("counter", 1).version
    answer = site.get(f"/values/counter?as=sse&after={older}")
    assert [(event, id) for event, id, _ in events(answer.data)] == [("message", str(newer))]
    assert answer.headers["Surrogate-Control"] == FRESH


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("9999999999999999", "unknown id"),
        ("unknown", "unknown id"),
        ("invalid", "unreadable id"),
        ("-1", "unreadable id"),
        ("1.5", "unreadable id"),
        ("1" * 19, "unreadable id"),
        ("%D9%A1", "unreadable id"),  # a digit, but not an ASCII one
        ("1%0A2", "unreadable id"),
    ],
)
def test_a_client_with_an_unknown_or_unreadable_id_is_told_before_it_gets_the_snapshot(
    site, after, reason
):
    version = site.release("counter", 1).version
    found = events(site.get(f"/values/counter?as=sse&after={after}").data)
    assert found[0][::2] == ("reset", f'{{"reason":"{reason}"}}')
    assert [(event, id) for event, id, _ in found[1:]] == [("message", str(version))]


@pytest.mark.parametrize("path", ["/values/counter", "/values/counter?as=sse", "/stream"])
def test_a_header_that_is_not_in_the_cache_key_changes_nothing(site, path):
    version = str(site.release("counter", 1).version)
    plain = site.get(path)
    for seen in (version, "1", "9999999999999", "banana"):
        answer = site.get(path, Last_Event_ID=seen)
        assert (answer.status_code, answer.data) == (200, plain.data)
        assert answer.headers["Surrogate-Control"] == FRESH


def test_an_empty_after_is_none(site):
    site.release("counter", 1)
    assert site.get("/values/counter?as=sse&after=").data == site.get("/values/counter?as=sse").data


def test_a_snapshot_that_was_seen_is_no_content_for_a_second(site):
    version = site.release("counter", 1).version
    answer = site.get(f"/values/counter?after={version}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Surrogate-Control"] == BRIEF
    assert site.get("/values/counter?after=1").status_code == 200


# -- values without a release, and names


@pytest.mark.parametrize(("name", "value"), [("counter", 0), ("headline", None)])
def test_a_configured_value_exists_as_version_0_and_is_cached_like_any_other(site, name, value):
    answer = site.get(f"/values/{name}")
    assert answer.get_json() == {
        "name": name,
        "value": value,
        "version": 0,
        "prev": 0,
        "released_at": None,
    }
    assert answer.headers["Surrogate-Control"] == FRESH
    assert answer.headers["Surrogate-Key"] == f"value:{name} all"
    assert site.get(f"/values/{name}/history").get_json() == {"name": name, "releases": []}


def test_a_stream_of_version_0_can_be_resumed_at_version_0(site):
    ((_, id, _),) = events(site.get("/values/counter?as=sse").data)
    assert id == "0"
    assert site.get("/values/counter?as=sse&after=0").data == b":\n\n"


@pytest.mark.parametrize("path", ["/values/sum.a", "/values/sum.a?as=sse", "/values/sum.a/history"])
def test_a_familys_name_without_state_is_not_found_for_a_second_under_its_key(site, path):
    answer = site.get(path)
    assert_problem(answer, 404)
    assert answer.headers["Surrogate-Control"] == BRIEF
    assert answer.headers["Surrogate-Key"] == "value:sum.a all"


def test_a_familys_name_exists_once_it_was_released_also_with_0(site):
    site.release("sum.a", 0)
    assert site.get("/values/sum.a").get_json()["value"] == 0


@pytest.mark.parametrize(
    "path",
    [
        "/values/nobody",
        "/values/sum.",
        "/values/.counter",
        "/values/" + "a" * 65,
        "/values/..",
        "/values/../",
        "/values/../../etc/passwd",
        "/values/%2e%2e/",
        "/values/..%2f..%2fetc",
        "/values/%00",
        "/values/counter%0d%0aX-Evil:1",
        "/values/%ff%fe",
        "/values/counter/",
        "/values//counter",
        "/values/",
        "/values",
        "/nowhere",
        "/values/counter/nothing",
    ],
)
def test_a_name_or_path_that_does_not_exist_is_not_found(site, path):
    answer = site.get(path)
    assert_problem(answer, 404)
    assert "X-Evil" not in answer.headers
    assert "Surrogate-Key" not in answer.headers


def test_a_not_found_is_not_kept_long(site):
    assert site.get("/values/nobody").headers["Surrogate-Control"] == "max-age=1"
    assert site.get("/nowhere").headers["Surrogate-Control"] == "no-store"


# -- what the edge and browsers may keep


@pytest.mark.parametrize(
    "path", ["/values/counter", "/values/counter?as=sse", "/values/counter/history", "/stream"]
)
def test_an_answer_about_a_value_is_kept_by_the_edge_and_asked_for_by_browsers(site, path):
    site.release("counter", 1)
    answer = site.get(path)
    assert answer.headers["Surrogate-Control"] == FRESH
    assert answer.headers["Surrogate-Key"] == "value:counter all"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Accept" in answer.headers["Vary"]
    assert "Set-Cookie" not in answer.headers


def test_a_snapshot_has_an_etag_of_its_version_and_streams_have_none(site):
    version = site.release("counter", 1).version
    assert site.get("/values/counter").headers["ETag"] == f'"{version}-json"'
    for path in ("/values/counter?as=sse", "/stream"):
        assert "ETag" not in site.get(path, Grip_Sig=signed()).headers


# -- holds


HOLDS = [
    (
        "/values/counter?as=sse",
        "value:counter",
        "</values/counter?recover&as=sse>; rel=next",
        r":\n\n; format=cstring; timeout=20",
    ),
    (
        "/values/counter?as=sse&recover&after=1",
        "value:counter",
        "</values/counter?recover&as=sse>; rel=next",
        r":\n\n; format=cstring; timeout=20",
    ),
    (
        "/stream",
        "updates",
        "</stream?recover>; rel=next",
        r"\n; format=cstring; timeout=20",
    ),
]


@pytest.mark.parametrize(("path", "channel", "link", "keep_alive"), HOLDS)
def test_a_signed_request_is_held_from_the_version_that_the_body_delivers(
    site, path, channel, link, keep_alive
):
    version = site.release("counter", 1).version
    headers = site.get(path, Grip_Sig=signed()).headers
    assert headers["Grip-Hold"] == "stream"
    assert headers["Grip-Channel"] == f"{channel}; prev-id={version}"
    assert headers["Grip-Link"] == link
    assert headers["Grip-Keep-Alive"] == keep_alive
    assert headers["X-Accel-Buffering"] == "no"


@pytest.mark.parametrize("path", ["/values/counter?as=sse", "/stream"])
def test_a_hold_with_nothing_new_goes_on_from_the_version_that_was_seen(site, path):
    version = site.release("counter", 1).version
    separator = "&" if "?" in path else "?"
    answer = site.get(f"{path}{separator}after={version}", Grip_Sig=signed())
    assert answer.headers["Grip-Channel"].endswith(f"; prev-id={version}")
    assert answer.headers["Surrogate-Control"] == BRIEF
    assert answer.data in (b":\n\n", b"\n")


@pytest.mark.parametrize("path", [path for path, *_ in HOLDS])
def test_an_unsigned_request_gets_the_same_body_and_no_hold(site, path):
    site.release("counter", 1)
    answer = site.get(path)
    assert answer.data == site.get(path, Grip_Sig=signed()).data
    assert not [header for header, _ in answer.headers if header.startswith("Grip-")]


@pytest.mark.parametrize("path", [path for path, *_ in HOLDS])
@pytest.mark.parametrize(
    "signature",
    [
        "",
        "junk",
        "a.b.c",
        signed("another key, of 32 bytes or more..."),
        signed(expires_in=-10),
        jwt.encode({"iss": "pushpin"}, KEY),
        jwt.encode({"iss": "pushpin", "exp": int(time.time()) + 600}, None, algorithm="none"),
    ],
    ids=["empty", "junk", "dots", "wrong key", "expired", "no expiry", "unsigned"],
)
def test_a_false_signature_is_forbidden(site, path, signature):
    assert_problem(site.get(path, Grip_Sig=signature), 403)


@pytest.mark.parametrize("path", [path for path, *_ in HOLDS])
def test_head_never_holds(site, path):
    answer = site.http.head(path, headers={"Grip-Sig": signed()})
    assert (answer.status_code, answer.data) == (200, b"")
    assert not [header for header, _ in answer.headers if header.startswith("Grip-")]


def test_a_snapshot_is_never_held(site):
    headers = site.get("/values/counter", Grip_Sig=signed()).headers
    assert not [header for header, _ in headers if header.startswith("Grip-")]


# -- /stream


def test_stream_is_the_default_value_as_a_line_of_plain_text(site):
    site.release("counter", 42)
    answer = site.get("/stream")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.data == b'{"data": 42}\n'


def test_stream_of_a_value_that_was_never_released_says_its_first_value(site):
    assert site.get("/stream").data == b'{"data": 0}\n'


def test_stream_with_an_unknown_id_says_the_current_value(site):
    site.release("counter", 42)
    assert site.get("/stream?after=invalid").data == b'{"data": 42}\n'


# -- history


def test_history_is_the_releases_oldest_first(site):
    snapshots = [site.release("headline", text) for text in ("first", "two words", "\r\n")]
    document = site.get("/values/headline/history").get_json()
    assert document["name"] == "headline"
    assert [entry["value"] for entry in document["releases"]] == ["first", "two words", "\r\n"]
    assert [json.dumps(entry, separators=(",", ":")) for entry in document["releases"]] == [
        snapshot.encode().decode() for snapshot in snapshots
    ]


# -- not ready, Redis down


PATHS = [
    "/values/counter",
    "/values/counter?as=sse",
    "/values/counter/history",
    "/values/sum.a",
    "/stream",
    "/health/ready",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_view_that_nobody_vouches_for_is_unavailable(client, path):
    site = Site(client)
    answer = site.get(path, Grip_Sig=signed())
    assert_problem(answer, 503)
    assert answer.headers["Surrogate-Control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_a_topic_that_is_replayed_leaves_other_topics_available(client, path):
    site = Site(client)
    site.vouch("updates")
    assert site.get(path).status_code in (200, 404)
    assert_problem(site.get("/values/price.BTC"), 503)


def test_a_dead_redis_is_unavailable_at_once_and_an_update_is_taken_all_the_same(own_redis):
    with own_redis.connect() as client:
        site = Site(client)
        site.vouch()
        assert site.get("/health/ready").status_code == 200
        own_redis.kill()
        started = time.monotonic()
        for path in PATHS:
            assert_problem(site.get(path, Grip_Sig=signed()), 503)
        assert time.monotonic() - started < 2.0
        assert site.get("/health/live").status_code == 200
        assert site.post("counter", b'{"add": 1}').status_code == 202
        own_redis.start()
        assert_problem(site.get("/values/counter"), 503)
        site.vouch()
        assert site.get("/values/counter").status_code == 200


# -- updates


@pytest.mark.parametrize(
    ("name", "body", "update"),
    [
        ("counter", '{"add": 1}', b'{"add":1}'),
        ("counter", '{"add":-9223372036854775808}', b'{"add":-9223372036854775808}'),
        ("counter", ' {"add" : 9223372036854775807 }\n', b'{"add":9223372036854775807}'),
        ("sum.new", '{"add": 0}', b'{"add":0}'),
        ("headline", '{"set": null}', b'{"set":null}'),
        ("headline", '{"set": "\\r\\n\\u0000"}', b'{"set":"\\r\\n\\u0000"}'),
        ("headline", '{"set": {"a": [1, 2.5, true]}}', b'{"set":{"a":[1,2.5,true]}}'),
    ],
)
def test_an_update_is_accepted_once_kafka_has_it_and_names_its_place(site, name, body, update):
    answer = site.post(name, body)
    assert answer.status_code == 202
    assert answer.get_json() == {"name": name, "topic": "updates", "partition": 2, "offset": 0}
    assert site.producer.updates == [(name, update)]
    assert "Surrogate-Key" not in answer.headers


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_taken_with_any_charset_parameter(site, content_type):
    assert site.post("counter", b'{"add":1}', content_type).status_code == 202


DEEP = b'{"set":' + b"[" * 16_000 + b"]" * 16_000 + b"}"

BAD = {
    "broken JSON": ("counter", b'{"add": 1', 400),
    "more than one document": ("counter", b'{"add": 1} {"add": 1}', 400),
    "empty": ("counter", b"", 400),
    "blank": ("counter", b"  \n", 400),
    "NaN": ("counter", b'{"add": NaN}', 400),
    "bare NaN": ("counter", b"NaN", 400),
    "Infinity": ("headline", b'{"set": Infinity}', 400),
    "invalid UTF-8": ("headline", b'{"set": "\xff\xfe"}', 400),
    "overlong UTF-8": ("headline", b'{"set": "\xc0\xaf"}', 400),
    "a surrogate in UTF-8": ("headline", b'{"set": "\xed\xa0\x80"}', 400),
    "UTF-16": ("counter", '{"add": 1}'.encode("utf-16"), 400),
    "a byte order mark": ("counter", b'\xef\xbb\xbf{"add": 1}', 400),
    "a lone high surrogate": ("headline", rb'{"set": "\ud800"}', 400),
    "a lone high surrogate before text": ("headline", rb'{"set": "\ud800 and more"}', 400),
    "a lone low surrogate": ("headline", rb'{"set": "\udc00"}', 400),
    "two high surrogates": ("headline", rb'{"set": "\ud800\ud800"}', 400),
    "a lone surrogate as a key": ("headline", rb'{"set": {"\udfff": 1}}', 400),
    "a bare NUL": ("headline", b'{"set": "\0"}', 400),
    "a bare CR": ("headline", b'{"set": "\r"}', 400),
    "a comment": ("counter", b'{"add": 1 /* one */}', 400),
    "a string": ("counter", b'{"add": "1"}', 422),
    "true": ("counter", b'{"add": true}', 422),
    "null": ("counter", b'{"add": null}', 422),
    "1e400": ("counter", b'{"add": 1e400}', 422),
    "-1e400 in a latest": ("headline", b'{"set": [-1e400]}', 422),
    "2^63": ("counter", b'{"add": 9223372036854775808}', 422),
    "-2^63-1": ("counter", b'{"add": -9223372036854775809}', 422),
    "2^64": ("counter", b'{"add": 18446744073709551616}', 422),
    "5,000 digits": ("counter", b'{"add": 1' + b"0" * 5000 + b"}", 422),
    "0.5": ("counter", b'{"add": 0.5}', 422),
    "1.0": ("counter", b'{"add": 1.0}', 422),
    "an object": ("counter", b'{"add": {}}', 422),
    "both": ("counter", b'{"add": 1, "set": 1}', 422),
    "neither": ("counter", b"{}", 422),
    "something beside it": ("counter", b'{"add": 1, "by": "me"}', 422),
    "set on a sum": ("counter", b'{"set": 1}', 422),
    "add on a latest": ("headline", b'{"add": 1}', 422),
    "a list": ("counter", b'[{"add": 1}]', 422),
    "a number": ("counter", b"1", 422),
    "deep nesting": ("headline", DEEP[:MAX_BODY_BYTES], 422),
    "deep nesting on a sum": ("counter", DEEP[:MAX_BODY_BYTES], 422),
    "a value of more than 16 kB": ("headline", b'{"set": "%s"}' % (b"x" * MAX_VALUE_BYTES), 413),
    "1 MB": ("counter", b'{"add": 1}' + b" " * 1_000_000, 413),
    "1 MB of nothing": ("counter", b"\0" * 1_000_000, 413),
    "an unknown name": ("nobody", b'{"add": 1}', 404),
    "a family's bare prefix": ("sum.", b'{"add": 1}', 404),
    "..": ("..", b'{"add": 1}', 404),
    "../": ("../", b'{"add": 1}', 404),
    "../counter": ("../counter", b'{"add": 1}', 404),
    "%2e%2e%2f": ("%2e%2e%2fcounter", b'{"add": 1}', 404),
    "a name with CR LF": ("counter%0d%0a", b'{"add": 1}', 404),
    "a value that a foreign topic feeds": ("price.BTC", b'{"set": 1}', 422),
}


@pytest.mark.parametrize(("name", "body", "status"), BAD.values(), ids=BAD.keys())
def test_a_bad_update_is_a_problem_and_never_reaches_kafka(site, name, body, status):
    assert_problem(site.post(name, body), status)
    assert site.producer.updates == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"]
)
def test_an_update_of_another_content_type_is_refused(site, content_type):
    """Also what a form of another site could send without asking the browser first."""
    assert_problem(site.post("counter", b'{"add": 1}', content_type), 415)
    assert_problem(site.http.post("/values/counter", data=b'{"add": 1}'), 415)
    assert site.producer.updates == []


def test_a_value_of_exactly_16_kb_is_taken(site):
    body = b'{"set":"%s"}' % (b"x" * (MAX_VALUE_BYTES - 2))
    assert site.post("headline", body).status_code == 202


def test_an_update_that_kafka_can_not_take_is_unavailable_and_may_be_sent_again(site):
    site.producer.down = True
    assert_problem(site.post("counter", b'{"add": 1}'), 503)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_method_that_a_path_does_not_know_is_answered_with_those_it_knows(site, method):
    answer = site.http.open("/values/counter", method=method)
    assert_problem(answer, 405)
    assert {"GET", "HEAD", "POST"} <= set(answer.headers["Allow"].split(", "))


def test_a_fault_of_our_own_is_a_problem_that_shows_nothing(site, monkeypatch):
    def fail(*_args, **_kwargs):
        raise ValueError("a secret detail")

    monkeypatch.setattr(site.state, "view", fail)
    detail = assert_problem(site.get("/values/counter"), 500)
    assert "secret" not in detail


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text(alphabet='\r\n\0\u0085\u2028\u2029 :;{}"\\dataid'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=JSON, escaped=st.booleans())
def test_any_value_comes_back_out_of_every_representation_as_it_went_in(client, value, escaped):
    """Through the update, the record, Redis, and an independent parser of event streams."""
    client.flushall()
    site = Site(client)
    site.vouch()
    answer = site.post("headline", json.dumps({"set": value}, ensure_ascii=escaped).encode())
    assert answer.status_code == 202
    ((_, record),) = site.producer.updates
    site.release("headline", json.loads(record)["set"])

    assert site.get("/values/headline").get_json()["value"] == value
    body = site.get("/values/headline?as=sse", Grip_Sig=signed()).data
    ((event, id, data),) = events(body)
    assert (event, json.loads(data)["value"]) == ("message", value)
    assert id == str(json.loads(data)["version"])
    (entry,) = site.get("/values/headline/history").get_json()["releases"]
    assert entry["value"] == value


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_as_an_update_get_an_update_or_a_problem(client, body):
    site = Site(client)
    for name in ("counter", "headline"):
        answer = site.post(name, body)
        if answer.status_code != 202:
            assert_problem(answer, 422 if answer.status_code == 422 else 400)


# -- health and metrics


def test_health_says_live_always_and_ready_once_the_view_is_vouched_for(site, client):
    assert site.get("/health/live").data == b"ok\n"
    assert site.get("/health/ready").data == b"ok\n"
    client.delete("ready:updates")
    assert site.get("/health/live").status_code == 200
    assert_problem(site.get("/health/ready"), 503)


def test_metrics_know_routes_and_not_what_clients_make_up(site):
    site.release("counter", 1)
    for path in ("/values/counter", "/values/made-up-1", "/made-up-2", "/values/sum.made-up-3"):
        site.get(path)
    site.http.open("/values/counter", method="MADE_UP_4")
    site.http.open("/values/counter", method="PURGE")
    site.post("made-up-5", b"{}")
    text = site.get("/metrics").get_data(as_text=True)
    assert (
        'holdfast_origin_requests_total{method="GET",route="/values/<name>",status="200"}' in text
    )
    assert 'method="other",route="none",status="405"' in text
    assert "made-up" not in text.lower()
    assert "made_up" not in text.lower()
    assert "PURGE" not in text


# -- page and static files


def test_the_page_is_cached_under_its_own_key_and_runs_only_its_own_scripts(site):
    answer = site.get("/")
    assert answer.status_code == 200
    assert answer.headers["Surrogate-Control"] == FRESH
    assert answer.headers["Surrogate-Key"] == "page all"
    assert answer.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'self'"
    )
    assert 'data-value="counter"' in answer.get_data(as_text=True)


def test_static_files_are_cached_like_the_page_and_missing_ones_are_not(site):
    answer = site.get("/static/page.js")
    assert answer.status_code == 200
    assert answer.headers["Surrogate-Control"] == FRESH
    assert answer.headers["Surrogate-Key"] == "page all"
    missing = site.get("/static/nothing.js")
    assert_problem(missing, 404)
    assert missing.headers["Surrogate-Control"] == "no-store"
    assert_problem(site.get("/static/../parts.py"), 404)


def test_an_app_needs_no_redis_and_no_kafka_to_start(monkeypatch):
    monkeypatch.setenv("HOLDFAST_GRIP_KEY", KEY)
    monkeypatch.setenv("HOLDFAST_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("HOLDFAST_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("HOLDFAST_VALUES", "tests/values.toml")
    http = create_app().test_client()
    assert http.get("/health/live").status_code == 200
    assert_problem(http.get("/health/ready"), 503)


def test_rules_of_this_file_are_those_of_the_contract():
    assert VALUES.rules("sum.x") == Rules("sum.x", "sum")


# -- topics


@pytest.fixture
def topics(client):
    """An origin that shows the topic `test`, by key, and `plain`."""
    site = Site(client, Topics((TopicRules("test", by_key=True), TopicRules("plain"))))
    for topic in ("test", "plain"):
        RelayState(client).put(topic, "an id", [0])
    return site


def get_raw(site, path, query):
    """As gunicorn passes on bytes that no client should send."""
    return site.http.get(path, environ_overrides={"QUERY_STRING": query.decode("latin-1")})


@pytest.mark.parametrize(
    "path", ["/events/test/?from=yesterday", "/events/plain/?key=a", "/events/test/?key="]
)
def test_a_wrong_parameter_of_a_topic_is_told_and_kept_briefly(topics, path):
    answer = topics.get(path)
    assert_problem(answer, 400)
    assert answer.headers["Surrogate-Control"] == BRIEF
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("query", [b"key=\xff", b"x=\xff", b"from=\xe4"])
def test_a_query_that_is_not_utf_8_is_a_bad_request(topics, query):
    assert_problem(get_raw(topics, "/events/test/", query), 400)
    assert_problem(get_raw(topics, "/events/test", query), 400)


@pytest.mark.parametrize(
    ("query", "channel"),
    [
        (b"key=%FF", "_w"),
        (b"key=%25FF", "JUZG"),
        (b"key=a+b%2Fc&key=d", "YSBiL2M"),
        ("key=ä".encode(), "w6Q"),
    ],
)
def test_a_key_is_the_bytes_that_it_says(topics, query, channel):
    answer = topics.http.get(
        "/events/test/",
        headers={"Grip-Sig": signed()},
        environ_overrides={"QUERY_STRING": query.decode("latin-1")},
    )
    assert answer.headers["Grip-Channel"].startswith(f"events:test:{channel};")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/events", "/events/"),
        ("/events?x=1", "/events/?x=1"),
        ("/events/test", "/events/test/"),
        ("/events/test?key=a%2Fb&from=1", "/events/test/?key=a%2Fb&from=1"),
    ],
)
def test_a_missing_slash_is_told_without_a_host(topics, path, location):
    answer = topics.get(path, Host="example.com:8080")
    assert (answer.status_code, answer.headers["Location"]) == (308, location)
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Surrogate-Control"] == BRIEF
