"""GET /metrics: what it says of one worker, and of all of them whichever answers."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.settings import Settings
from infrastructure.database.async_pool import READ_CONNECTIONS, WRITE_CONNECTIONS
from tests.builders import a_product
from tests.contract.answers import assert_headers
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

Sample = tuple[str, frozenset[tuple[str, str]]]

HITS: Sample = ("shop_cache_hits_total", frozenset())
MISSES: Sample = ("shop_cache_misses_total", frozenset())
LIMITED: Sample = ("shop_rate_limited_total", frozenset())
TIMED: Sample = ("shop_http_request_duration_seconds_count", frozenset())


def requests(route: str, method: str, status: str) -> Sample:
    return "shop_http_requests_total", frozenset({("route", route), ("method", method), ("status", status)})


def scraped(http: httpx.Client) -> dict[Sample, float]:
    """Every sample of a scrape; the scrape itself is counted after it."""
    text = http.get("/metrics").raise_for_status().text
    families = text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for each in families for sample in each.samples
    }


def grown(before: dict[Sample, float], after: dict[Sample, float], sample: Sample) -> float:
    return after.get(sample, 0) - before.get(sample, 0)


def test_it_is_an_answer_like_every_other_in_prometheus_own_type(client: httpx.Client) -> None:
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert "x-cache-hit" not in response.headers
    assert_headers(response)
    head = client.head("/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert "text/plain; version=0.0.4; charset=utf-8" in str(client.get("/openapi.json").json()["paths"]["/metrics"])


def test_requests_are_counted_by_route_method_and_status(client: httpx.Client) -> None:
    before = scraped(client)
    client.post("/products", json={})
    client.get("/no-such-path")
    client.get("/no-such-path")
    after = scraped(client)
    assert grown(before, after, requests("products", "POST", "4xx")) == 1
    assert grown(before, after, requests("other", "GET", "4xx")) == 2
    # The first scrape.
    assert grown(before, after, requests("metrics", "GET", "2xx")) == 1
    assert grown(before, after, TIMED) == 4


def test_the_cache_counts_reads_as_their_header_says(client: httpx.Client) -> None:
    path = f"/products/{a_product(client)['id_key']}"
    before = scraped(client)
    told = [client.get(path).headers["x-cache-hit"] for _ in range(3)]
    told += [client.get("/products?limit=3").headers["x-cache-hit"] for _ in range(3)]
    etag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    client.get("/orders")
    after = scraped(client)
    assert told[:3] == ["false", "true", "true"]
    assert grown(before, after, HITS) == told.count("true") + 2
    assert grown(before, after, MISSES) == told.count("false")


def test_it_tells_how_the_worker_is(client: httpx.Client) -> None:
    samples = scraped(client)
    worker = frozenset({("worker", "0")})
    assert samples["shop_workers", frozenset()] == 1
    threads = Settings.model_fields["db_pool_size"].default
    assert samples["shop_db_pool_size", worker] == threads + READ_CONNECTIONS + WRITE_CONNECTIONS
    assert 0 <= samples["shop_db_pool_checked_out", worker] <= samples["shop_db_pool_size", worker]
    assert samples["process_resident_memory_bytes", worker] > 5e6


def scraped_of_both(http: httpx.Client) -> dict[Sample, float]:
    """A scrape once both workers serve: the server is ready with the first."""
    deadline = time.monotonic() + 90
    while (samples := scraped(http))["shop_workers", frozenset()] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return samples


def test_any_worker_tells_the_sum_of_all(live_server: str) -> None:
    # A connection for each request, so that both workers get some of them.
    with httpx.Client(base_url=live_server, limits=httpx.Limits(max_keepalive_connections=0)) as http:
        before = scraped_of_both(http)
        for _ in range(20):
            http.get("/categories").raise_for_status()
        scrapes = [scraped(http) for _ in range(10)]
    assert [grown(before, after, requests("categories", "GET", "2xx")) for after in scrapes] == [20] * 10
    assert [grown(before, after, requests("metrics", "GET", "2xx")) for after in scrapes] == list(range(1, 11))
    assert [grown(before, after, HITS) + grown(before, after, MISSES) for after in scrapes] == [20] * 10
    assert {after["shop_workers", frozenset()] for after in scrapes} == {2}


@pytest.fixture
def limited_shop(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """A shop below a prefix, which answers three requests of a client within two seconds."""
    limit = {"RATE_LIMIT_EXEMPT": "", "RATE_LIMIT_CALLS": "3", "RATE_LIMIT_PERIOD": "2", "TRUSTED_PROXIES": "127.0.0.1"}
    # Shops of other tests count what comes from this machine's address.
    own_address = {"X-Forwarded-For": "198.51.100.44"}
    environment = environment_of(database_url, redis_url, tmp_path, API_PREFIX="/api/v1", **limit)
    with shop_in_thread(environment) as url, httpx.Client(base_url=f"{url}/api/v1", headers=own_address) as client:
        yield client


def test_it_stands_below_the_prefix_and_is_limited(limited_shop: httpx.Client) -> None:
    statuses = [limited_shop.get("/metrics").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    time.sleep(int(limited_shop.get("/metrics").headers["retry-after"]))
    samples = scraped(limited_shop)
    assert samples[LIMITED] == 3
    assert samples[requests("metrics", "GET", "4xx")] == 3
    assert limited_shop.get("/products").status_code == 200
    assert scraped(limited_shop)[requests("products", "GET", "2xx")] == 1
