"""HTTPS at the front door: what it speaks, what it refuses, and what it says to plain HTTP."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest

from tests.hostile.raw import conversation, exchange


def _client(door, **settings):
    return httpx.Client(verify=door.context, base_url=door.url, timeout=30, **settings)


def test_http2_and_http1_are_both_spoken(tls_door):
    for http2, version in ((True, "HTTP/2"), (False, "HTTP/1.1")):
        with _client(tls_door, http2=http2) as client:
            answer = client.get("/values/counter")
            assert (answer.status_code, answer.http_version) == (200, version)
            posted = client.post("/values/counter", json={"add": 1})
            assert posted.status_code == 202


def _handshake(door, version, ciphers=""):
    """The version that was agreed on with a client who knows this one only."""
    context = ssl.create_default_context(cafile=door.certificate.file)
    # Debian's own OpenSSL would not even ask for what is old.
    context.set_ciphers(f"{ciphers or 'ALL'}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", door.port), 30) as peer,
        context.wrap_socket(peer, server_hostname="localhost") as secured,
    ):
        return secured.version()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_and_ciphers_without_forward_secrecy_are_refused(tls_door):
    assert _handshake(tls_door, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert _handshake(tls_door, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol version"):
            _handshake(tls_door, version)
    for ciphers in ("kRSA", "AES256-SHA", "ECDHE-ECDSA-AES128-SHA"):
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake failure"):
            _handshake(tls_door, ssl.TLSVersion.TLSv1_2, ciphers)


def test_a_client_that_does_not_trust_the_certificate_gets_nothing(tls_door):
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(tls_door.url)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_comes_back_needs_no_whole_handshake(tls_door, version):
    context = ssl.create_default_context(cafile=tls_door.certificate.file)
    context.minimum_version = context.maximum_version = version
    session = None
    for again in (False, True):
        with (
            socket.create_connection(("127.0.0.1", tls_door.port), 30) as peer,
            context.wrap_socket(peer, server_hostname="localhost", session=session) as secured,
        ):
            secured.sendall(b"GET /values/counter HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while secured.recv(65_536):
                pass
            assert secured.session_reused is again
            session = secured.session


def _plain(door):
    return f"http://127.0.0.1:{door.port}"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_plain_http_is_sent_to_https(tls_door, method):
    body = {"json": {"add": 1}} if method == "POST" else {}
    with httpx.Client(verify=tls_door.context, timeout=30) as client:
        answer = client.request(method, f"{_plain(tls_door)}/values/counter?as=json", **body)
        assert answer.status_code == 308
        assert answer.headers["Location"] == f"{tls_door.url}/values/counter?as=json"
        # Whether the host may be had over HTTPS only is nothing to learn from plain HTTP.
        assert "Strict-Transport-Security" not in answer.headers
        followed = client.send(answer.next_request)
        assert followed.status_code == (202 if method == "POST" else 200)


@pytest.mark.parametrize("host", ["", "Host: evil.example/?\r\n", "Host: a b\r\n"])
def test_plain_http_without_a_host_to_send_it_to_is_told_what_to_speak(tls_door, host):
    sent = f"GET / HTTP/1.0\r\n{host}\r\n".encode()
    (answer,) = conversation(_plain(tls_door), sent)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"evil" not in answer.body


def test_what_is_neither_is_only_hung_up_on(tls_door):
    exchange(_plain(tls_door), b"\x16\x03\x01\x00\x05hello", most_s=5)
    with _client(tls_door) as client:
        assert client.get("/values/counter").status_code == 200
