"""What edge nodes and Pushpins say of themselves, in Prometheus's text format.

https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import requests
from prometheus_client.parser import text_string_to_metric_families

log = logging.getLogger(__name__)

TIMEOUTS_S = (0.3, 0.7)
MOST_AT_ONCE = 8

# Of a Varnish's exporter, and of Pushpin.
HITS, MISSES = "varnish_main_cache_hit", "varnish_main_cache_miss"
REQUESTS, ORIGIN_REQUESTS = "varnish_main_client_req", "varnish_main_backend_req"
EDGE = (HITS, MISSES, REQUESTS, ORIGIN_REQUESTS)
VIEWERS, DELIVERIES = "connection_connected", "message_sent"
PUSHPIN = (VIEWERS, DELIVERIES)


class Scraper:
    """Asks for the pages at these URLs, all at once. Who does not answer is left out."""

    def __init__(self, urls: Callable[[], Sequence[str]], wanted: Sequence[str]) -> None:
        self._urls = urls
        self._wanted = tuple(wanted)
        self._session = requests.Session()
        self._session.trust_env = False
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, "scrape")

    def scrape(self) -> list[tuple[str, Mapping[str, float]]]:
        """What is wanted of each, in the order of the URLs: sums over all labels; {} of nobody."""
        urls = self._urls()
        return list(zip(urls, self._pool.map(self._ask, urls), strict=True))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, url: str) -> Mapping[str, float]:
        try:
            answer = self._session.get(f"{url}/metrics", timeout=TIMEOUTS_S)
            answer.raise_for_status()
            return read(answer.text, self._wanted)
        except (requests.RequestException, ValueError) as error:
            log.debug("%s tells nothing: %s", url, error)
            return {}


def read(page: str, wanted: Sequence[str]) -> Mapping[str, float]:
    """The sums of the metrics that are wanted. Raises ValueError when that is no such page."""
    # Most of a page is of no interest, and parsing it costs more than all the rest.
    names = tuple(wanted)
    lines = "\n".join(line for line in page.splitlines() if line.startswith(names))
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(f"{lines}\n"):
        for sample in family.samples:
            if sample.name in names:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums
