"""Public keys, in the forms in which they are published."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, PyJWTError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

# Never HS256: who knows a public key could sign by it.
ALGORITHMS = ("ES256", "RS256")


def public_keys(text: str) -> tuple[PyJWK, ...]:
    """The keys in `text`: PEM, a JWK or a JWKS (RFC 7517). ValueError says what is wrong, without
    showing anything of it.
    """
    if "-----BEGIN" in text:
        return (_usable(_of_pem(text)),)
    try:
        document = json.loads(text)
    except ValueError:
        raise ValueError("neither PEM nor JSON") from None
    if not isinstance(document, dict):
        raise ValueError("a JWK is a JSON object")
    found = document.get("keys", [document])
    if not isinstance(found, list) or not found:
        raise ValueError("a JWKS has a list of keys")
    return tuple(_usable(each) for each in found)


def _of_pem(text: str) -> dict[str, Any]:
    try:
        key = load_pem_public_key(text.encode())
    except ValueError:
        raise ValueError("the PEM holds no public key") from None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, rsa.RSAPublicKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    raise ValueError("neither an EC nor an RSA key")


def _usable(document: Any) -> PyJWK:
    if not isinstance(document, dict) or "d" in document or document.get("kty") == "oct":
        raise ValueError("it is a secret one, or none")
    try:
        key = PyJWK(document)
    except (PyJWTError, ValueError, TypeError):
        raise ValueError("not a JWK") from None
    if key.algorithm_name not in ALGORITHMS:
        raise ValueError(f"its algorithm is none of {', '.join(ALGORITHMS)}")
    return key
