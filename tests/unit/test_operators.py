"""Operators' tokens and addresses, as the environment and a request's headers say them."""

from __future__ import annotations

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from holdfast.operator_tokens import named_tokens
from origin.operators import client_address

LONG = "a-token-of-16-ch"


def test_tokens_are_named():
    assert named_tokens(f"alice:{LONG}, bob:{LONG}2,") == {"alice": LONG, "bob": f"{LONG}2"}
    assert named_tokens("") == {}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (LONG, 1),
        (f":{LONG}", 1),
        ("alice:secret", 1),
        (f"alice:{LONG},alice:{LONG}2", 2),
        (f"alice:{LONG},bob:{LONG} x", 2),
        (f"al ice:{LONG}", 1),
        (f"alice:{LONG}:x", 1),
        (f"alice:{LONG}é", 1),
    ],
)
def test_an_entry_that_is_none_is_named_by_its_place_and_never_shown(text, place):
    with pytest.raises(ValueError, match=f"entry {place} ") as fault:
        named_tokens(text)
    assert LONG not in str(fault.value)
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        (None, 2, "9.9.9.9"),
        ("1.1.1.1, 127.0.0.1", 2, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 127.0.0.1", 2, "1.1.1.1"),
        ("6.6.6.6", 2, "9.9.9.9"),
        ("6.6.6.6, 1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1", 0, "9.9.9.9"),
        (", 127.0.0.1", 2, "9.9.9.9"),
    ],
)
def test_a_client_s_address_is_what_the_outermost_proxy_says(forwarded, proxies, address):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    environ = EnvironBuilder(headers=headers, environ_base={"REMOTE_ADDR": "9.9.9.9"}).get_environ()
    assert client_address(Request(environ), proxies) == address
