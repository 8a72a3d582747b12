"""HTTP/2 at the front door: any number of streams on one connection, each alive."""

from __future__ import annotations

import asyncio
import contextlib

import httpx

from tests.front_door.happenings import SUM, begin, event, release

STREAMS = 20
PATIENCE_S = 30
PATHS = (f"/values/{SUM}?as=sse", "/values/counter?as=sse", "/stream", "/events/test/")


async def _read(pieces, shown):
    seen = ""
    async for piece in pieces:
        seen += piece
        if shown(seen):
            return
    raise AssertionError(f"the stream ended, with {seen!r}")


async def _assert_all_live(stack, streams):
    """Something happens on each path, and each stream brings it."""
    own = await asyncio.to_thread(release, stack, SUM)
    counter = await asyncio.to_thread(release, stack, "counter")
    topic = await asyncio.to_thread(event, stack, "test")
    shown = dict(zip(PATHS, (own, counter, counter, topic), strict=True))
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(_read(pieces, shown[path]) for path, pieces in streams))


async def _watch(stack, door):
    # A client with one connection: over HTTP/1.1 all but one stream would wait for it.
    limits = httpx.Limits(max_connections=1)
    timeout = httpx.Timeout(PATIENCE_S)
    async with (
        httpx.AsyncClient(
            verify=door.context, http2=True, base_url=door.url, limits=limits, timeout=timeout
        ) as client,
        contextlib.AsyncExitStack() as first_half,
        contextlib.AsyncExitStack() as second_half,
    ):
        streams = []
        for number in range(STREAMS):
            half = first_half if number < STREAMS // 2 else second_half
            path = PATHS[number % len(PATHS)]
            answer = await half.enter_async_context(client.stream("GET", path))
            assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
            streams.append((path, answer.aiter_text()))
        await _assert_all_live(stack, streams)
        # Requests between them, and streams that end, disturb none of the others.
        assert (await client.get("/values/counter")).status_code == 200
        await first_half.aclose()
        await _assert_all_live(stack, streams[STREAMS // 2 :])


def test_twenty_streams_on_one_connection_are_all_alive(stack, tls_door):
    begin(stack)
    asyncio.run(_watch(stack, tls_door))
