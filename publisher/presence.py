"""Presence: how many connections all Pushpins hold, as the live value `viewers`.

Pushpins are asked for their metrics once a second. What they say is compared with what `viewers`
is, and where the two differ a record goes to its topic, which feeds it as any other value. So it
doesn't matter who counted before, or what became of a record: whoever leads now puts it right.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import requests
from confluent_kafka import KafkaException, Producer

from holdfast.errors import UnavailableError
from holdfast.value_states import ValueStates
from holdfast.values import HOME_TOPIC, Rules, Values
from publisher import metrics
from publisher.scrape import VIEWERS, read

log = logging.getLogger(__name__)

NAME = "viewers"
INTERVAL_S = 1.0
TIMEOUT_S = 1.0  # of a question to a Pushpin, to connect and to answer
SILENT_S = 3.0  # a Pushpin that does not answer keeps its count for so long: it may be busy
AGAIN_S = 3.0  # a record that has not come through is written again after that
AT_ONCE = 16  # Pushpins that are asked at the same time

# The connections that the Pushpin at this metrics URL holds. Raises requests.RequestException, or
# ValueError when it is no Pushpin.
Ask = Callable[[str], int]


def fault(values: Values) -> str | None:
    """What keeps values.toml from having presence; None = nothing."""
    rules = values.rules(NAME) if values.configured(NAME) else None
    if rules is None:
        return f"values.toml has no [values.{NAME}]"
    if rules.reduce != "latest" or rules.field is not None:
        return f'[values.{NAME}] is not reduce = "latest" without a field'
    if rules.topic == HOME_TOPIC:
        return f"[values.{NAME}] has no topic of its own, so that anybody may post to it"
    return None


class PushpinMetrics:
    """Asks Pushpins over HTTP; from any thread."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        # One that is kept, and breaks as it is used again, would look like a Pushpin that hangs.
        self._session.headers["Connection"] = "close"
        adapter = requests.adapters.HTTPAdapter(pool_connections=AT_ONCE, pool_maxsize=AT_ONCE)
        self._session.mount("http://", adapter)

    def __call__(self, url: str) -> int:
        answer = self._session.get(f"{url}/metrics", timeout=TIMEOUT_S)
        answer.raise_for_status()
        found = read(answer.text, (VIEWERS,)).get(VIEWERS)
        if found is None:
            raise ValueError(f"{url} does not say {VIEWERS}")
        return int(found)


class Counts:
    """The last count of each Pushpin. clock: seconds that only go forward."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="presence")
        self._known: dict[str, tuple[int, float]] = {}  # by URL: the count, and when it was given

    def take(self, urls: Sequence[str]) -> list[int]:
        """How many each holds now. 0 where nobody listens, and after 3 s without an answer."""
        counts = list(self._pool.map(self._count, urls))
        for gone in self._known.keys() - set(urls):
            self._drop(gone)
        return counts

    def forget(self) -> None:
        """Another publisher counts from now on."""
        for url in list(self._known):
            self._drop(url)

    def _drop(self, url: str) -> None:
        del self._known[url]
        metrics.VIEWERS.remove(url)

    def _count(self, url: str) -> int:
        before, given = self._known.get(url, (0, -SILENT_S))
        try:
            count, given = self._ask(url), self._clock()
        except (requests.RequestException, ValueError) as error:
            metrics.PRESENCE_ERRORS.inc()
            log.debug("%s is not counted: %s", url, error)
            silent = self._clock() - given >= SILENT_S
            count = 0 if silent or refused(error) else before
        self._known[url] = (count, given)
        metrics.VIEWERS.labels(url).set(count)
        return count


def refused(error: BaseException | None) -> bool:
    """Whether nobody listens there: the process has ended, and its connections with it."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def value(counts: Iterable[int]) -> dict[str, Any]:
    """What `viewers` shows: no addresses, since everybody may read it."""
    per_pushpin = list(counts)
    return {"total": sum(per_pushpin), "pushpins": per_pushpin}


class Presence(threading.Thread):
    """Every second, while `leads()`: counts, and writes what has changed. turn() is one of them."""

    def __init__(
        self,
        rules: Rules,
        urls: Callable[[], Sequence[str]],
        counts: Counts,
        states: ValueStates,
        producer: Producer,
        leads: Callable[[], bool],
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="presence", daemon=True)
        self._rules = rules
        self._urls = urls
        self._counts = counts
        self._states = states
        self._producer = producer
        self._leads = leads
        self._stopping = stopping
        self._clock = clock
        self._written: tuple[dict[str, Any], float] | None = None

    def run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            try:
                self.turn()
            except UnavailableError as error:
                metrics.REDIS_ERRORS.inc()
                log.debug("viewers are not compared: %s", error)
            except (KafkaException, BufferError) as error:
                metrics.KAFKA_ERRORS.inc()
                log.warning("viewers are not written: %s", error)

    def turn(self) -> None:
        """Raises UnavailableError (Redis), KafkaException, BufferError."""
        if not self._leads():
            self._counts.forget()
            self._written = None
            return
        now = value(self._counts.take(self._urls()))
        (state,) = self._states.read([self._rules])
        if state.working is not None and msgspec.json.decode(state.working) == now:
            self._written = None
            return
        if self._written is not None:
            written, at = self._written
            if written == now and self._clock() - at < AGAIN_S:
                return  # on its way
        self._producer.produce(
            self._rules.topic,
            key=(self._rules.key or NAME).encode(),
            value=msgspec.json.encode(now),
        )
        self._written = (now, self._clock())
        self._producer.poll(0)
