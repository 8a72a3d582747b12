"""The origin behind each kind of gateway that may invoke it as a function."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request

from serverless.gateway import make_handler
from stack.layout import REPO
from tests.integration.lambda_events import SHAPES, function_url, http, rest
from tests.integration.test_origin import KEY, Site, signed

BINARY = bytes(range(256)) * 3
EVENTS = "application/websocket-events"


@pytest.fixture
def site(client):
    site = Site(client)
    site.vouch()
    return site


@pytest.fixture
def handler(site):
    return make_handler(site.app)


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.__name__)
def shape(request):
    return request.param


def headers_of(answer):
    """By lower-case name; of payload 1.0 the multi-value ones."""
    if "multiValueHeaders" in answer:
        return {name.lower(): ",".join(v) for name, v in answer["multiValueHeaders"].items()}
    return answer["headers"]


def mirror(environ, start):
    """Answers with what it was asked, as a WSGI application sees it."""
    body = environ["wsgi.input"].read()
    seen = {
        key: value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING")
    }
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({**seen, "body": body.hex()}).encode()]


def test_a_snapshot_is_text_with_all_that_the_edge_needs(site, handler, shape):
    site.release("counter", 7)
    answer = handler(shape("GET", "/values/counter"), None)
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    assert json.loads(answer["body"])["value"] == 7
    without_gateway = {
        name.lower(): value for name, value in site.get("/values/counter").headers.items()
    }
    assert headers_of(answer) == without_gateway
    assert without_gateway["surrogate-control"].startswith("max-age=300")


def test_a_hold_is_for_who_is_signed_and_a_false_signature_is_refused(site, handler, shape):
    site.release("counter", 7)

    def ask(*headers):
        return handler(shape("GET", "/values/counter", "as=sse", headers), None)

    held = headers_of(ask(("Grip-Sig", signed())))
    without_gateway = site.get("/values/counter?as=sse", Grip_Sig=signed()).headers
    for name in ("Grip-Hold", "Grip-Channel", "Grip-Link", "Grip-Keep-Alive"):
        assert held[name.lower()] == without_gateway[name]
    assert "grip-hold" not in headers_of(ask())
    assert ask(("Grip-Sig", signed(KEY[::-1])))["statusCode"] == 403


def test_an_update_reaches_kafka_as_it_is(site, handler, shape):
    headers = (("Content-Type", "application/json"), ("Idempotency-Key", "a-1"))
    event = shape("POST", "/values/headline", "", headers, '{"set": "é\u2028"}'.encode())
    assert handler(event, None)["statusCode"] == 202
    # The same request as a gateway sends it that takes every body for binary.
    event |= {"body": b64encode(event["body"].encode()).decode(), "isBase64Encoded": True}
    assert handler(event, None)["statusCode"] == 202
    (_, first), (_, second) = site.producer.updates
    assert first == second
    assert json.loads(first) == {"set": "é\u2028"}
    assert site.producer.keys == [b"a-1", b"a-1"]


def test_files_travel_as_base64(handler, shape):
    answer = handler(shape("GET", "/static/favicon.svg"), None)
    assert answer["isBase64Encoded"] is True
    assert b64decode(answer["body"]) == (REPO / "origin/static/favicon.svg").read_bytes()


def test_websocket_events_pass_both_ways_byte_by_byte(shape):
    def echo(environ, start):
        assert environ["CONTENT_TYPE"] == EVENTS
        start("200 OK", [("Content-Type", EVENTS)])
        return [environ["wsgi.input"].read()]

    body = b"BINARY 300\r\n" + BINARY + b"\r\n"
    event = shape("POST", "/ws", "", [("Content-Type", EVENTS)], body)
    assert event["isBase64Encoded"] is True
    answer = make_handler(echo)(event, None)
    assert answer["isBase64Encoded"] is True
    assert b64decode(answer["body"]) == body


def test_headers_of_one_name_and_cookies_come_in_and_go_out(shape):
    def app(environ, start):
        assert environ["HTTP_X_TWO"] in ("a,b", "a, b")
        cookies = environ["HTTP_COOKIE"].replace(" ", "").replace(",", ";").split(";")
        assert [pair for pair in cookies if pair] == ["one=1", "two=2"]
        start(
            "200 OK",
            [
                ("Content-Type", "text/plain"),
                ("Grip-Channel", "first; prev-id=1"),
                ("Set-Cookie", "a=1; Path=/"),
                ("grip-channel", "second"),
                ("Set-Cookie", "b=2"),
            ],
        )
        return [b"ok"]

    two = [("X-Two", "a"), ("X-Two", "b"), ("Cookie", "one=1"), ("Cookie", "two=2")]
    answer = make_handler(app)(shape("GET", "/", "", two), None)
    assert headers_of(answer)["grip-channel"] == "first; prev-id=1, second"
    if "multiValueHeaders" in answer:
        assert answer["multiValueHeaders"]["Set-Cookie"] == ["a=1; Path=/", "b=2"]
    else:
        assert answer["cookies"] == ["a=1; Path=/", "b=2"]
        assert "set-cookie" not in answer["headers"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("as=sse&as=json&after=", [("as", "sse"), ("as", "json"), ("after", "")]),
        ("key=a%26b%3Dc%2Bd%25", [("key", "a&b=c+d%")]),
        ("key=%C3%A9%E2%80%A8+x", [("key", "é\u2028 x")]),
    ],
)
def test_a_query_says_the_same_in_each_shape(shape, query, said):
    def app(environ, start):
        assert Request(environ).args == MultiDict(said)
        start("204 No Content", [])
        return []

    assert make_handler(app)(shape("GET", "/", query), None)["statusCode"] == 204


@pytest.mark.parametrize(
    ("stage", "raw", "path"),
    [
        ("$default", "/values/counter", "/values/counter"),
        ("prod", "/prod/values/counter", "/values/counter"),
        ("prod", "/prod", "/"),
        ("prod", "/prod/", "/"),
        # A custom domain's mapping leaves the stage out.
        ("prod", "/products", "/products"),
        ("values", "/values/values/counter", "/values/counter"),
    ],
)
def test_an_http_apis_stage_is_no_part_of_the_path(stage, raw, path):
    event = http("GET", "/", stage=stage)
    event["rawPath"] = raw
    assert json.loads(make_handler(mirror)(event, None)["body"])["PATH_INFO"] == path


def test_a_rest_apis_stage_is_not_in_its_path():
    event = rest("GET", "/values/counter", stage="values")
    assert json.loads(make_handler(mirror)(event, None)["body"])["PATH_INFO"] == "/values/counter"


def test_the_pages_events_and_errors_come_too(site, handler, shape):
    assert handler(shape("GET", "/"), None)["statusCode"] == 200
    missing = handler(shape("GET", "/nothing"), None)
    assert missing["statusCode"] == 404
    assert missing["isBase64Encoded"] is False
    assert json.loads(missing["body"])["status"] == 404
    site.producer.down = True
    said = (("Content-Type", "application/json"),)
    down = handler(shape("POST", "/values/counter", "", said, b'{"add":1}'), None)
    assert down["statusCode"] == 503
    assert headers_of(down)["retry-after"] == "1"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
    path=TEXT,
    query=TEXT,
    headers=st.lists(
        st.tuples(st.sampled_from(["accept", "content-type", "idempotency-key", "x-a"]), TEXT),
        max_size=3,
    ),
    body=st.binary(max_size=60),
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_request_makes_the_function_fail(handler, method, path, query, headers, body):
    """A function that raises is an error to AWS, and a 502 to the edge."""
    for make in (http, function_url):
        event = make(method, "/" + path, "", [("content-type", "x/y"), *headers], body)
        event["rawQueryString"] = query
        assert 200 <= handler(event, None)["statusCode"] < 500


def test_a_cold_start_imports_no_kafka_client():
    program = (
        "import sys, serverless.handler;"
        "print([name for name in sys.modules if name.startswith('confluent_kafka')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"HOLDFAST_GRIP_KEY": KEY, "PYTHONPATH": str(REPO)},
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
