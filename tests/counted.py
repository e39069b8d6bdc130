"""What a shop in this process has counted."""

from infrastructure.observability.metric_families import CACHE_HITS, CACHE_MISSES, HTTP_REQUESTS, Family
from infrastructure.observability.metrics import Metrics


def counted(metrics: Metrics, family: Family, *labels: str) -> int:
    """The counters of the family with these labels first, together, of all workers."""
    name = (family.name, *labels)
    return sum(numbers[0] for found, numbers in metrics.snapshot().totals.items() if found[: len(name)] == name)


def hits(metrics: Metrics) -> int:
    return counted(metrics, CACHE_HITS)


def misses(metrics: Metrics) -> int:
    return counted(metrics, CACHE_MISSES)


def requests(metrics: Metrics) -> int:
    return counted(metrics, HTTP_REQUESTS)
