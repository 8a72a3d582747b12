"""Presence: what is counted of Pushpins that answer, refuse or hang, and when it is written."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from prometheus_client import REGISTRY

from holdfast import values
from publisher import presence
from publisher.presence import AGAIN_S, SILENT_S, Counts, Presence, PushpinMetrics

ONE, TWO = "http://pushpin-1", "http://pushpin-2"
DEFAULT = '[values.counter]\nreduce = "sum"\ndefault = true\n'
VIEWERS = '[values.viewers]\nreduce = "latest"\ntopic = "presence"\n'


class World:
    """Pushpins, Redis, Kafka and a clock. A Pushpin's count may be an error."""

    def __init__(self):
        self.now = 0.0
        self.pushpins = {ONE: 2, TWO: 3}
        self.working = None
        self.records = []
        self.leads = True
        rules = values.parse(DEFAULT + VIEWERS).rules("viewers")
        self.presence = Presence(
            rules,
            lambda: tuple(self.pushpins),
            Counts(self._ask, lambda: self.now),
            self,
            self,
            lambda: self.leads,
            threading.Event(),
            lambda: self.now,
        )

    def _ask(self, url):
        found = self.pushpins[url]
        if isinstance(found, Exception):
            raise found
        return found

    def read(self, rules):
        assert [each.name for each in rules] == ["viewers"]
        return [self]

    def produce(self, topic, key, value):
        assert (topic, key) == ("presence", b"viewers")
        self.records.append(json.loads(value))

    def poll(self, _timeout):
        """Nothing to deliver."""

    def apply(self):
        """The newest record arrives."""
        self.working = json.dumps(self.records[-1], separators=(",", ":")).encode()

    def turn(self, seconds=1.0):
        self.now += seconds
        self.presence.turn()


@pytest.fixture
def world():
    world = World()
    yield world
    world.leads = False
    world.turn()


def _viewers(url):
    return REGISTRY.get_sample_value("holdfast_viewers", {"node": url})


def _refusal():
    """What requests raises where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(requests.ConnectionError) as caught:
        PushpinMetrics()(url)
    return caught.value


def test_a_count_is_written_once_when_it_has_changed(world):
    world.turn()
    world.turn()
    assert world.records == [{"total": 5, "pushpins": [2, 3]}]
    world.apply()
    world.turn()
    assert len(world.records) == 1
    world.pushpins[ONE] = 1
    world.turn()
    assert world.records[1:] == [{"total": 4, "pushpins": [1, 3]}]


def test_a_record_that_never_came_through_is_written_again(world):
    world.turn()
    world.turn(AGAIN_S - 0.5)
    assert len(world.records) == 1
    world.turn(0.5)
    assert len(world.records) == 2


def test_a_number_that_somebody_else_left_is_put_right(world):
    """A publisher that hung while another led may write what it had counted before."""
    world.turn()
    world.apply()
    world.turn()
    world.working = b'{"total":9,"pushpins":[9,0]}'
    world.turn()
    assert world.records[1:] == [{"total": 5, "pushpins": [2, 3]}]


def test_who_does_not_lead_writes_and_shows_nothing(world):
    world.turn()
    assert (_viewers(ONE), _viewers(TWO)) == (2, 3)
    world.leads = False
    world.pushpins[ONE] = 7
    world.turn()
    assert len(world.records) == 1
    assert (_viewers(ONE), _viewers(TWO)) == (None, None)
    world.leads = True
    world.turn()
    assert world.records[-1] == {"total": 10, "pushpins": [7, 3]}


def test_a_pushpin_that_refuses_counts_0_at_once(world):
    world.turn()
    world.pushpins[TWO] = _refusal()
    world.turn()
    assert world.records[-1] == {"total": 2, "pushpins": [2, 0]}


@pytest.mark.parametrize(
    "error", [requests.ReadTimeout(), requests.ConnectTimeout(), requests.HTTPError(), ValueError()]
)
def test_a_pushpin_that_does_not_answer_keeps_its_count_for_a_while(world, error):
    world.turn()
    world.pushpins[TWO] = error
    world.turn(SILENT_S - 0.5)
    assert world.records[-1] == {"total": 5, "pushpins": [2, 3]}
    world.turn(0.5)
    assert world.records[-1] == {"total": 2, "pushpins": [2, 0]}


def test_a_pushpin_that_hung_when_counting_began_counts_0(world):
    world.pushpins[TWO] = requests.ReadTimeout()
    world.turn()
    assert world.records == [{"total": 2, "pushpins": [2, 0]}]


def test_a_pushpin_that_left_is_forgotten(world):
    world.turn()
    del world.pushpins[TWO]
    world.turn()
    assert world.records[-1] == {"total": 2, "pushpins": [2]}
    assert _viewers(TWO) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (VIEWERS, None),
        (VIEWERS.replace("values.viewers", 'values."view*"'), "has no [values.viewers]"),
        (VIEWERS.replace("latest", "sum"), "is not reduce"),
        (VIEWERS + 'field = "total"\n', "is not reduce"),
        (VIEWERS.replace('topic = "presence"\n', ""), "anybody may post"),
    ],
)
def test_which_tables_have_presence(text, fault):
    found = presence.fault(values.parse(DEFAULT + text))
    assert found is None if fault is None else fault in found


class _Metrics(BaseHTTPRequestHandler):
    text = b""

    def do_GET(self):
        assert self.path == "/metrics"
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, format, *args):
        """Quiet."""


def test_what_a_pushpin_says_is_read_and_nothing_else_taken_for_it():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Metrics) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        _Metrics.text = b"# HELP connection_connected x\nconnection_connected 12\nother 3\n"
        assert PushpinMetrics()(url) == 12
        _Metrics.text = b"other 3\n"
        with pytest.raises(ValueError, match="connection_connected"):
            PushpinMetrics()(url)
        server.shutdown()
