"""Makes an overview of publishers' reports, of Redis, and of the nodes' own figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from holdfast.budget import Budget
from holdfast.overview import (
    MOST_TEXT,
    MOST_VALUES,
    WINDOW_S,
    BudgetFigures,
    EdgeFigures,
    Overview,
    PartitionFigures,
    PushpinFigures,
    Totals,
    ValueFigures,
)
from holdfast.tuning import Tuning
from holdfast.value_states import ValueState, ValueStates
from holdfast.values import Rules, Values
from publisher import scrape
from publisher.alerts import alerts
from publisher.report import NodeReport, Report
from publisher.scrape import Scraper
from publisher.tally import percentile
from publisher.window import Window

SCRAPE_EVERY_S = 2.0


class Gatherer:
    """tuning: what operators have set, now. edges, pushpins: the nodes' own pages, in the order of
    the nodes. clock: s.
    """

    def __init__(
        self,
        slot: str,
        values: Values,
        states: ValueStates,
        tuning: Callable[[], Tuning],
        budget: Budget,
        edges: Scraper,
        pushpins: Scraper,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slot = slot
        self._values = values
        self._states = states
        self._tuning = tuning
        self._budget = budget
        self._edges = edges
        self._pushpins = pushpins
        self._clock = clock
        self._scrape_at = 0.0
        self._window: Window[tuple[str, str]] = Window(WINDOW_S)
        self._pages: dict[str, list[tuple[str, Mapping[str, float]]]] = {"edge": [], "pushpin": []}

    def gather(self, reports: Sequence[Report]) -> Overview:
        """The overview of now. Raises UnavailableError."""
        tuning = self._tuning()
        self._scrape()
        states, now_us = self._read(tuning, reports)
        values = [self._value(state, rules, tuning, reports, now_us) for state, rules in states]
        values.sort(key=lambda value: (not value.default, -value.updates_per_s, value.name))
        nodes = _by_node(reports)
        edges = [self._edge(each) for each in self._named("edge", nodes)]
        pushpins = [self._pushpin(each) for each in self._named("pushpin", nodes)]
        partitions = _partitions(reports)
        budget = self._left(tuning)
        now_ms = now_us // 1000
        return Overview(
            at_ms=now_ms,
            slot=self._slot,
            publishers=sorted(report.slot for report in reports),
            totals=Totals(
                values=self._states.count(self._values),
                updates_per_s=round(sum(report.updates for report in reports), 3),
                releases_per_s=round(sum(report.releases for report in reports), 3),
                behind_s=max((value.behind_s for value in values), default=0.0),
                lag=_sum(part.lag for part in partitions),
                viewers=_sum(node.viewers for node in pushpins),
                deliveries_per_s=_sum(node.deliveries_per_s for node in pushpins),
                hit_ratio=self._hit_ratio([url for url, _ in self._pages["edge"]]),
                origin_requests_per_s=_sum(node.origin_requests_per_s for node in edges),
                misses_per_s=_sum(node.misses_per_s for node in edges),
                purge_p99_ms=_worst(node.p99_ms for node in edges),
                publish_p99_ms=_worst(node.p99_ms for node in pushpins),
            ),
            alerts=alerts(
                now_ms,
                values,
                edges,
                pushpins,
                partitions,
                budget,
                refused=[
                    f"{part.topic}[{part.number}]"
                    for report in reports
                    for part in report.partitions
                    if part.refused
                ],
                deaf=[report.slot for report in reports if not report.settings_read],
            ),
            values=values,
            edges=edges,
            pushpins=pushpins,
            partitions=partitions,
            budget=budget,
        )

    # -- values

    def _read(
        self, tuning: Tuning, reports: Sequence[Report]
    ) -> tuple[list[tuple[ValueState, Rules]], int]:
        """Of values.toml, the busiest, and the last to be released; and Redis's time, us."""
        names = {rules.name: None for rules in self._values.tables if not rules.family}
        busy = {name: rates for report in reports for name, rates in report.values.items()}
        names |= dict.fromkeys(sorted(busy, key=lambda name: busy[name], reverse=True))
        names |= dict.fromkeys(self._states.recent(self._values, MOST_VALUES))
        written = [self._values.rules(name) for name in list(names)[:MOST_VALUES]]
        rules = [tuning.rules(each) for each in written if each is not None]
        states, now_us = self._states.read_at(rules)
        return list(zip(states, rules, strict=True)), now_us

    def _value(
        self,
        state: ValueState,
        rules: Rules,
        tuning: Tuning,
        reports: Sequence[Report],
        now_us: int,
    ) -> ValueFigures:
        rates = [report.values.get(state.name, (0.0, 0.0)) for report in reports]
        pause = tuning.get(f"pause:{state.name}")
        waits = state.working != state.released and state.changed_at_us is not None
        behind_us = now_us - (state.changed_at_us or now_us) if waits else 0
        return ValueFigures(
            name=state.name,
            reduce=rules.reduce,
            default=rules.default,
            working=_text(state.working),
            released=_text(state.released),
            version=state.version,
            released_at_ms=state.released_at_ms,
            behind_s=round(max(0, behind_us) / 1e6, 3),
            updates_per_s=round(sum(updates for updates, _ in rates), 3),
            releases_per_s=round(sum(releases for _, releases in rates), 3),
            tokens=round(state.tokens, 3),
            rate=rules.rate,
            burst=rules.burst,
            threshold=rules.threshold,
            settle=rules.settle,
            paused_by=None if pause is None else pause.who,
            waits_for_budget=state.waits_for_budget,
        )

    def _left(self, tuning: Tuning) -> BudgetFigures:
        budget = tuning.budget(self._budget)
        left = self._states.budget(budget)
        return BudgetFigures(
            per_second=budget.per_second or None,
            per_hour=budget.per_hour or None,
            left_second=None if left.second is None else round(left.second, 3),
            left_hour=None if left.hour is None else round(left.hour, 3),
            waiting=left.waiting,
        )

    # -- nodes

    def _scrape(self) -> None:
        """Ask the nodes, if that is due: each answer costs an exporter some ms."""
        now = self._clock()
        if now < self._scrape_at:
            return
        self._scrape_at = now + SCRAPE_EVERY_S
        self._pages = {"edge": self._edges.scrape(), "pushpin": self._pushpins.scrape()}
        pages = [each for found in self._pages.values() for each in found]
        self._window.look(
            now, {(url, name): value for url, page in pages for name, value in page.items()}
        )

    def _named(
        self, kind: str, nodes: Mapping[tuple[str, str], list[NodeReport]]
    ) -> list[tuple[dict[str, Any], str]]:
        """What publishers say of each node of a kind, with its number; and its own page's URL."""
        found = [(url, each) for (its, url), each in nodes.items() if its == kind]
        pages = [url for url, _ in self._pages[kind]]
        return [
            (
                _merged(f"{kind.capitalize()} {number}", url, each),
                pages[number - 1] if len(pages) == len(found) else "",
            )
            for number, (url, each) in enumerate(found, 1)
        ]

    def _edge(self, named: tuple[dict[str, Any], str]) -> EdgeFigures:
        told, page = named
        return EdgeFigures(
            **told,
            requests_per_s=self._rate(page, scrape.REQUESTS),
            misses_per_s=self._rate(page, scrape.MISSES),
            origin_requests_per_s=self._rate(page, scrape.ORIGIN_REQUESTS),
            hit_ratio=self._hit_ratio([page]),
        )

    def _pushpin(self, named: tuple[dict[str, Any], str]) -> PushpinFigures:
        told, page = named
        viewers = dict(self._pages["pushpin"]).get(page, {}).get(scrape.VIEWERS)
        return PushpinFigures(
            **told,
            viewers=None if viewers is None else int(viewers),
            deliveries_per_s=self._rate(page, scrape.DELIVERIES),
        )

    def _rate(self, page: str, name: str) -> float | None:
        rate = self._window.rate((page, name))
        return None if rate is None else round(rate, 3)

    def _hit_ratio(self, pages: Iterable[str]) -> float | None:
        hits = misses = 0.0
        for page in pages:
            hits += self._window.rate((page, scrape.HITS)) or 0.0
            misses += self._window.rate((page, scrape.MISSES)) or 0.0
        return round(hits / (hits + misses), 4) if hits + misses else None


def _by_node(reports: Sequence[Report]) -> dict[tuple[str, str], list[NodeReport]]:
    """In the order in which publishers name them, which is that of the settings."""
    found: dict[tuple[str, str], list[NodeReport]] = {}
    for report in reports:
        for node in report.nodes:
            found.setdefault((node.kind, node.url), []).append(node)
    return found


def _merged(name: str, url: str, reports: Sequence[NodeReport]) -> dict[str, Any]:
    took = [sample for report in reports for sample in report.took_ms]
    owed = [each.owed_since_ms for each in reports if each.owed_since_ms is not None]
    return {
        "name": name,
        "url": url,
        "p50_ms": percentile(took, 0.5),
        "p99_ms": percentile(took, 0.99),
        "sent_per_s": round(sum(report.sent_per_s for report in reports), 3),
        "failed_last_minute": sum(report.failed for report in reports),
        "owed_since_ms": min(owed, default=None),
    }


def _partitions(reports: Sequence[Report]) -> list[PartitionFigures]:
    """Also those that nobody reads, as far as some publisher knows how many there are."""
    read: dict[tuple[str, int], PartitionFigures] = {}
    counts: dict[str, int] = {}
    for report in reports:
        for part in report.partitions:
            counts[part.topic] = max(counts.get(part.topic, 0), part.partitions, part.number + 1)
            read[part.topic, part.number] = PartitionFigures(
                part.topic, part.number, part.lag, report.slot, part.caught_up
            )
    return [
        read.get((topic, number)) or PartitionFigures(topic, number, None, None, False)
        for topic, count in sorted(counts.items())
        for number in range(count)
    ]


def _text(json: bytes | None) -> str | None:
    if json is None:
        return None
    text = json[: 4 * MOST_TEXT + 1].decode(errors="ignore")
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"


def _sum(numbers: Iterable[Any]) -> Any:
    known = [number for number in numbers if number is not None]
    return round(sum(known), 3) if known else None


def _worst(numbers: Iterable[float | None]) -> float | None:
    return max((number for number in numbers if number is not None), default=None)
