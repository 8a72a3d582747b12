"""Fastly's own client (PyPI: fastly) against the stand-in's purge API."""

from __future__ import annotations

import fastly
import httpx
import pytest
from fastly.api.purge_api import PurgeApi

from tests.e2e.viewers import until

SERVICE = "holdfast"


@pytest.fixture
def purge_api(stack):
    """purge_api(key): the client with this key."""
    clients = []

    def make(key):
        configuration = fastly.Configuration(host=stack.varnish_urls[0])
        configuration.api_token = key
        client = fastly.ApiClient(configuration)
        clients.append(client)
        return PurgeApi(client)

    yield make
    for client in clients:
        client.close()


def _cached(stack, path):
    return httpx.get(stack.varnish_urls[0] + path).headers["X-Cache"]


def _warm(stack, *paths):
    for path in paths:
        until(lambda path=path: _cached(stack, path) == "HIT", f"{path} in the cache")


def test_a_key_is_purged(stack, purge_api):
    api = purge_api(stack.fastly_key)
    for soft in ({}, {"fastly_soft_purge": 1}):
        _warm(stack, "/values/visits", "/values/headline")
        answer = api.purge_tag(SERVICE, "value:visits", **soft)
        assert answer.status == "ok"
        assert answer.id
        assert _cached(stack, "/values/visits") == "MISS"
        assert _cached(stack, "/values/headline") == "HIT"


def test_a_batch_of_256_keys_is_purged_by_its_first_and_its_last(stack, purge_api):
    _warm(stack, "/values/visits", "/values/headline")
    keys = ["value:visits", *(f"value:{'x' * 50}{n}" for n in range(254)), "value:headline"]
    answer = purge_api(stack.fastly_key).bulk_purge_tag(SERVICE, surrogate_key=" ".join(keys))
    assert set(answer.to_dict() if hasattr(answer, "to_dict") else answer) == set(keys)
    assert _cached(stack, "/values/visits") == "MISS"
    assert _cached(stack, "/values/headline") == "MISS"


def test_more_than_256_keys_are_refused(stack, purge_api):
    with pytest.raises(fastly.ApiException) as refused:
        purge_api(stack.fastly_key).bulk_purge_tag(
            SERVICE, surrogate_key=" ".join(f"k{n}" for n in range(257))
        )
    assert refused.value.status == 400


def test_a_url_is_purged(stack, purge_api):
    _warm(stack, "/values/visits", "/values/headline")
    answer = purge_api(stack.fastly_key).purge_single_url("127.0.0.1/values/visits")
    assert answer.status == "ok"
    assert _cached(stack, "/values/visits") == "MISS"
    assert _cached(stack, "/values/headline") == "HIT"


def test_everything_is_purged(stack, purge_api):
    _warm(stack, "/values/visits", "/values/headline")
    assert purge_api(stack.fastly_key).purge_all(SERVICE).status == "ok"
    assert _cached(stack, "/values/visits") == "MISS"
    assert _cached(stack, "/values/headline") == "MISS"


@pytest.mark.parametrize("key", ["wrong", ""])
def test_a_wrong_key_purges_nothing(stack, purge_api, key):
    api = purge_api(key)
    _warm(stack, "/values/visits")
    for call in (
        lambda: api.purge_tag(SERVICE, "value:visits"),
        lambda: api.bulk_purge_tag(SERVICE, surrogate_key="value:visits"),
        lambda: api.purge_single_url("127.0.0.1/values/visits"),
        lambda: api.purge_all(SERVICE),
    ):
        with pytest.raises(fastly.ApiException) as refused:
            call()
        assert refused.value.status == 401
    assert _cached(stack, "/values/visits") == "HIT"


def test_another_service_is_not_this_ones_to_purge(stack, purge_api):
    with pytest.raises(fastly.ApiException) as refused:
        purge_api(stack.fastly_key).purge_all("another")
    assert refused.value.status == 401
