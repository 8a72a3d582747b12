"""Tokens of readers and posters: which count, and what the others are refused for."""

from __future__ import annotations

import base64
import http.server
import json
import threading

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from holdfast import config, topics, values
from holdfast.access_tokens import SharedKey, TokenError, Verifier
from holdfast.errors import ConfigError, UnavailableError
from holdfast.jwks import PAUSE_S, Jwks
from origin.access import Access
from tests.tokens import KEY, token

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
LOGIN = {"iss": "https://login.example"}
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def refused(verifier, text):
    with pytest.raises(TokenError) as caught:
        verifier.grant(text)
    assert not text or text not in str(caught.value)
    return caught.value.reason


def test_a_token_allows_what_it_names_and_nothing_else():
    grant = Verifier(SharedKey(KEY), "holdfast").grant(
        token(read=["price.*", "score"], write=["counter"])
    )
    assert grant.allows("read", "price.BTC")
    assert grant.allows("read", "score")
    assert grant.allows("write", "counter")
    for right, name in (
        ("read", "scores"),
        ("read", "pric"),
        ("read", "counter"),
        ("write", "score"),
        ("events", "price.BTC"),
    ):
        assert not grant.allows(right, name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid"),
        ("a.b.c", "invalid"),
        ("x" * 5000, "invalid"),
        (token(key="another key that nobody here knows of"), "invalid"),
        (token(lives_s=-60, claims=LOGIN), "expired"),
        (token(leave_out="exp", claims=LOGIN), "invalid"),
        (token(aud="another", claims=LOGIN), "audience"),
        (token(leave_out="aud", claims=LOGIN), "audience"),
        (token(claims={"iss": "https://else.example"}), "issuer"),
        (token(), "issuer"),
        (token(claims={**LOGIN, "nbf": 4_000_000_000}), "not yet"),
        (token(claims=LOGIN, read="everything"), "invalid"),
        (token(claims={**LOGIN, "holdfast": "*"}), "invalid"),
        (token(algorithm="HS512", claims=LOGIN), "invalid"),
        (token(key=None, algorithm="none", claims=LOGIN), "invalid"),
    ],
)
def test_a_token_that_is_wrong_is_refused_for_what_is_wrong_with_it(text, reason):
    assert refused(Verifier(SharedKey(KEY), "holdfast", LOGIN["iss"]), text) == reason


def test_clocks_may_be_apart_by_the_leeway():
    text = token(lives_s=-5)
    assert refused(Verifier(SharedKey(KEY), "holdfast"), text) == "expired"
    Verifier(SharedKey(KEY), "holdfast", leeway_s=30).grant(text)


class Issuer:
    """A server of a JWKS."""

    def __init__(self):
        self.keys = []
        self.asked = 0
        self.fails = False
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                self.send_response(500 if issuer.fails else 200)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": issuer.keys}).encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def issuer():
    issuer = Issuer()
    issuer.keys = [
        # For encryption, and of a kind that we can't check: no reason to refuse the others.
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "use": "enc", "kid": "enc"},
        {"kty": "unheard of", "kid": "new"},
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa"},
    ]
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


def test_a_jwks_is_asked_once_and_again_for_a_new_key_but_not_for_each_made_up_one(issuer):
    now = [0.0]
    verifier = Verifier(Jwks(issuer.url, lambda: now[0]), "holdfast")
    text = token(key=RSA, algorithm="RS256", key_id="rsa", read=["a"])
    assert verifier.grant(text).read == ("a",)
    for number in range(50):
        made_up = token(key=RSA, algorithm="RS256", key_id=f"made up {number}")
        assert refused(verifier, made_up) == "invalid"
    assert issuer.asked == 1

    issuer.keys.append({**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "ec"})
    now[0] += PAUSE_S
    verifier.grant(token(key=EC, algorithm="ES256", key_id="ec"))
    assert issuer.asked == 2

    issuer.fails = True
    now[0] += 10_000
    verifier.grant(text)
    assert issuer.asked == 3


def test_without_any_key_nobody_can_be_told_apart(issuer):
    issuer.fails = True
    with pytest.raises(UnavailableError):
        Verifier(Jwks(issuer.url), "holdfast").grant(token(key=RSA, algorithm="RS256"))


def test_a_jwks_may_be_a_file(tmp_path):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [ECAlgorithm.to_jwk(EC.public_key(), as_dict=True)]}))
    Verifier(Jwks(file.as_uri()), "holdfast").grant(token(key=EC, algorithm="ES256"))


def test_a_public_key_is_no_shared_secret(issuer):
    # Signed by what everybody can read, as if it were a secret. PyJWT itself would not make it.
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (
            {"alg": "HS256", "kid": "rsa"},
            {"aud": "holdfast", "exp": 4_000_000_000, "holdfast": {"read": ["*"]}},
        )
    )
    for secret in (RSA_PEM, json.dumps(issuer.keys[2]).encode()):
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
            head + b"." + body, secret
        )
        forged = b".".join((head, body, base64.urlsafe_b64encode(signature).rstrip(b"=")))
        verifier = Verifier(Jwks(issuer.url), "holdfast")
        assert refused(verifier, forged.decode()) == "invalid"


PRIVATE = """
[values.counter]
reduce = "sum"
default = true
[values.secret]
reduce = "latest"
private = true
"""


def access(text, **environ):
    environ = {f"HOLDFAST_{name.upper()}": value for name, value in environ.items()}
    settings = config.load(environ)
    settings.require("origin")
    return Access.of(settings, values.parse(text), topics.parse(text))


def test_something_private_without_a_key_is_no_configuration():
    with pytest.raises(ConfigError, match="HOLDFAST_JWT_KEY"):
        access(PRIVATE, grip_key="g" * 32)
    events = '[values.counter]\nreduce = "sum"\ndefault = true\n[events.a]\nprivate = true\n'
    with pytest.raises(ConfigError, match="HOLDFAST_JWT_KEY"):
        access(events, grip_key="g" * 32)
    with pytest.raises(ConfigError, match="can't be private"):
        values.parse('[values.a]\nreduce = "sum"\ndefault = true\nprivate = true\n')
    assert access(PRIVATE, grip_key="g" * 32, jwt_key=KEY).verifier is not None


@pytest.mark.parametrize(
    "environ",
    [
        {"jwt_key": "too short"},
        {"jwt_key": KEY, "jwt_jwks_url": "https://login.example/keys"},
        {"jwt_jwks_url": "login.example/keys"},
        {"allowed_origins": "another.example"},
        {"allowed_origins": "https://another.example/path"},
    ],
)
def test_a_wrong_setting_is_named_and_not_shown(environ):
    with pytest.raises(ConfigError) as caught:
        access(PRIVATE, grip_key="g" * 32, **environ)
    assert any(f"HOLDFAST_{name.upper()}" in str(caught.value) for name in environ)
    assert not any(value in str(caught.value) for value in environ.values())
