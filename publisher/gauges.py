"""What is looked up when Prometheus asks: how things stand now, in the publisher and the relay."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from holdfast.budget import Budget
from holdfast.errors import UnavailableError
from holdfast.state import Partition
from holdfast.value_states import ValueStates
from publisher import metrics

log = logging.getLogger(__name__)


class Reading(Collector):
    """How far a publisher or a relay is behind Kafka, and when its loop last turned.

    behind: records that are left, by partition. stepped_at: by time.monotonic(), s.
    """

    def __init__(
        self, behind: Callable[[], Mapping[Partition, int]], stepped_at: Callable[[], float]
    ) -> None:
        self._behind = behind
        self._stepped_at = stepped_at

    def collect(self) -> Iterator[GaugeMetricFamily]:
        left = GaugeMetricFamily(
            "holdfast_lag_records",
            "Records of a partition that is read here which are not worked on yet",
            labels=["topic", "partition"],
        )
        for partition, records in self._behind().items():
            left.add_metric([partition.topic, str(partition.number)], records)
        yield left
        yield GaugeMetricFamily(
            "holdfast_turn_timestamp_seconds",
            "When the loop last turned, s since 1970",
            value=time.time() - (time.monotonic() - self._stepped_at()),
        )


class Service(Collector):
    """What one publisher tells of the whole service: the one that leads.

    budget: in effect. paused: how many values are. Redis is asked for the rest.
    """

    def __init__(
        self,
        leads: Callable[[], bool],
        budget: Callable[[], Budget],
        paused: Callable[[], int],
        states: ValueStates,
    ) -> None:
        self._leads = leads
        self._budget = budget
        self._paused = paused
        self._states = states

    def collect(self) -> Iterator[GaugeMetricFamily]:
        leads = self._leads()
        yield GaugeMetricFamily(
            "holdfast_leads", "1 where the publisher does what one has to do for all", value=leads
        )
        if not leads:
            return
        yield GaugeMetricFamily(
            "holdfast_paused_values", "Values that operators have paused", value=self._paused()
        )
        left = GaugeMetricFamily(
            "holdfast_budget_left_keys", "Keys that may be purged now", labels=["window"]
        )
        of = GaugeMetricFamily(
            "holdfast_budget_keys", "Keys that may be purged in the window", labels=["window"]
        )
        waiting = GaugeMetricFamily(
            "holdfast_budget_waiting", "Values that wait for the purge budget"
        )
        budget = self._budget()
        try:
            state = self._states.budget(budget)
        except UnavailableError as error:
            metrics.REDIS_ERRORS.inc()
            log.warning("what is left of the budget is not known: %s", error)
        else:
            waiting.add_metric([], state.waiting)
            for window, keys, tokens in (
                ("second", budget.per_second, state.second),
                ("hour", budget.per_hour, state.hour),
            ):
                if tokens is not None:
                    of.add_metric([window], keys)
                    left.add_metric([window], tokens)
        yield from (of, left, waiting)
