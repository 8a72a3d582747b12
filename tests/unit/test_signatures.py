"""Who may ask for a hold: Pushpin by a shared key, Fanout by the public one that Fastly names."""

from __future__ import annotations

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from werkzeug.exceptions import Forbidden

from holdfast import config
from holdfast.errors import ConfigError
from holdfast.public_keys import public_keys
from origin.grip import Signatures

SHARED = "a key of 32 bytes and a few more, shared"
ISSUER = "fastly:SU1Z0isxPaozGVKXdv0eY"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


def pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def jwk(key):
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


FORMS = {
    "PEM": pem(PRIVATE).decode(),
    "JWK": json.dumps(jwk(PRIVATE)),
    "JWKS": json.dumps({"keys": [jwk(OTHER), jwk(PRIVATE)]}),
}


def token(key=PRIVATE, algorithm="ES256", **claims):
    return jwt.encode({"iss": ISSUER, "exp": soon(), **claims}, key, algorithm)


def soon():
    return int(time.time()) + 3600


def signed(signatures, signature):
    with Flask("test").test_request_context(headers={"Grip-Sig": signature}):
        return signatures.signed()


@pytest.fixture(params=FORMS)
def fanout(request):
    """An origin behind Fanout, told of its key in one of the forms."""
    settings = config.load(
        {
            "HOLDFAST_GRIP_VERIFY_KEY": FORMS[request.param],
            "HOLDFAST_FASTLY_SERVICE_ID": ISSUER.partition(":")[2],
        }
    )
    settings.require("origin")
    return Signatures(
        settings.optional("grip_key"), settings.grip_verify_key or (), settings.issuer
    )


def test_what_fanout_signs_for_this_service_counts(fanout):
    assert signed(fanout, token())


def test_pushpins_and_fanouts_may_stand_before_one_origin():
    both = Signatures(SHARED, public_keys(FORMS["PEM"]), ISSUER)
    assert signed(both, token())
    assert signed(both, token(SHARED, "HS256", iss="pushpin"))


def by_hand(algorithm, sign=lambda signed: b""):
    """A token that no library makes."""
    parts = [{"alg": algorithm, "typ": "JWT"}, {"iss": ISSUER, "exp": soon()}]
    text = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts
    )
    return (text + b"." + base64.urlsafe_b64encode(sign(text)).rstrip(b"=")).decode()


def hmac_by(key):
    return lambda text: jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        text, key
    )


FORGERIES = {
    "another customer's": lambda: token(iss="fastly:another"),
    "nobody's": lambda: jwt.encode({"exp": soon()}, PRIVATE, "ES256"),
    "expired": lambda: token(exp=int(time.time()) - 60),
    "without an end": lambda: jwt.encode({"iss": ISSUER}, PRIVATE, "ES256"),
    "another key's": lambda: token(ec.generate_private_key(ec.SECP256R1())),
    "not signed": lambda: by_hand("none"),
    # Who knows the public key signs by it as if it were a shared one.
    "the PEM as a secret": lambda: by_hand("HS256", hmac_by(pem(PRIVATE))),
    "the JWK as a secret": lambda: by_hand("HS256", hmac_by(FORMS["JWK"].encode())),
    "empty secret": lambda: by_hand("HS256", hmac_by(b"")),
    "cut": lambda: token()[:-4],
    "garbage": lambda: "x",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_refused(fanout, forgery):
    with pytest.raises(Forbidden, match="HOLDFAST_GRIP_VERIFY_KEY"):
        signed(fanout, FORGERIES[forgery]())


def test_the_public_key_signs_nothing_that_counts_for_the_shared_one():
    with pytest.raises(Forbidden):
        signed(Signatures(SHARED), token())
    with pytest.raises(Forbidden):
        signed(Signatures(None, public_keys(FORMS["PEM"]), ISSUER), token(SHARED, "HS256"))


def test_the_issuer_may_be_named(environment):
    environment(GRIP_VERIFY_KEY=FORMS["JWK"], GRIP_VERIFY_ISS="mine")
    assert config.load().issuer == "mine"
    environment(GRIP_VERIFY_ISS="", FASTLY_SERVICE_ID="abc")
    assert config.load().issuer == "fastly:abc"


def test_a_key_may_come_from_a_file(environment, tmp_path):
    (tmp_path / "key").write_bytes(pem(PRIVATE))
    environment(GRIP_VERIFY_KEY_FILE=str(tmp_path / "key"))
    assert len(config.load().grip_verify_key) == 1


RSA = rsa.generate_private_key(65537, 2048)
SECRET = PRIVATE.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()


def test_an_rsa_key_is_one_too():
    signatures = Signatures(None, public_keys(pem(RSA).decode()), ISSUER)
    assert signed(signatures, token(RSA, "RS256"))
    assert public_keys(json.dumps(RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("s3cret-mark", "neither PEM nor JSON"),
        ('["s3cret-mark"]', "a JSON object"),
        ("{}", "not a JWK"),
        ('{"keys": []}', "a list of keys"),
        ('{"keys": ["s3cret-mark"]}', "secret"),
        ('{"kty": "oct", "k": "czNjcmV0LW1hcms"}', "secret"),
        (json.dumps(ECAlgorithm.to_jwk(PRIVATE, as_dict=True)), "secret"),
        (SECRET, "no public key"),
        (pem(ed25519.Ed25519PrivateKey.generate()).decode(), "neither an EC nor an RSA key"),
        (pem(ec.generate_private_key(ec.SECP384R1())).decode(), "ES256"),
        ("-----BEGIN PUBLIC KEY-----\ns3cret-mark", "no public key"),
    ],
)
def test_what_is_no_public_key_is_a_fault_that_shows_nothing_of_it(environment, text, why):
    environment(GRIP_VERIFY_KEY=text)
    with pytest.raises(ConfigError) as fault:
        config.load()
    assert str(fault.value).startswith("HOLDFAST_GRIP_VERIFY_KEY: ")
    assert why in str(fault.value)
    assert "s3cret-mark" not in str(fault.value)
