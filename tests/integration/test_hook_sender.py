"""Requests to real receivers: what counts as taken, and that the guard can't be walked around."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager

import pytest

from holdfast.hook_guard import Guard
from holdfast.hooks import hook_of, target_of
from holdfast.operator_settings import Setting
from holdfast.snapshots import Snapshot
from publisher.hooks.message import message
from publisher.hooks.sender import Sender
from tests import certificates
from tests.receiver import SECRET, Receiver

TRUST = ssl.create_default_context()
LOOPBACK = Guard(["127.0.0.0/8"])
SNAPSHOT = Snapshot("counter", b"42", 1764000000123, 1764000000000, 1764000000123)


def sent(url):
    thing = {"url": url, "values": "*", "secret": SECRET}
    hook = hook_of(Setting("hook:0123456789abcdef", 1, "alice", 0, thing))
    return message(hook, SNAPSHOT, time.time())


def post(url, guard=LOOPBACK, *, within_s=8.0, trust=TRUST):
    sender = Sender(target_of(url), guard, trust)
    try:
        return sender.post(sent(url), within_s)
    finally:
        sender.close()


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def test_a_receiver_with_the_librarys_verifier_takes_it(receiver):
    outcome = post(receiver.url)
    assert (outcome.ok, outcome.status) == (True, 200)
    assert receiver.failures == []
    (release,) = receiver.releases
    assert (release["name"], release["value"]) == ("counter", 42)
    headers = receiver.requests[0]
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_an_error_is_a_failure(receiver, status):
    receiver.status = status
    receiver.headers = {"Retry-After": "7"}
    outcome = post(receiver.url)
    assert (outcome.ok, outcome.status, outcome.retry_after_s) == (False, status, 7.0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(receiver, status):
    with Receiver() as other:
        receiver.status, receiver.headers = status, {"Location": other.url}
        outcome = post(receiver.url)
        assert (outcome.ok, outcome.status) == (False, status)
        assert "redirects are not followed" in outcome.error
        assert other.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::ffff:7f00:1]:{port}/",
        "http://[::1]:{port}/",
        "http://[::]:{port}/",
    ],
)
def test_loopback_is_refused_however_it_is_written(receiver, url):
    outcome = post(url.format(port=receiver.port), Guard())
    assert outcome.refused, outcome
    assert receiver.requests == []


def test_a_name_that_points_elsewhere_after_the_check_leads_nowhere(receiver, monkeypatch):
    """DNS rebinding: the second answer would be loopback. There is no second question."""
    asked = []
    real = socket.getaddrinfo

    def rebinding(host, port, *args, **kwargs):
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://rebind.example:{receiver.port}/"
    # Permitted, but nobody listens there.
    sender = Sender(target_of(url), Guard(["127.0.0.2"]), TRUST)
    first = sender.post(sent(url), 8.0)
    assert not first.ok
    assert not first.refused
    assert asked == ["rebind.example"]
    # At the next attempt it is asked again, and judged again.
    assert sender.post(sent(url), 8.0).refused
    assert len(asked) == 2
    assert receiver.requests == []


def test_of_a_names_addresses_only_permitted_ones_are_dialled(receiver, monkeypatch):
    real = socket.getaddrinfo

    def several(host, port, *args, **kwargs):
        if host != "both.example":
            return real(host, port, *args, **kwargs)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.1", "127.0.0.2")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", several)
    url = f"http://both.example:{receiver.port}/"
    # Nobody listens at the second; the first is not permitted.
    outcome = post(url, Guard(["127.0.0.2"]))
    assert not outcome.ok
    assert not outcome.refused
    assert receiver.requests == []
    # The first fails, the second takes it.
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **kw: (
            list(reversed(several(host, *rest, **kw)))
            if host == "both.example"
            else real(host, *rest, **kw)
        ),
    )
    assert post(url).ok
    assert receiver.requests[0]["Host"] == f"both.example:{receiver.port}"


def test_a_name_that_is_not_known_is_a_failure(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert post(f"http://{'a' * 64}.invalid/").error  # no resolver is asked for such a label
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "not known" in post("http://nobody.invalid/").error


def test_who_hangs_is_left_in_time(receiver):
    receiver.go_on.clear()
    began = time.monotonic()
    assert post(receiver.url, within_s=0.5).error == "no answer in time"
    assert time.monotonic() - began < 30


@contextmanager
def raw(*parts, pause_s=0.0):
    """A server that sends these bytes and never ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                for part in parts:
                    connection.sendall(part)
                    ended.wait(pause_s)
            except OSError:
                return
            ended.wait(30)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        ended.set()
        listener.close()


def test_who_answers_drop_by_drop_is_left_in_time():
    began = time.monotonic()
    with raw(b"HTTP/1.1 200 OK\r\n", *([b"X: y\r\n"] * 2000), pause_s=0.05) as url:
        assert post(url, within_s=1.0).error == "no answer in time"
    assert time.monotonic() - began < 60  # of the 100 s that all drops take


def test_an_endless_answer_is_not_read():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    with raw(head, *([b"x" * 65536] * 100)) as url:
        assert post(url).ok


def test_an_answer_whose_body_never_comes_is_one():
    with raw(b"HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n") as url:
        assert post(url).ok
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n") as url:
        assert post(url).ok


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"\x00" * 100, b"HTTP/1.1 x\r\n\r\n"])
def test_what_is_no_http_is_a_failure(answer):
    with raw(answer) as url:
        outcome = post(url, within_s=2.0)
    assert outcome.error
    assert outcome.error.isprintable()


def test_nobody_there_is_a_failure():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refused" in post(f"http://127.0.0.1:{port}/").error


def test_a_certificate_has_to_be_trusted_and_of_that_name(tmp_path):
    made = certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.both)
    trust = ssl.create_default_context(cafile=str(made.authority))
    with Receiver(context=context) as receiver:
        assert "certificate" in post(receiver.url).error
        assert receiver.requests == []
        assert post(receiver.url, trust=trust).ok
        # localhost is the same address, but not the certificate's.
        other = receiver.url.replace("127.0.0.1", "localhost")
        assert "certificate" in post(other, Guard(["127.0.0.0/8", "::1"]), trust=trust).error


def test_a_connection_is_used_again(receiver):
    sender = Sender(target_of(receiver.url), LOOPBACK, TRUST)
    for _ in range(3):
        assert sender.post(sent(receiver.url), 8).ok
    assert len({headers["port"] for headers in receiver.requests}) == 1
    sender.close()
