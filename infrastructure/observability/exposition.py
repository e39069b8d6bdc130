"""Exposition: the metrics of all workers in the text format of Prometheus."""

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from infrastructure.observability.background_memory import background_memory
from infrastructure.observability.cells import Name
from infrastructure.observability.metric_families import (
    COUNTERS,
    GAUGES,
    HISTOGRAMS,
    HTTP_DURATION,
    HTTP_REQUESTS,
    RESIDENT_MEMORY,
    TIME_BOUNDS,
    Family,
)
from infrastructure.observability.metrics import HISTOGRAM_LENGTH, Metrics
from infrastructure.observability.route_templates import OTHER

_TOO_MANY_REQUESTS = "429"
_NANOSECONDS = 1e9
_BOUNDS = [*map(str, TIME_BOUNDS), "+Inf"]


class Facts(NamedTuple):
    """What no worker counts: the release, the prefix of the routes, and the queue of jobs where its figures are known."""

    version: str
    prefix: str = ""
    queue: Mapping[str, float] | None = None


def exposition(metrics: Metrics, facts: Facts) -> bytes:
    """The sums over all workers, the state of each running process, and the facts."""
    registry = CollectorRegistry()
    registry.register(_Collector(metrics, facts))
    return generate_latest(registry)


class _Collector:
    def __init__(self, metrics: Metrics, facts: Facts) -> None:
        self._metrics, self._facts = metrics, facts

    def collect(self) -> Iterator[Metric]:
        totals, workers = self._metrics.snapshot()
        for family in COUNTERS:
            yield _counter(family, totals)
        for family in HISTOGRAMS:
            yield _histogram(family, totals)
        yield from _first_names(totals, self._facts.prefix)
        yield from _states(workers, background_memory(self._metrics.folder))
        yield _build_info(self._facts.version)
        if self._facts.queue is not None:
            yield from _queue(self._facts.queue)


def _numbers(family: Family, totals: Mapping[Name, Sequence[int]]) -> Iterator[tuple[tuple[str, ...], Sequence[int]]]:
    """The labels and the numbers of a family. What an older release has counted in another way is passed over."""
    length = HISTOGRAM_LENGTH if family.kind == "histogram" else 1
    for (name, *labels), numbers in totals.items():
        if name == family.name and len(labels) == len(family.labels) and len(numbers) == length:
            yield tuple(labels), numbers


def _counter(family: Family, totals: Mapping[Name, Sequence[int]]) -> Metric:
    metric = CounterMetricFamily(family.name, family.text, labels=family.labels)
    counted = list(_numbers(family, totals))
    if not counted and not family.labels:
        # What has not happened yet is 0, so that a rate can be computed from the beginning.
        counted = [((), [0])]
    for labels, (count,) in counted:
        metric.add_metric(labels, count / family.divisor if family.divisor > 1 else count)
    return metric


def _histogram(family: Family, totals: Mapping[Name, Sequence[int]]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    for labels, numbers in _numbers(family, totals):
        metric.add_metric(labels, _buckets(numbers), numbers[-1] / _NANOSECONDS)
    return metric


def _buckets(numbers: Sequence[int]) -> list[tuple[str, int]]:
    return list(zip(_BOUNDS, accumulate(numbers[:-1]), strict=True))


def _first_names(totals: Mapping[Name, Sequence[int]], prefix: str) -> Iterator[Metric]:
    """Requests by the first part of their path and the class of their status, and all of their times together.

    These are the first names of what the `http_` families say in more detail.
    """
    requests: Counter[tuple[str, str, str]] = Counter()
    limited: Counter[str] = Counter()
    for (route, method, status), (count,) in _numbers(HTTP_REQUESTS, totals):
        first = route.removeprefix(f"{prefix}/").partition("/")[0] if route.startswith(f"{prefix}/") else OTHER
        requests[first or OTHER, method, f"{status[0]}xx"] += count
        if status == _TOO_MANY_REQUESTS:
            limited[route] += count
    by_first = CounterMetricFamily("shop_http_requests", "Answered requests", labels=("route", "method", "status"))
    for labels, count in requests.items():
        by_first.add_metric(labels, count)
    yield by_first
    times = [0] * HISTOGRAM_LENGTH
    for _, numbers in _numbers(HTTP_DURATION, totals):
        times = [*map(sum, zip(times, numbers, strict=True))]
    yield HistogramMetricFamily(
        "shop_http_request_duration_seconds",
        HTTP_DURATION.text,
        buckets=_buckets(times),
        sum_value=times[-1] / _NANOSECONDS,
    )
    yield CounterMetricFamily("shop_rate_limited", "Requests refused with 429", limited.total())
    by_route = CounterMetricFamily("shop_rate_limit_refusals", "Requests refused with 429", labels=("route",))
    for route, count in limited.items():
        by_route.add_metric((route,), count)
    yield by_route


def _states(workers: Mapping[int, Mapping[Name, int]], background: Sequence[int]) -> Iterator[Metric]:
    yield GaugeMetricFamily("shop_workers", "Worker processes that serve", len(workers))
    for family in GAUGES:
        metric = GaugeMetricFamily(family.name, family.text, labels=("worker", *family.labels))
        for number, states in workers.items():
            for (name, *labels), value in states.items():
                # Systems without /proc tell nothing of memory.
                if name == family.name and (value or family is not RESIDENT_MEMORY):
                    metric.add_metric((str(number), *labels), value)
        if family is RESIDENT_MEMORY:
            for number, resident in enumerate(background):
                metric.add_metric((f"background {number}",), resident)
        yield metric


def _build_info(version: str) -> Metric:
    metric = GaugeMetricFamily("shop_build_info", "The release that answers; always 1", labels=("version", "python"))
    metric.add_metric((version, platform.python_version()), 1)
    return metric


def _queue(figures: Mapping[str, float]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("shop_jobs", "Jobs, 10000 of a status at most; failed ones are dead", labels=("status",))
    for status in ("queued", "running", "failed"):
        jobs.add_metric((status,), figures[status])
    yield jobs
    yield GaugeMetricFamily(
        "shop_jobs_oldest_seconds", "For how long the oldest job that is due has waited", figures["oldest_seconds"]
    )
    yield GaugeMetricFamily(
        "shop_events_not_relayed", "Events of which no jobs were made yet", figures["events_not_relayed"]
    )
    if (not_sent := figures.get("events_not_sent")) is not None:
        yield GaugeMetricFamily("shop_events_not_sent", "Events that the broker has not confirmed yet", not_sent)
