"""The reads that the cache of a running shop could and could not answer, by the shop's own count."""

from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families


class CacheReads(NamedTuple):
    """What all workers have counted since they started, or in between two looks at that."""

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
    """What `GET /metrics` says. Raises `httpx.HTTPError`, and `ValueError` where it does not speak of a cache."""
    text = http.get("/metrics").raise_for_status().text
    counted = {
        sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }
    try:
        return CacheReads(counted["shop_cache_hits_total"], counted["shop_cache_misses_total"])
    except KeyError as missing:
        raise ValueError(f"/metrics does not tell {missing}") from None
