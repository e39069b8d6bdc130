"""GET /metrics: what it says of one worker, and of all of them whichever answers."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.settings import Settings
from infrastructure.database.async_pool import READ_CONNECTIONS, WRITE_CONNECTIONS
from tests.builders import a_client, a_product
from tests.contract.answers import assert_headers
from tests.infrastructure.processes import wait_for
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


def test_requests_have_the_template_of_their_path_and_their_status(client: httpx.Client) -> None:
    path = f"/products/{a_product(client)['id_key']}"
    before = scraped(client)
    for _ in range(2):
        client.get(path)
    client.get("/products/999999999")
    client.get("/products/no-number")
    client.get("/elsewhere/7")
    after = scraped(client)

    def count(route: str, status: str) -> float:
        labels = frozenset({("route", route), ("method", "GET"), ("status", status)})
        return grown(before, after, ("http_requests_total", labels))

    assert [count("/products/{id_key}", status) for status in ("200", "404", "422")] == [2, 1, 1]
    assert count("other", "404") == 1
    timed = ("http_request_duration_seconds_count", frozenset({("route", "/products/{id_key}")}))
    assert grown(before, after, timed) == 4
    assert after["http_requests_in_flight", frozenset({("worker", "0")})] == 1


def test_checkouts_are_counted_with_their_pieces_and_money(client: httpx.Client) -> None:
    buyer, lamp = a_client(client)["id_key"], a_product(client, price=12.5, stock=3)["id_key"]

    def buy(quantity: int, **headers: str) -> int:
        body = {
            "client_id": buyer,
            "lines": [{"product_id": lamp, "quantity": quantity}],
            "payment_type": "card",
            "delivery_method": 1,
            "discount": 5,
        }
        return client.post("/checkout", json=body, headers=headers).status_code

    before = scraped(client)
    key = {"Idempotency-Key": f"metrics-{lamp}"}
    assert [buy(3, **key), buy(3, **key), buy(1)] == [201, 201, 400]
    after = scraped(client)

    def count(name: str, **labels: str) -> float:
        return grown(before, after, (name, frozenset(labels.items())))

    assert (count("shop_checkouts_total"), count("shop_checkout_replays_total")) == (1, 1)
    assert (count("shop_units_sold_total"), count("shop_revenue_total", currency="EUR")) == (3, 32.5)
    assert (count("shop_checkout_refusals_total", code="insufficient_stock"), count("shop_stock_outs_total")) == (1, 1)
    assert count("shop_database_seconds_count", kind="write") >= 2


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
    for pool in ("threads", "lanes", "read_lanes"):
        of_pool = frozenset({("worker", "0"), ("pool", pool)})
        assert samples["shop_db_connections", of_pool] >= 1
        assert samples["shop_db_connections_waiting", of_pool] == 0
    assert [value for (name, _), value in samples.items() if name == "shop_build_info"] == [1]
    assert samples["shop_redis_seconds_count", frozenset()] > 0


def test_any_worker_tells_the_sum_of_all(live_server: str) -> None:
    # A connection for each request, so that both workers get some of them.
    with httpx.Client(base_url=live_server, limits=httpx.Limits(max_keepalive_connections=0)) as http:
        # The server is ready with the first worker.
        wait_for(lambda: scraped(http)["shop_workers", frozenset()] == 2, "both workers")
        scrapes = [scraped(http)]

        def growth(*samples: Sample) -> float:
            scrapes.append(scraped(http))
            return sum(grown(scrapes[0], scrapes[-1], sample) for sample in samples)

        # A worker counts a request when it has answered: whoever has the answer may ask another worker before that.
        of_metrics, of_categories = (requests(route, "GET", "2xx") for route in ("metrics", "categories"))
        wait_for(lambda: growth(of_metrics) >= len(scrapes) - 1, "the first scrapes to be counted")
        scrapes = scrapes[-1:]
        for _ in range(20):
            http.get("/categories").raise_for_status()
        wait_for(lambda: growth(of_categories) >= 20, "the last request to be counted")
        assert [growth(of_categories) for _ in range(10)] == [20] * 10
        assert [growth(HITS, MISSES) for _ in range(10)] == [20] * 10
        wait_for(lambda: growth(of_metrics) >= len(scrapes) - 1, "the last scrape to be counted")
        assert growth(of_metrics) <= len(scrapes) - 1
    assert {after["shop_workers", frozenset()] for after in scrapes} == {2}


@pytest.fixture
def limited_shop(database_url: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """A shop below a prefix, which answers three requests of each address."""
    limit = {"RATE_LIMIT_EXEMPT": "", "RATE_LIMIT_CALLS": "3", "RATE_LIMIT_PERIOD": "600"}
    environment = environment_of(
        database_url, None, tmp_path, API_PREFIX="/api/v1", TRUSTED_PROXIES="127.0.0.1", **limit
    )
    with shop_in_thread(environment) as url, httpx.Client(base_url=f"{url}/api/v1") as client:
        yield client


def test_it_stands_below_the_prefix_and_is_limited(limited_shop: httpx.Client) -> None:
    statuses = [limited_shop.get("/metrics").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    limited_shop.headers["X-Forwarded-For"] = "198.51.100.44"
    samples = scraped(limited_shop)
    assert samples[LIMITED] == 2
    assert samples[requests("metrics", "GET", "4xx")] == 2
    assert limited_shop.get("/products").status_code == 200
    assert scraped(limited_shop)[requests("products", "GET", "2xx")] == 1
