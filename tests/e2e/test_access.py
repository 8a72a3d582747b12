"""What is private, through nginx, Pushpin and the edge: who may see it, how long, and who not."""

from __future__ import annotations

import threading
import time
import uuid

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.metrics import metric
from tests.e2e.relay_topic import RelayTopic
from tests.e2e.sockets import Socket
from tests.e2e.viewers import Viewer, until
from tests.tokens import bearer, token

HELD = "/values/<name>/held/<ticket>"
TICKETS = {"route": HELD, "status": "200"}


class Private:
    """A private value of a test's own."""

    def __init__(self, stack, first="first"):
        self.stack = stack
        self.name = f"private.{uuid.uuid4().hex[:12]}"
        self.path = f"/values/{self.name}"
        self.set(first)
        until(lambda: self.get().status_code == 200, "the first release")

    def token(self, **more):
        return bearer(token(read=[self.name], **more))

    def get(self, query="", headers=None, **more):
        headers = self.token() if headers is None else headers
        return httpx.get(f"{self.stack.url}{self.path}{query}", headers=headers, timeout=30, **more)

    def set(self, value):
        headers = bearer(token(write=["private.*"]))
        answer = httpx.post(self.stack.url + self.path, json={"set": value}, headers=headers)
        assert answer.status_code == 202

    def viewer(self, form="sse", **more):
        return Viewer(self.stack.url, f"{self.path}?as={form}", headers=self.token(**more))

    def recoveries(self):
        return metric(self.stack.origin_urls, "holdfast_origin_requests_total", **TICKETS)


@pytest.fixture
def private(stack):
    return Private(stack)


@pytest.fixture(scope="module")
def ending(stack):
    """Sockets whose token ends in 4 s. Pushpin asks about them every 20 s at most: meanwhile the
    other tests go on.
    """
    private = Private(stack)
    headers = private.token(lives_s=4)
    with (
        Socket(stack.url, private.path, additional_headers=headers) as one,
        Socket(stack.url, additional_headers=headers) as many,
    ):
        assert many.ask(type="subscribe", names=[private.name])["type"] == "subscribed"
        yield private, one, many


WRONG = {
    "no token": {},
    "expired": bearer(token(read=["private.*"], lives_s=-5)),
    "audience": bearer(token(read=["private.*"], aud="another")),
    "invalid": bearer(token(read=["private.*"], key="a key that nobody here has heard of")),
    "scope": bearer(token(read=["another"])),
    "origin": {
        "Cookie": f"holdfast_access={token(read=['private.*'])}",
        "Origin": "https://evil.example",
    },
}


def refusals(stack):
    return {
        reason: metric(stack.origin_urls, "holdfast_refused_total", reason=reason)
        for reason in WRONG
    }


@pytest.mark.usefixtures("ending")
def test_who_may_not_is_refused_on_every_way_counted_and_logged_without_the_token(stack, private):
    before = refusals(stack)
    for reason, headers in WRONG.items():
        status = 403 if reason in ("scope", "origin") else 401
        for query in ("", "?as=sse", "?as=ndjson", "?after=1&wait=10", "/history"):
            # In a hold's place is an answer that ends.
            answer = private.get(query, headers)
            assert answer.status_code == status, (reason, query)
            assert "first" not in answer.text
        with (
            pytest.raises(InvalidStatus) as caught,
            Socket(stack.url, private.path, additional_headers=headers),
        ):
            pass
        assert caught.value.response.status_code == status
    answer = httpx.post(stack.url + private.path, json={"set": 1}, headers=private.token())
    assert answer.status_code == 403
    after = refusals(stack)
    assert all(after[reason] > before[reason] for reason in WRONG), (before, after)

    logs = [*stack.dir.glob("logs/*"), *stack.dir.glob("*/log/*")]
    text = "\n".join(file.read_text(errors="replace") for file in logs if file.is_file())
    assert f"({private.name}): expired from 127.0.0.1" in text
    for headers in (*WRONG.values(), private.token()):
        for value in headers.values():
            assert value.rpartition(".")[2] not in text or "evil" in value


def test_a_ticket_is_nothing_from_outside(stack, private):
    ticket = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
    for path in (f"{private.path}/held/{ticket}?as=sse", f"/events/private.x/held/{ticket}/"):
        assert httpx.get(stack.url + path).status_code == 404


def test_who_may_sees_every_release_on_every_way(stack, private):
    polled = []
    version = private.get().json()["version"]

    def poll():
        polled.append(private.get(f"?after={version}&wait=30"))

    poller = threading.Thread(target=poll)
    poller.start()
    cookie = {"Cookie": f"holdfast_access={token(read=['private.*'])}"}
    by_cookie = Viewer(stack.url, f"{private.path}?as=sse", headers=cookie)
    headers = private.token()
    with (
        private.viewer() as sse,
        private.viewer("ndjson") as ndjson,
        by_cookie,
        Socket(stack.url, private.path, additional_headers=headers) as one,
        Socket(stack.url, additional_headers=headers) as many,
        Socket(stack.url) as stranger,
    ):
        for viewer in (sse, ndjson, by_cookie):
            viewer.wait_connected()
        one.wait_shown(private.name)
        assert many.ask(type="subscribe", names=[private.name])["type"] == "subscribed"
        assert stranger.ask(type="subscribe", names=[private.name])["status"] == 403
        private.set("second")
        for viewer in (sse, ndjson, by_cookie):
            until(lambda viewer=viewer: viewer.values[-1:] == ["second"], "the second release")
        one.wait_for(private.name, "second")
        many.wait_for(private.name, "second")
        assert not stranger.newest(private.name)
        poller.join(30)
        assert polled[0].json()["value"] == "second"
    # And nothing of it was kept for anybody else.
    assert private.get(headers={}).status_code == 401
    assert private.get(headers=bearer(token(read=["another"]))).status_code == 403
    assert private.get().headers["Cache-Control"] == "private, no-store"


def test_a_broken_chain_is_mended_by_the_ticket_and_the_stream_goes_on(stack, private):
    with private.viewer() as first, private.viewer(lives_s=1000) as second:
        for viewer in (first, second):
            viewer.wait_connected()
        before = private.recoveries()
        hint = {
            "channel": f"private:{private.name}",
            "formats": {"http-stream": {"action": "hint"}},
        }
        for url in stack.settings()["HOLDFAST_GRIP_URL"].split(","):
            httpx.post(f"{url}/publish/", json={"items": [hint]}).raise_for_status()
        # One for each of two tokens: their answers are not shared.
        until(lambda: private.recoveries() >= before + 2, "the recoveries")
        private.set("second")
        for viewer in (first, second):
            until(lambda viewer=viewer: viewer.values == ["first", "second"], "the second release")
            assert not viewer.failures


def test_a_stream_ends_when_the_token_does(stack, private):
    with private.viewer(lives_s=3) as viewer, private.viewer() as other:
        viewer.wait_connected()
        other.wait_connected()
        # A value that changes all the time keeps nobody in.
        deadline = time.monotonic() + 40
        while not viewer.ended:
            private.set(time.monotonic())
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert not viewer.failures
        seen = len(viewer.values)
        private.set("last")
        until(lambda: other.values[-1] == "last", "the last release")
        assert len(viewer.values) == seen
        assert not other.failures


def test_a_private_topic_is_for_who_may_see_it(stack):
    topic = RelayTopic(stack, prefix="private")
    url = f"{stack.url}/events/{topic.name}/"
    good = bearer(token(events=["private.*"]))

    def held(headers):
        with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
            return answer.status_code

    until(lambda: held(good) == 200, "the relay to find the topic", 60)
    assert held({}) == held(bearer(token(events=["private.*"], lives_s=-5))) == 401
    assert held(bearer(token(read=["private.*"]))) == 403
    assert topic.name not in httpx.get(f"{stack.url}/events/").text

    lines = []

    def read(query, headers):
        with httpx.stream("GET", url + query, headers=headers, timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    lines.append(line)

    topic.put(b"one")
    topic.flush()
    short = bearer(token(events=["private.*"], lives_s=4))
    # What was there before comes in pages, by tickets as well; the hold ends with the token.
    reader = threading.Thread(target=read, args=("?from=earliest", short))
    reader.start()
    until(lambda: "data: one" in lines, "the first record")
    topic.put(b"two")
    topic.flush()
    until(lambda: "data: two" in lines, "the second record")
    reader.join(40)
    assert not reader.is_alive()


def test_sockets_end_when_the_token_does(ending):
    private, one, many = ending
    until(lambda: one.closed and many.closed, "the end of both", 60)
    assert one.closed.rcvd.code == many.closed.rcvd.code == 1008
    assert private.get().status_code == 200
