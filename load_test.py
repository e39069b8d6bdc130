"""Load on a running shop, with Locust: visitors who browse and now and then register or add something.

    locust -f load_test.py                                             web page on http://localhost:8089
    python load_test.py --headless --users 100 --spawn-rate 20 --run-time 60s [--host URL]

All of Locust's options work in both. The mix is 40 % product lists, 25 % single products, 15 % categories,
10 % client lists and 10 % new products and clients, with one to three seconds between two requests of a
visitor. An empty shop is given a few rows first; the new rows stay.

The exit code is not 0 when a request failed, or when the test could not be run.
"""

import logging
import os
import random
import sys
import uuid
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

import gevent
import httpx
from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.runners import WorkerRunner
from locust.stats import StatsEntry

PAGE_ROWS = 20
FIRST_PAGES = 5
FIRST_PRODUCTS = 100
FIRST_CLIENTS = 20

RATE_LIMITED = (
    "The API limits the requests of this machine (429): the test measures the limiter, not the shop. Start the "
    "API with this machine's network in RATE_LIMIT_EXEMPT, for example RATE_LIMIT_EXEMPT=127.0.0.1/32,::1/128."
)


@dataclass(slots=True)
class Shop:
    """What the visitors know of the shop."""

    product_ids: list[int] = field(default_factory=list)
    category_ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class CacheReads:
    """How the cached reads of this process were answered, by their `X-Cache-Hit` header."""

    hits: int = 0
    misses: int = 0

    def count(self, header: str | None) -> None:
        self.hits += header == "true"
        self.misses += header == "false"

    @property
    def hit_rate(self) -> str:
        reads = self.hits + self.misses
        return f"{100 * self.hits / reads:.1f} % of {reads:,} reads" if reads else "no cached reads"


# Locust logs everything on standard error, where the requests that prepare the shop would drown the rest.
logging.getLogger("httpx").setLevel(logging.WARNING)

shop = Shop()
cache_reads = CacheReads()


class Visitor(FastHttpUser):
    """Somebody who looks around and seldom writes. The weights of the tasks are percentages."""

    host = "http://127.0.0.1:8000"
    wait_time = between(1, 3)

    @task(40)
    def list_products(self) -> None:
        skip = PAGE_ROWS * random.randrange(FIRST_PAGES)
        self.client.get(f"/products?skip={skip}&limit={PAGE_ROWS}", name="/products")

    @task(25)
    def view_product(self) -> None:
        self.client.get(f"/products/{random.choice(shop.product_ids)}", name="/products/{id}")

    @task(15)
    def list_categories(self) -> None:
        self.client.get("/categories")

    @task(10)
    def list_clients(self) -> None:
        self.client.get(f"/clients?limit={PAGE_ROWS}", name="/clients")

    @task(5)
    def create_product(self) -> None:
        self.client.post("/products", json=new_product(random.choice(shop.category_ids)))

    @task(5)
    def create_client(self) -> None:
        self.client.post("/clients", json=new_client())


def new_product(category_id: int) -> dict[str, Any]:
    """The body of a product that no other run has made."""
    name = f"Load test product {uuid.uuid4().hex[:12]}"
    return {"name": name, "price": random.randint(100, 99_999) / 100, "stock": 100, "category_id": category_id}


def new_client() -> dict[str, Any]:
    """The body of a client whose e-mail is free."""
    return {"name": "Load", "lastname": "Test", "email": f"load-test-{uuid.uuid4().hex}@example.com"}


def prepare(base_url: str) -> Shop:
    """Look at the shop, and put in what the visitors need where it is empty. Raises `httpx.HTTPError`."""
    with httpx.Client(base_url=base_url, timeout=30, trust_env=False) as http:
        categories = _rows(http, "/categories")
        if not categories:
            categories = [_create(http, "/categories", {"name": f"Load test {uuid.uuid4().hex[:12]}"})]
        products = _rows(http, "/products")
        if not products:
            bodies = [new_product(categories[0]["id_key"]) for _ in range(FIRST_PRODUCTS)]
            products = [_create(http, "/products", body) for body in bodies]
        if not _rows(http, "/clients"):
            for _ in range(FIRST_CLIENTS):
                _create(http, "/clients", new_client())
    return Shop([row["id_key"] for row in products], [row["id_key"] for row in categories])


def _rows(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = http.get(path, params={"limit": FIRST_PRODUCTS}).raise_for_status().json()
    return rows


def _create(http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = http.post(path, json=body).raise_for_status().json()
    return row


def stop_test(environment: Environment, reason: str) -> None:
    """Say why, once, and end the test with a failure; the web page, if there is one, stays."""
    if environment.process_exit_code is not None or environment.runner is None:
        return
    print(reason, file=sys.stderr, flush=True)
    environment.process_exit_code = 1
    # From a greenlet of its own, since ending the test ends the one that found the reason.
    gevent.spawn(environment.runner.quit if environment.web_ui is None else environment.runner.stop)


@events.test_start.add_listener
def set_up(environment: Environment, **_: Any) -> None:
    global shop, cache_reads
    environment.process_exit_code = None
    cache_reads = CacheReads()
    base_url = environment.host or Visitor.host
    try:
        shop = prepare(base_url)
    except httpx.HTTPStatusError as error:
        limited = error.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        reason = RATE_LIMITED if limited else f"The shop could not be prepared: {error}"
    except httpx.RequestError as error:
        reason = f"No shop answers at {base_url} ({error})"
    else:
        return
    stop_test(environment, reason)
    # Locust goes on to start the visitors after any other exception; this one ends the starting, without a traceback.
    raise gevent.GreenletExit


@events.init.add_listener
def watch_answers(environment: Environment, **_: Any) -> None:
    environment.events.request.add_listener(partial(watch, environment))


def watch(environment: Environment, response: Any, **_: Any) -> None:
    """Count the cache's hits, and end the test at the first answer of the rate limiter."""
    if response is None or response.headers is None:
        return
    cache_reads.count(response.headers.get("X-Cache-Hit"))
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        stop_test(environment, RATE_LIMITED)


@events.report_to_master.add_listener
def send_cache_reads(data: dict[str, Any], **_: Any) -> None:
    data["cache_reads"] = (cache_reads.hits, cache_reads.misses)
    cache_reads.hits = cache_reads.misses = 0


@events.worker_report.add_listener
def receive_cache_reads(data: dict[str, Any], **_: Any) -> None:
    hits, misses = data["cache_reads"]
    cache_reads.hits += hits
    cache_reads.misses += misses


@events.test_stop.add_listener
def sum_up_test(environment: Environment, **_: Any) -> None:
    """With the web page, several tests may follow each other."""
    if environment.web_ui is not None:
        print_summary(environment)


@events.quitting.add_listener
def sum_up_run(environment: Environment, **_: Any) -> None:
    """Without it, the end of the run is also when the last worker processes have reported."""
    if environment.web_ui is None and not isinstance(environment.runner, WorkerRunner):
        print_summary(environment)


def print_summary(environment: Environment) -> None:
    print(summary(environment.stats.total, cache_reads), flush=True)


def summary(total: StatsEntry, reads: CacheReads) -> str:
    """What the whole run came to; times in milliseconds."""
    p50, p95, p99 = (total.get_response_time_percentile(share) or 0 for share in (0.50, 0.95, 0.99))
    return (
        f"Requests: {total.num_requests:,} ({total.total_rps:.1f} per second), {total.num_failures:,} failed\n"
        f"Response times: p50 {p50} ms, p95 {p95} ms, p99 {p99} ms\n"
        f"Cache hit rate: {reads.hit_rate}"
    )


if __name__ == "__main__":
    # Locust's own command line takes over this process; it loads this file again, as its locustfile.
    os.execv(sys.executable, [sys.executable, "-m", "locust", "-f", __file__, *sys.argv[1:]])  # noqa: S606 - our own interpreter and file
