"""Cache hit rate of a running shop, from the counters in /metrics."""

from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families


class CacheReads(NamedTuple):
    """The counts of all workers since their start, or between two readings."""

    hits: float
    misses: float

    @property
    def total(self) -> float:
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float | None:
        """In percent; None without any reads."""
        return 100 * self.hits / self.total if self.total > 0 else None

    def since(self, before: "CacheReads") -> "CacheReads":
        return CacheReads(self.hits - before.hits, self.misses - before.misses)


def read_cache_reads(http: httpx.Client) -> CacheReads:
    """The counts in `GET /metrics`. Raises `httpx.HTTPError`, and `ValueError` if they are not there."""
    text = http.get("/metrics").raise_for_status().text
    counted = {
        sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }
    try:
        return CacheReads(counted["shop_cache_hits_total"], counted["shop_cache_misses_total"])
    except KeyError as missing:
        raise ValueError(f"/metrics does not tell {missing}") from None
