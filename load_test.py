"""Load on a running shop, with Locust: visitors who look around, and buyers whose purchases are proved at the end.

    locust -f load_test.py                                             web page on http://localhost:8089
    python load_test.py --headless --users 100 --spawn-rate 20 --run-time 60s [--host URL] [Visitor] [Buyer]

All of Locust's options work in both. Nine of ten users are visitors: 40 % product lists, 25 % single products,
15 % categories, 10 % client lists and 10 % new products and clients. One of ten is a buyer: orders of three
lines from a catalog that only this run knows, some sent again under their key, some canceled or returned,
with prices that change meanwhile. Everybody waits one to three seconds between two of these. An empty
shop is given a few rows first; the new rows stay.

The end of the run is the cache's hit rate and `oversold 0, lost 0, doubled 0`: what the API holds compared
with every answer that a buyer got. The exit code is not 0 when one of these is not 0, when a request failed,
or when the test could not be run.
"""

import logging
import os
import random
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import gevent  # type: ignore[import-untyped]  # it comes with Locust and has no type hints
import httpx
from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.event import EventHook
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner
from locust.stats import StatsEntry

from benchmarks.buyer import HOST, Buyer
from benchmarks.purchases import Ledger, Unresolved, Verdict, create_catalog, judge

PAGE_ROWS = 20
FIRST_PAGES = 5
FIRST_PRODUCTS = 100
FIRST_CLIENTS = 20
FAULTS_SHOWN = 10

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


@dataclass(slots=True)
class Run:
    """One test in this process. `ledgers` are those of the buyers of all processes, once they have stopped."""

    shop: Shop = field(default_factory=Shop)
    cache_reads: CacheReads = field(default_factory=CacheReads)
    ledgers: list[Ledger] = field(default_factory=list)
    ledgers_due: int = 0


# Locust logs everything on standard error, where the requests that prepare the shop would drown the rest.
logging.getLogger("httpx").setLevel(logging.WARNING)

run = Run()


class Visitor(FastHttpUser):
    """Somebody who looks around and seldom writes. The weights of its tasks are percentages."""

    host = HOST
    weight = 9
    wait_time = between(1, 3)

    @task(40)
    def list_products(self) -> None:
        skip = PAGE_ROWS * random.randrange(FIRST_PAGES)
        self.client.get(f"/products?skip={skip}&limit={PAGE_ROWS}", name="/products")

    @task(25)
    def view_product(self) -> None:
        self.client.get(f"/products/{random.choice(run.shop.product_ids)}", name="/products/{id}")

    @task(15)
    def list_categories(self) -> None:
        self.client.get("/categories")

    @task(10)
    def list_clients(self) -> None:
        self.client.get(f"/clients?limit={PAGE_ROWS}", name="/clients")

    @task(5)
    def create_product(self) -> None:
        self.client.post("/products", json=new_product(random.choice(run.shop.category_ids)))

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


def prepare(http: httpx.Client) -> Shop:
    """Look at the shop, and put in what the visitors need where it is empty. Raises `httpx.HTTPError`."""
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


def http_client(environment: Environment) -> httpx.Client:
    return httpx.Client(base_url=environment.host or HOST, timeout=30, trust_env=False)


L = TypeVar("L", bound=Callable[..., None])


def listen(hook: EventHook) -> Callable[[L], L]:
    """Locust's `hook.add_listener` as a decorator that keeps the listener's type."""

    def register(listener: L) -> L:
        hook.add_listener(listener)  # type: ignore[no-untyped-call]  # Locust gives it no types
        return listener

    return register


def stop_test(environment: Environment, reason: str) -> None:
    """Say why, once, and end the test with a failure; the web page, if there is one, stays."""
    if environment.process_exit_code is not None or environment.runner is None:
        return
    print(reason, file=sys.stderr, flush=True)
    environment.process_exit_code = 1
    # From a greenlet of its own, since ending the test ends the one that found the reason.
    gevent.spawn(environment.runner.quit if environment.web_ui is None else environment.runner.stop)


@listen(events.test_start)
def set_up(environment: Environment, **_: Any) -> None:
    global run
    environment.process_exit_code = None
    run = Run()
    try:
        with http_client(environment) as http:
            run.shop = prepare(http)
            if Buyer in environment.user_classes:
                prepare_buyers(environment, http)
    except httpx.HTTPStatusError as error:
        limited = error.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        reason = RATE_LIMITED if limited else f"The shop could not be prepared: {error}"
    except httpx.RequestError as error:
        reason = f"No shop answers at {environment.host or HOST} ({error})"
    else:
        return
    stop_test(environment, reason)
    # Locust goes on to start the users after any other exception; this one ends the starting, without a traceback.
    raise gevent.GreenletExit


def prepare_buyers(environment: Environment, http: httpx.Client) -> None:
    """Each process has a catalog and a client of its own; the master of several has no buyers."""
    if isinstance(environment.runner, MasterRunner):
        run.ledgers_due = environment.runner.worker_count
    else:
        Buyer.ledger = Ledger(create_catalog(http))
        run.ledgers_due = 1


@listen(events.init)
def watch_answers(environment: Environment, **_: Any) -> None:
    listen(environment.events.request)(partial(watch, environment))
    if environment.runner is not None and not isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message("ledger", receive_ledger)


def watch(environment: Environment, response: Any, **_: Any) -> None:
    """Count the cache's hits, and end the test at the first answer of the rate limiter."""
    if response is None or response.headers is None:
        return
    run.cache_reads.count(response.headers.get("X-Cache-Hit"))
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        stop_test(environment, RATE_LIMITED)


@listen(events.report_to_master)
def send_cache_reads(data: dict[str, Any], **_: Any) -> None:
    data["cache_reads"] = (run.cache_reads.hits, run.cache_reads.misses)
    run.cache_reads.hits = run.cache_reads.misses = 0


@listen(events.worker_report)
def receive_cache_reads(data: dict[str, Any], **_: Any) -> None:
    hits, misses = data["cache_reads"]
    run.cache_reads.hits += hits
    run.cache_reads.misses += misses


@listen(events.test_stop)
def send_ledger(environment: Environment, **_: Any) -> None:
    """To the master, or to this process itself where it is the only one."""
    if run.ledgers_due and environment.runner is not None and not isinstance(environment.runner, MasterRunner):
        environment.runner.send_message("ledger", Buyer.ledger.as_message())


def receive_ledger(msg: Any, **_: Any) -> None:
    run.ledgers.append(Ledger.from_message(msg.data))


@listen(events.test_stop)
def sum_up_test(environment: Environment, **_: Any) -> None:
    """With the web page, several tests may follow each other."""
    if environment.web_ui is not None:
        sum_up(environment)


@listen(events.quitting)
def sum_up_run(environment: Environment, **_: Any) -> None:
    """Without it, the end of the run is also when the last worker processes have reported."""
    if environment.runner is None or isinstance(environment.runner, WorkerRunner):
        return
    if environment.runner.state in (STATE_SPAWNING, STATE_RUNNING):
        # Ctrl-C: Locust would stop the users only after this, and what is still being bought cannot be judged.
        environment.runner.stop()
    if environment.web_ui is None:
        sum_up(environment)


def sum_up(environment: Environment) -> None:
    """Print the figures and the verdict, which decides about the exit code."""
    print(summary(environment.stats.total, run.cache_reads), flush=True)
    if not run.ledgers_due:
        return
    try:
        verdict = judge_all(environment)
    except (httpx.HTTPError, Unresolved) as error:
        print(f"No verdict: {error}", file=sys.stderr, flush=True)
        environment.process_exit_code = 1
        return
    print(
        f"Orders: {sum(len(ledger.orders) for ledger in run.ledgers):,} placed, "
        f"{sum(ledger.refused for ledger in run.ledgers):,} refused"
    )
    for fault in verdict.faults[:FAULTS_SHOWN]:
        print(fault)
    print(verdict, flush=True)
    if verdict.faults:
        environment.process_exit_code = 1


def judge_all(environment: Environment) -> Verdict:
    """The verdict on the buyers of all processes."""
    if len(run.ledgers) < run.ledgers_due:
        raise Unresolved(f"{run.ledgers_due - len(run.ledgers)} of {run.ledgers_due} processes did not report")
    total = Verdict()
    with http_client(environment) as http:
        for ledger in run.ledgers:
            total.add(judge(http, ledger))
    return total


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
