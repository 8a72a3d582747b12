"""Idempotency keys, as HTTP and Kafka bring them."""

from __future__ import annotations

import pytest

from holdfast.errors import UpdateError
from holdfast.idempotency import digest, parse_header


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (None, None),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", b"8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"quoted"', b"quoted"),
        (" a ", b"a"),
        ("~" * 255, b"~" * 255),
        ("a=b;c+d/e", b"a=b;c+d/e"),
    ],
)
def test_a_key_is_taken_with_and_without_its_quotes(text, key):
    assert parse_header(text) == key


@pytest.mark.parametrize(
    "text", ["", " ", '""', '"', 'a"b', "a,b", "a b", "a\tb", "a\rb", "\x7f", "é", "x" * 256]
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(UpdateError) as refused:
        parse_header(text)
    assert refused.value.status == 400


def test_what_is_remembered_of_a_key_has_one_length():
    assert digest(None) == b""
    assert len(digest(b"a")) == len(digest(b"a" * 255)) == 16
    assert digest(b"a") != digest(b"b")


@pytest.mark.parametrize("key", [b"", b"x" * 256])
def test_a_record_with_an_impossible_key_is_malformed(key):
    with pytest.raises(UpdateError):
        digest(key)
