"""What the load test makes of a shop's /metrics."""

import httpx
import pytest

from benchmarks.cache_hit_rate import CacheReads, read_cache_reads
from tests.scripts.small_server import Answer, serving

pytestmark = pytest.mark.unit

TEXT = b"""\
# TYPE shop_http_requests_total counter
shop_http_requests_total{method="GET",status="2xx"} 7.0
# TYPE shop_cache_hits_total counter
shop_cache_hits_total 1.234567e+06
# TYPE shop_cache_misses_total counter
shop_cache_misses_total 12.0
"""


def test_both_counters_are_found() -> None:
    with serving(lambda _: Answer(200, TEXT)) as url, httpx.Client(base_url=url) as http:
        assert read_cache_reads(http) == (1_234_567, 12)


@pytest.mark.parametrize("text", [b"", b"shop_cache_hits_total 1.0\n", b"<html>not metrics</html>"])
def test_a_text_without_them_is_a_value_error(text: bytes) -> None:
    with serving(lambda _: Answer(200, text)) as url, httpx.Client(base_url=url) as http, pytest.raises(ValueError):  # noqa: PT011
        read_cache_reads(http)


def test_the_rate_is_that_of_the_reads_in_between() -> None:
    reads = CacheReads(100, 80).since(CacheReads(10, 70))
    assert (reads.total, reads.hit_rate) == (100, 90)


def test_without_reads_there_is_no_rate() -> None:
    assert CacheReads(5, 5).since(CacheReads(5, 5)).hit_rate is None
