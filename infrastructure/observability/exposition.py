"""Exposition: the metrics of all workers in the text format of Prometheus."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, product

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from infrastructure.observability.background_memory import background_memory
from infrastructure.observability.metrics import (
    CLOSED,
    METHODS,
    STATUS_CLASSES,
    TIME_BOUNDS,
    Counts,
    Metrics,
    WorkerMetrics,
)


def exposition(metrics: Metrics, queue: Mapping[str, float] | None = None) -> bytes:
    """The sums over all workers, the state of each running process, and the figures of the queue where they are known."""
    registry = CollectorRegistry()
    registry.register(_Collector(metrics, queue))
    return generate_latest(registry)


class _Collector:
    def __init__(self, metrics: Metrics, queue: Mapping[str, float] | None) -> None:
        self._metrics, self._queue = metrics, queue

    def collect(self) -> Iterator[Metric]:
        yield from _sums(self._metrics.totals(), self._metrics.routes)
        yield from _states(self._metrics.workers(), background_memory(self._metrics.folder))
        if self._queue is not None:
            yield from _queue(self._queue)


def _sums(totals: Counts, routes: Sequence[str]) -> Iterator[Metric]:
    requests = CounterMetricFamily("shop_http_requests", "Answered requests", labels=("route", "method", "status"))
    # There is room for more routes than there are.
    for labels, count in zip(product(routes, METHODS, STATUS_CLASSES), totals.requests, strict=False):
        if count:
            requests.add_metric(labels, count)
    yield requests
    yield HistogramMetricFamily(
        "shop_http_request_duration_seconds",
        "Time from the head of a request to the end of its answer",
        buckets=list(zip([*map(str, TIME_BOUNDS), "+Inf"], accumulate(totals.times), strict=True)),
        sum_value=totals.nanoseconds / 1e9,
    )
    yield CounterMetricFamily("shop_cache_hits", "Reads that the cache answered", totals.cache_hits)
    yield CounterMetricFamily("shop_cache_misses", "Reads that the cache could not answer", totals.cache_misses)
    yield CounterMetricFamily("shop_rate_limited", "Requests refused with 429", totals.rate_limited)

    closed = CounterMetricFamily("shop_connections_closed", "Connections not served any longer", labels=("reason",))
    for reason, count in zip(CLOSED, totals.closed, strict=True):
        closed.add_metric((reason,), count)
    yield closed


def _states(workers: dict[int, WorkerMetrics], background: Sequence[int]) -> Iterator[Metric]:
    yield GaugeMetricFamily("shop_workers", "Worker processes that serve", len(workers))
    memory = GaugeMetricFamily("process_resident_memory_bytes", "Resident memory", labels=("worker",))
    size = GaugeMetricFamily("shop_db_pool_size", "Database connections that requests can use", labels=("worker",))
    used = GaugeMetricFamily("shop_db_pool_checked_out", "Database connections in use", labels=("worker",))
    for number, block in workers.items():
        worker = (str(number),)
        if block.resident_bytes:
            memory.add_metric(worker, block.resident_bytes)
        size.add_metric(worker, block.db_pool_size)
        used.add_metric(worker, block.db_pool_checked_out)
    for number, resident in enumerate(background):
        memory.add_metric((f"background {number}",), resident)
    yield from (memory, size, used)


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
