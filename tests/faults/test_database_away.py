"""PostgreSQL goes away, comes back, or becomes somebody else, while the shop serves."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.bounds import Bounds, timed
from tests.faults.faulty import OwnPostgres, do_on_insert, goods_on, heal, require_unavailable, wait_until_placed
from tests.infrastructure.processes import wait_for
from tests.race.databases import breaches, end_connections, execute, rows_of
from tests.race.goods import unique

pytestmark = [pytest.mark.integration, pytest.mark.slow]

POOL_PIDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'shop'"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    with OwnPostgres(tmp_path_factory.mktemp("own") / "d") as server:
        yield server


@pytest.fixture
def postgres(running: OwnPostgres) -> Iterator[OwnPostgres]:
    """A server of this module's own: up when a test begins, and sound when it ends."""
    running.start()
    yield running
    running.start()
    assert breaches(running.url) == []


def test_f1_postgresql_is_down(postgres: OwnPostgres, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(postgres.url, tmp_path) as goods:
        product = goods.product(stock=5)
        cart = goods.cart((product, 1))
        postgres.stop()
        for method, path, body in (
            ("GET", f"/products/{product}", None),
            ("GET", "/orders", None),
            ("POST", "/checkout", cart),
            ("PUT", f"/products/{product}", {"name": "x"}),
            ("DELETE", f"/products/{product}", None),
        ):
            with bounds.within(3, f"{method} {path}"):
                require_unavailable(goods.http.request(method, path, json=body))
        assert goods.http.get("/health/live").status_code == 200
        assert goods.http.get("/health/ready").status_code == 503
        health = goods.http.get("/health_check")
        assert (health.status_code, health.json()["status"]) == (503, "critical")
        assert health.json()["checks"]["database"]["status"] == "down"
        postgres.start()
        with bounds.within(5, "the return"):
            wait_until_placed(goods.http, cart)
        assert goods.http.get("/health/ready").status_code == 200
        assert goods.stock(product) == 4


def test_f1_its_loss_and_its_return_are_a_line_each(postgres: OwnPostgres, tmp_path: Path) -> None:
    def said(word: str) -> list[str]:
        return [line for line in (tmp_path / "logs" / "app.log").read_text().splitlines() if word in line]

    with goods_on(postgres.url, tmp_path, LOG_FORMAT="text", ACCESS_LOG="false") as goods:
        cart = goods.cart((goods.product(stock=50), 1))
        wait_for(lambda: said("Migrations: at revision"), "the revision")
        # What nobody asks for is found out too.
        postgres.stop()
        wait_for(lambda: said("The database is away"), "the loss")
        for _ in range(10):
            for path in ("/orders", "/products?sort=name", "/health_check"):
                assert goods.http.get(path).status_code == 503
            require_unavailable(goods.http.post("/checkout", json=cart))
        missing = goods.http.get("/health_check").json()
        assert (missing["ready"], missing["not_ready"]) == (False, ["The database is away"])
        assert goods.http.get("/health/ready").json()["not_ready"] == ["The database is away"]
        postgres.start()
        wait_for(lambda: said("The database is back"), "the return")
        wait_until_placed(goods.http, cart)
    (away,), (back,) = said("The database is away"), said("The database is back")
    assert ("ERROR" in away, "INFO" in back) == (True, True)
    assert not said("did not serve a request")
    assert len(said("Database: PostgreSQL 18")) == len(said("Migrations: at revision")) == len(said("Redis: ")) == 1


def test_f1_postgresql_hangs(postgres: OwnPostgres, tmp_path: Path, bounds: Bounds) -> None:
    """A stopped server accepts connections and answers nothing: health says so within its two seconds."""
    with goods_on(postgres.url, tmp_path) as goods:
        backends = [postgres.pid, *(pid for (pid,) in rows_of(postgres.url, "SELECT pid FROM pg_stat_activity"))]
        try:
            for pid in backends:
                _signal(pid, signal.SIGSTOP)
            for path, status in (("/health/live", 200), ("/health/ready", 503), ("/health_check", 503)):
                answer, seconds = timed(partial(goods.http.get, path))
                assert answer.status_code == status
                bounds.require(seconds, 2, path)
        finally:
            for pid in backends:
                _signal(pid, signal.SIGCONT)
        goods.bought((goods.product(stock=1), 1))
        assert goods.http.get("/health/ready").status_code == 200


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        # A connection that has ended since it was listed.
        return


def test_f2_postgresql_is_restarted_in_the_middle_of_a_request(
    postgres: OwnPostgres, tmp_path: Path, bounds: Bounds
) -> None:
    with goods_on(postgres.url, tmp_path) as goods, ThreadPoolExecutor(1) as thread:
        product = goods.product(stock=5)
        cart, key = goods.cart((product, 1)), {"Idempotency-Key": unique("restarted")}
        do_on_insert(postgres.url, "order_details", "PERFORM pg_sleep(300)")
        placing = thread.submit(goods.http.post, "/checkout", json=cart, headers=key)
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_for(lambda: rows_of(postgres.url, sleeping), "the order to be at work")
        postgres.stop()
        require_unavailable(placing.result())
        postgres.start()
        with bounds.within(5, "the return"):
            heal(postgres.url)
            assert goods.stock(product) == 5
            wait_until_placed(goods.http, cart)
        again = goods.http.post("/checkout", json=cart, headers=key)
        assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, False)
        assert goods.stock(product) == 3


def test_f2_one_connection_is_broken(postgres: OwnPostgres, tmp_path: Path) -> None:
    """Idle connections that died are noticed by whoever uses them next, and replaced without an error."""
    with goods_on(postgres.url, tmp_path) as goods:
        product = goods.product(stock=5)
        end_connections(postgres.url, "application_name = 'shop'")
        assert goods.stock(product) == 5
        end_connections(postgres.url, "application_name = 'shop'")
        goods.bought((product, 1))


def test_f4_the_primary_has_become_read_only(postgres: OwnPostgres, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(postgres.url, tmp_path) as goods:
        product = goods.product(stock=5)
        cart = goods.cart((product, 1))
        before = set(rows_of(postgres.url, POOL_PIDS))
        _set_read_only(postgres.url, "on")
        try:
            require_unavailable(goods.http.post("/checkout", json=cart))
            require_unavailable(goods.http.put(f"/products/{product}", json={"name": "other"}))
            assert goods.stock(product) == 5
            for path in ("/products", "/orders", "/clients?sort=-name"):
                assert goods.http.get(path).status_code == 200
            ready = goods.http.get("/health/ready")
            assert (ready.status_code, ready.json()["not_ready"]) == (503, ["The database is read-only"])
            assert goods.http.get("/health_check").json()["not_ready"] == ["The database is read-only"]
            with bounds.within(2, "the end of the connections to the old primary"):
                wait_for(lambda: not before & set(rows_of(postgres.url, POOL_PIDS)), "the old connections to end")
        finally:
            _set_read_only(postgres.url, "off")
        with bounds.within(10, "the return"):
            wait_until_placed(goods.http, cart)
        assert goods.http.get("/health/ready").status_code == 200
        assert goods.stock(product) == 4


def _set_read_only(url: str, value: str) -> None:
    # In two statements, because ALTER SYSTEM refuses to be part of a transaction.
    execute(url, f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    execute(url, "SELECT pg_reload_conf()")
    wait_for(lambda: rows_of(url, "SHOW default_transaction_read_only") == [(value,)], "the setting")


def test_f17_an_acknowledged_order_survives_a_killed_server(
    postgres: OwnPostgres, tmp_path: Path, bounds: Bounds
) -> None:
    with goods_on(postgres.url, tmp_path) as goods:
        product = goods.product(stock=5)
        order = goods.bought((product, 1))["id_key"]
        os.kill(postgres.pid, signal.SIGKILL)
        time.sleep(0.05)
        postgres.start()
        with bounds.within(5, "the return"):
            wait_for(lambda: goods.http.get(f"/orders/{order}").status_code != 503, "the order")
        assert goods.http.get(f"/orders/{order}").json()["id_key"] == order
        assert goods.stock(product) == 4
