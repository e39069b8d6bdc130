"""Worker processes that are killed, told to stop under load, or born while everything else is down."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.bounds import Bounds
from tests.faults.faulty import OwnPostgres, do_on_insert, heal, locked_row, require_unavailable
from tests.infrastructure.processes import wait_for
from tests.race.databases import WAITING, breaches, new_database, rows_of
from tests.race.goods import Goods, unique
from tests.shop import environment_of, shop_processes, wait_until_ready

pytestmark = [pytest.mark.integration, pytest.mark.slow]

REPLACED_SECONDS = 2


def workers_of(launcher: Popen[bytes]) -> set[int]:
    """The pids of the launcher's children."""
    listed = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text()
    return {int(pid) for pid in listed.split()}


def wait_for_rows(url: str, query: str) -> None:
    wait_for(lambda: rows_of(url, query), query)


def kill_and_wait_for_another(launcher: Popen[bytes], url: str, bounds: Bounds) -> None:
    """Kill the one worker; a new one takes its place, and it serves."""
    (old,) = workers_of(launcher)
    with bounds.within(REPLACED_SECONDS, "the replacement"):
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: workers_of(launcher) - {old}, "the worker to be replaced")
        wait_until_ready(url, launcher)


# -- F14 -------------------------------------------------------------------------------------------


@dataclass
class LoneWorker:
    """A shop with one worker, which can be killed."""

    url: str
    launcher: Popen[bytes]
    database: str


@pytest.fixture(scope="module")
def lone_worker(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneWorker]:
    database = new_database(servers.database_url)
    with shop_processes(environment_of(database, None, tmp_path_factory.mktemp("lone")), workers=1) as (url, launcher):
        yield LoneWorker(url, launcher, database)


SLEEPING = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


@pytest.mark.parametrize("table", ["bills", "stock_movements", "idempotency_keys", "commit"])
def test_f14_a_worker_is_killed_inside_a_checkout(lone_worker: LoneWorker, table: str, bounds: Bounds) -> None:
    """While the order is written, while its answer is kept, and while both are being committed.

    PostgreSQL may finish what it was told before it notices that nobody is there any more; half of it would be wrong.
    """
    with httpx.Client(base_url=lone_worker.url, timeout=30) as http, ThreadPoolExecutor(1) as thread:
        goods = Goods(http)
        product = goods.product(stock=5)
        cart, key = goods.cart((product, 1)), {"Idempotency-Key": unique(f"killed-in-{table}")}
        sleeper = "idempotency_keys" if table == "commit" else table
        do_on_insert(lone_worker.database, sleeper, "PERFORM pg_sleep(2)", at_commit=table == "commit")
        placing = thread.submit(http.post, "/checkout", json=cart, headers=key)
        wait_for_rows(lone_worker.database, SLEEPING)
        kill_and_wait_for_another(lone_worker.launcher, lone_worker.url, bounds)
        with pytest.raises(httpx.TransportError):
            placing.result()
        # This waits until the transaction of the dead worker has ended, and so do its locks.
        heal(lone_worker.database)
        ((orders,),) = rows_of(
            lone_worker.database, "SELECT count(*) FROM order_details WHERE product_id = %s", product
        )
        assert goods.stock(product) == 5 - orders
        again = http.post("/checkout", json=cart, headers=key)
        assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (201, "true" if orders else None)
        assert goods.stock(product) == 4
    assert breaches(lone_worker.database) == []


def test_f14_a_worker_is_killed_while_it_waits_for_a_lock(lone_worker: LoneWorker, bounds: Bounds) -> None:
    with httpx.Client(base_url=lone_worker.url, timeout=30) as http, ThreadPoolExecutor(1) as thread:
        goods = Goods(http)
        product = goods.product(stock=5)
        cart, key = goods.cart((product, 1)), {"Idempotency-Key": unique("killed-while-waiting")}
        with locked_row(lone_worker.database, "products", product):
            placing = thread.submit(http.post, "/checkout", json=cart, headers=key)
            wait_for_rows(lone_worker.database, WAITING)
            kill_and_wait_for_another(lone_worker.launcher, lone_worker.url, bounds)
            with pytest.raises(httpx.TransportError):
                placing.result()
        assert http.post("/checkout", json=cart, headers=key).status_code == 201
        assert goods.stock(product) == 4
    assert breaches(lone_worker.database) == []


# -- F15 -------------------------------------------------------------------------------------------


@dataclass
class Buyer:
    """Sends a request over and over on one connection, until the shop says goodbye; as behind a balancer."""

    url: str
    path: str
    body: dict[str, Any]
    made: list[int] = field(default_factory=list)
    trouble: list[object] = field(default_factory=list)
    dismissed: bool = False

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while not self.dismissed and not self.trouble:
                try:
                    answer = http.post(self.path, json=self.body)
                except httpx.TransportError as error:
                    self.trouble.append(error)
                    return
                if answer.status_code == 201:
                    self.made.append(answer.json()["id_key"])
                else:
                    self.trouble.append(answer.text)
                self.dismissed = answer.headers.get("connection") == "close"


def goodbyes(url: str) -> list[tuple[int, str | None]]:
    """What a newcomer is told, of readiness and of life, and whether the connection is closed."""
    answers = [httpx.get(f"{url}/health/{name}") for name in ("ready", "live")]
    return [(answer.status_code, answer.headers.get("connection")) for answer in answers]


def test_f15_sigterm_under_load(servers: ServerUrls, tmp_path: Path) -> None:
    database = new_database(servers.database_url)
    environment = environment_of(database, None, tmp_path, DRAIN_SECONDS="3")
    with shop_processes(environment) as (url, launcher):
        with httpx.Client(base_url=url, timeout=30) as http:
            goods = Goods(http)
            product = goods.product(stock=1_000_000)
        cart = goods.cart((product, 1))
        # One of the requests in flight takes longer than the drain.
        do_on_insert(database, "reviews", "PERFORM pg_sleep(4)")
        slow = Buyer(url, "/reviews", {"product_id": product, "rating": 5})
        buyers = [slow, *(Buyer(url, "/checkout", cart) for _ in range(8))]
        threads = [threading.Thread(target=buyer.run) for buyer in buyers]
        for thread in threads:
            thread.start()
        wait_for_rows(database, SLEEPING)
        launcher.send_signal(signal.SIGTERM)
        wait_for(lambda: goodbyes(url) == [(503, "close"), (200, "close")], "every worker to say goodbye")
        for thread in threads:
            thread.join()
        assert launcher.wait(30) == 0
    assert [buyer.trouble for buyer in buyers] == [[]] * 9
    assert all(buyer.dismissed and buyer.made for buyer in buyers)
    acknowledged = sorted(order for buyer in buyers[1:] for order in buyer.made)
    assert acknowledged == [id_key for (id_key,) in rows_of(database, "SELECT id_key FROM orders ORDER BY id_key")]
    assert breaches(database) == []


def test_f15_whoever_connects_is_served_or_refused(servers: ServerUrls, tmp_path: Path) -> None:
    """Twelve clients, a new connection for every request, up to the last moment: not one of them is reset."""
    statuses: list[int] = []
    ends: list[Exception] = []

    def visit_until_the_end(port: int) -> None:
        try:
            while True:
                connection = HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("GET", "/health/live")
                statuses.append(connection.getresponse().status)
                connection.close()
        except OSError as error:
            ends.append(error)

    environment = environment_of(new_database(servers.database_url), None, tmp_path, DRAIN_SECONDS="0.3")
    with shop_processes(environment) as (url, launcher), ThreadPoolExecutor(12) as threads:
        visits = [threads.submit(visit_until_the_end, int(url.rpartition(":")[2])) for _ in range(12)]
        time.sleep(0.3)
        launcher.send_signal(signal.SIGTERM)
        for visit in visits:
            visit.result()
    assert {type(end) for end in ends} == {ConnectionRefusedError}
    assert set(statuses) == {200}


# -- F16 -------------------------------------------------------------------------------------------


def test_f16_a_replacement_is_born_while_the_servers_are_down(tmp_path: Path) -> None:
    with OwnPostgres(tmp_path / "d") as postgres:
        environment = environment_of(postgres.url, f"unix://{tmp_path}/nobody.sock", tmp_path)
        with shop_processes(environment, workers=1) as (url, launcher), httpx.Client(base_url=url, timeout=30) as http:
            goods = Goods(http)
            (old,) = workers_of(launcher)
            postgres.stop()
            os.kill(old, signal.SIGKILL)
            wait_for(lambda: launcher.poll() is not None or _is_alive(http), "the replacement to serve")
            assert launcher.poll() is None, "the whole service has ended"
            require_unavailable(http.get("/products"))
            assert http.get("/health/ready").status_code == 503
            (new,) = workers_of(launcher)
            postgres.start()
            wait_until_ready(url, launcher)
            goods.bought((goods.product(stock=1), 1))
            assert workers_of(launcher) == {new} != {old}
        assert breaches(postgres.url) == []


def _is_alive(http: httpx.Client) -> bool:
    try:
        return http.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False
