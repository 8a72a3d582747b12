"""One round: load, a fault in the middle of it, and the judgement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import httpx

from stack.chaos.check import Outcome, beyond_rate, lost_and_doubled
from stack.chaos.faults import Fault
from stack.chaos.posters import Posters
from stack.chaos.socket_viewers import SocketViewer
from stack.chaos.spread import PurgeWatch
from stack.chaos.viewers import Viewer
from stack.stack import Stack

NAMES = tuple(f"load.{letter}" for letter in "abcdefgh")
RATE, BURST = 1.0, 1  # what values.toml of the chaos stack says
WARM_UP_S = 3.0
AFTERWARDS_S = 3.0
RECOVERY_S = 60.0
SETTLE_S = 30.0
VALUES = f"""
[defaults]
rate = {RATE}
burst = {BURST}
[values.counter]
reduce = "sum"
default = true
[values."load.*"]
reduce = "sum"
"""


@dataclass(frozen=True, slots=True)
class Load:
    """updates: per second over all values. hang_s: how long a fault lasts that has a length."""

    updates: float = 200.0
    viewers: int = 50
    hang_s: float = 10.0


async def prepare(base: str) -> None:
    """A family's name exists from its first release on."""
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        for name in NAMES:
            (await client.post(f"/values/{name}", json={"add": 0})).raise_for_status()
        for name in NAMES:
            await _until(lambda name=name: _snapshot(client, name), SETTLE_S)  # type: ignore[misc]


async def play(
    stack: Stack, part: str, fault: Fault, load: Load, say: Callable[[str], None]
) -> Outcome:
    """One fault of one part under load, and what came of it."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=stack.url, trust_env=False, limits=limits) as client:
        start = {name: await _value(client, name) for name in NAMES}
        viewers = [_viewer(client, number) for number in range(load.viewers)]
        watching = [asyncio.create_task(viewer.watch()) for viewer in viewers]
        posters = Posters(stack.url, NAMES, load.updates)
        mend: Callable[[], None] | None = None
        watch = PurgeWatch(stack)
        try:
            say("load")
            await _until(lambda: _all(viewer.releases for viewer in viewers), SETTLE_S)
            posters.start()
            watch.start()
            await asyncio.sleep(WARM_UP_S)
            say(fault.name)
            began = time.monotonic()
            mend = await asyncio.to_thread(fault.happen, stack, part, load.hang_s)
            # A kill is over at once, a restart when the part is started again.
            over = time.monotonic()
            say("recovery")
            recovered = await _until(
                lambda: _all(viewer.first_after(over) for viewer in viewers), RECOVERY_S
            )
            await asyncio.to_thread(stack.wait_ready)
            await asyncio.sleep(AFTERWARDS_S)
            say("judgement")
            ended = time.monotonic()
            unanswered = await posters.stop(SETTLE_S)
            expected = {name: start[name] + posters.acknowledged[name] for name in NAMES}
            found = await _settle(client, viewers, expected)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            spreads = watch.stop()
            if mend is not None:
                await asyncio.to_thread(mend)
                await asyncio.to_thread(stack.wait_ready)
    lost, doubled = lost_and_doubled(expected, found, NAMES[-1])
    return Outcome(
        part=part,
        fault=fault.name,
        updates=posters.count,
        retries=posters.retries,
        lost=lost,
        doubled=doubled,
        silence_s=max(viewer.longest_silence_s(began, ended) for viewer in viewers),
        recovery_s=max((viewer.first_after(over) or ended) - over for viewer in viewers),
        resets=sum(viewer.resets for viewer in viewers),
        faults=tuple(
            _faults(viewers, expected, unanswered, recovered, extra=BURST if fault.forgets else 0)
        ),
        spreads=() if part.startswith("varnish") else tuple(spreads),
    )


def _viewer(client: httpx.AsyncClient, number: int) -> Viewer:
    """Of each value, every third viewer has a WebSocket."""
    turn, value = divmod(number, len(NAMES))
    return (SocketViewer if turn % 3 == 2 else Viewer)(client, NAMES[value])


def _faults(
    viewers: Sequence[Viewer],
    expected: dict[str, int],
    unanswered: int,
    recovered: bool,
    *,
    extra: int,
) -> list[str]:
    faults = [violation for viewer in viewers for violation in viewer.violations]
    if unanswered:
        faults.append(f"{unanswered} updates were never acknowledged")
    if not recovered:
        faults.append(f"some viewer saw no release within {RECOVERY_S:g} s after the fault")
    wrong = [viewer for viewer in viewers if viewer.value != expected[viewer.name]]
    if wrong:
        faults.append(
            f"{len(wrong)} viewers ended wrong, e.g. {wrong[0].name}: {wrong[0].value} "
            f"instead of {expected[wrong[0].name]}"
        )
    for name in NAMES:
        versions = [version for v in viewers if v.name == name for _, version, _ in v.releases]
        window = beyond_rate(versions, RATE, BURST, extra=extra)
        if window is not None:
            faults.append(f"{name}: more releases than its rate from {window[0]} to {window[1]}")
    return faults


async def _settle(
    client: httpx.AsyncClient, viewers: Sequence[Viewer], expected: dict[str, int]
) -> dict[str, int]:
    """Wait until the values and all screens show what was acknowledged; the values at the end."""

    async def settled() -> bool:
        if any(viewer.value != expected[viewer.name] for viewer in viewers):
            return False
        return all([await _value(client, name) == value for name, value in expected.items()])

    await _until(settled, SETTLE_S)
    return {name: await _value(client, name) for name in NAMES}


async def _value(client: httpx.AsyncClient, name: str) -> int:
    value: int = 0

    async def ask() -> bool:
        nonlocal value
        answer = await _snapshot(client, name)
        if answer is not None:
            value = answer
        return answer is not None

    if not await _until(ask, SETTLE_S):
        raise TimeoutError(f"no snapshot of {name} within {SETTLE_S:g} s")
    return value


async def _snapshot(client: httpx.AsyncClient, name: str) -> int | None:
    try:
        answer = await client.get(f"/values/{name}", timeout=5)
    except httpx.HTTPError:
        return None
    if answer.status_code != 200:
        return None
    value: int = answer.json()["value"]
    return value


async def _all(things: Iterable[object]) -> bool:
    return all(things)


async def _until(condition: Callable[[], object], timeout_s: float) -> bool:
    """Poll an async condition; whether it came true in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = await condition()  # type: ignore[misc]
        if result is not None and result is not False:
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
