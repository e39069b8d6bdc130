"""The database is there but cannot do it now: collisions, locks, a full disk, a read-only replica, no free connection."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from tests.bounds import Bounds, timed
from tests.faults.faulty import (
    connections_in_use,
    do_on_insert,
    goods_on,
    heal,
    locked_row,
    require_unavailable,
    wait_until_placed,
)
from tests.infrastructure.processes import wait_for
from tests.race.databases import WAITING, connected, execute, rows_of
from tests.race.goods import unique

pytestmark = pytest.mark.integration

LOCK_TIMEOUT = 0.4


def fail_first(times: int, code: str) -> str:
    """A trigger's statement that raises the SQLSTATE the first times. A sequence keeps count through rollbacks."""
    return f"IF nextval('failures') <= {times} THEN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'no'; END IF"


@pytest.mark.parametrize("code", ["40001", "40P01"])
@pytest.mark.parametrize("table", ["bills", "idempotency_keys"])
def test_f5_a_failed_serialization_is_retried(database: str, tmp_path: Path, code: str, table: str) -> None:
    execute(database, "CREATE SEQUENCE failures")
    with goods_on(database, tmp_path) as goods:
        product = goods.product(stock=5)
        do_on_insert(database, table, fail_first(3, code))
        answer = goods.http.post("/checkout", json=goods.cart((product, 2)), headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201
        assert "Idempotent-Replayed" not in answer.headers
        assert goods.stock(product) == 3
    assert rows_of(database, "SELECT last_value FROM failures") == [(4,)]


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_f5_after_three_retries_it_is_503(database: str, tmp_path: Path, code: str) -> None:
    execute(database, "CREATE SEQUENCE failures")
    with goods_on(database, tmp_path) as goods:
        product = goods.product(stock=5)
        do_on_insert(database, "bills", fail_first(4, code))
        cart, key = goods.cart((product, 2)), {"Idempotency-Key": "k"}
        require_unavailable(goods.http.post("/checkout", json=cart, headers=key))
        assert rows_of(database, "SELECT last_value FROM failures") == [(4,)]
        assert goods.stock(product) == 5
        # The 503 was not kept under the key.
        assert goods.http.post("/checkout", json=cart, headers=key).status_code == 201


def test_f5_the_victim_of_a_deadlock_tries_again(database: str, tmp_path: Path) -> None:
    # Who has waited so long looks for a deadlock, once: it must be there by then.
    execute(database, f"ALTER DATABASE {make_url(database).database} SET deadlock_timeout = '3s'")
    with goods_on(database, tmp_path) as goods:
        first, second = goods.product(stock=5), goods.product(stock=5)
        order = goods.http.post("/checkout", json=goods.cart((first, 1), (second, 1))).json()["id_key"]
        with locked_row(database, "products", second) as foreign, ThreadPoolExecutor(1) as thread:
            # The other session lets this one find out about the deadlock.
            foreign.execute("SET LOCAL deadlock_timeout = '100s'")
            # It goes step by step; as a single statement nobody waits long enough for a deadlock.
            canceling = thread.submit(goods.http.post, f"/orders/{order}/cancel")
            while not rows_of(database, WAITING):
                time.sleep(0.01)
            foreign.execute("SELECT 1 FROM products WHERE id_key = %s FOR UPDATE", (first,))
            foreign.connection.rollback()
            assert canceling.result().status_code == 200
        assert [goods.stock(first), goods.stock(second)] == [5, 5]
    # A session adds to the statistics when it ends, which is a moment after its client.
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    wait_for(lambda: rows_of(database, deadlocks) == [(1,)], "the deadlock to be counted")


def test_f6_a_row_locked_by_somebody_else(database: str, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(database, tmp_path, DB_LOCK_TIMEOUT=str(LOCK_TIMEOUT)) as goods:
        product = goods.product(stock=5)
        order = goods.order()
        writes = {
            "/checkout": goods.cart((product, 1)),
            "/order_details": {"order_id": order, "product_id": product, "quantity": 1},
            f"/products/{product}/stock": {"delta": 1},
        }
        with locked_row(database, "products", product):
            for path, body in writes.items():
                answer, seconds = timed(partial(goods.http.post, path, json=body))
                require_unavailable(answer)
                # What the request has spent before it waits is taken off.
                assert seconds >= LOCK_TIMEOUT / 2
                bounds.require(seconds, LOCK_TIMEOUT, path)
            assert goods.stock(product) == 5
        assert [goods.http.post(path, json=body).status_code for path, body in writes.items()] == [201, 201, 200]


def test_f6_many_rows_at_once_that_wait_for_a_table(database: str, tmp_path: Path) -> None:
    with goods_on(database, tmp_path, DB_LOCK_TIMEOUT=str(LOCK_TIMEOUT)) as goods:
        rows = [{"name": unique("lamp"), "price": 1, "stock": 1, "category_id": goods.category_id} for _ in range(3)]
        for table in ("stock_movements", "products"):
            with connected(database) as foreign, foreign.cursor() as cursor:
                cursor.execute(f"BEGIN; LOCK TABLE {table}")
                require_unavailable(goods.http.post("/products/bulk", json=rows))
        assert goods.http.post("/products/bulk", json=rows).status_code == 201


def test_f6_one_of_many_rows_is_there_already_after_a_wait(database: str, tmp_path: Path) -> None:
    name = unique("category")
    with goods_on(database, tmp_path) as goods:
        with connected(database) as foreign, foreign.cursor() as cursor, ThreadPoolExecutor(1) as thread:
            cursor.execute("BEGIN; INSERT INTO categories (name) VALUES (%s)", (name,))
            adding = thread.submit(goods.http.post, "/categories/bulk", json=[{"name": name}])
            while not rows_of(database, WAITING):
                assert not adding.done()
                time.sleep(0.01)
            # From then on the statements of a request have limits of their own.
            time.sleep(0.3)
            cursor.execute("COMMIT")
            assert adding.result().status_code == 409, adding.result().text
        assert goods.http.post("/categories/bulk", json=[{"name": unique("category")}]).status_code == 201


def test_f6_nobody_waits_for_his_turn_and_then_for_the_row(database: str, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(database, tmp_path, DB_LOCK_TIMEOUT=str(LOCK_TIMEOUT)) as goods, ThreadPoolExecutor(4) as threads:
        product = goods.product(stock=5)

        def seconds_to_rename(name: str) -> float:
            answer, seconds = timed(lambda: goods.http.put(f"/products/{product}", json={"name": name}))
            require_unavailable(answer)
            return seconds

        with locked_row(database, "products", product):
            waited = list(threads.map(seconds_to_rename, ("a", "b", "c", "d")))
        bounds.require(max(waited), LOCK_TIMEOUT, "the last of four")


@pytest.mark.slow
def test_f7_no_free_connection(database: str, tmp_path: Path) -> None:
    # Everything else waits for so much longer, or takes so much less, that a busy machine does not mix it up.
    patience = 5
    settings = {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "0", "DB_POOL_TIMEOUT": str(patience)}
    with goods_on(database, tmp_path, **settings) as goods, ThreadPoolExecutor(9) as threads:
        product = goods.product(stock=5)
        with locked_row(database, "products", product):
            # On the only connection of the threads.
            changing = threads.submit(goods.http.patch, f"/products/{product}", json={"price": 7})
            while not rows_of(database, WAITING):
                time.sleep(0.01)
            start = time.monotonic()
            waiting = [threads.submit(goods.http.get, "/clients?sort=-name") for _ in range(8)]
            while goods.http.get("/health_check").json()["checks"]["db_pool"]["threads"]["waiting"] == 0:
                assert not any(request.done() for request in waiting)
            assert goods.http.get("/health/live").status_code == 200
            # What is one statement takes none of the pool's connections.
            assert goods.http.get(f"/products/{product}").json()["stock"] == 5
            for request in waiting:
                require_unavailable(request.result())
            assert time.monotonic() - start >= patience / 2
            # It has had the only connection all the time.
            assert not changing.done()
        assert changing.result().status_code == 200
        assert goods.http.get("/health_check").json()["checks"]["db_pool"]["checked_out"] == 0


def test_f7_health_says_that_all_threads_are_blocked(database: str, tmp_path: Path) -> None:
    with goods_on(database, tmp_path, DB_POOL_SIZE="3") as goods, ThreadPoolExecutor(5) as threads:
        product = goods.product(stock=5)

        def pool() -> dict[str, Any]:
            report = goods.http.get("/health_check").json()
            assert report["ready"]
            return {**report["checks"]["db_pool"], "status": report["status"]}

        assert pool()["utilization_percent"] < 90
        with locked_row(database, "products", product):
            writing = [
                threads.submit(goods.http.put, f"/products/{product}", json={"name": f"Lamp {n}"}) for n in range(5)
            ]
            while pool()["threads"] != {"size": 3, "in_use": 3, "waiting": 2, "blocked": 3}:
                time.sleep(0.01)
            blocked = pool()
            assert (blocked["status"], blocked["health"], blocked["utilization_percent"]) == (
                "critical",
                "critical",
                100,
            )
            assert blocked["checked_out"] >= 3
        assert {answer.result().status_code for answer in writing} == {200}
        assert pool()["threads"]["in_use"] == 0


def test_f7_more_requests_than_connections_are_all_served(database: str, tmp_path: Path) -> None:
    settings = {"DB_POOL_SIZE": "2", "DB_MAX_OVERFLOW": "0"}
    with goods_on(database, tmp_path, **settings) as goods:
        product = goods.product(stock=60)
        limits = httpx.Limits(max_connections=None)
        with (
            httpx.Client(base_url=goods.http.base_url, timeout=30, limits=limits) as http,
            ThreadPoolExecutor(40) as threads,
        ):
            requests = [threads.submit(http.post, "/checkout", json=goods.cart((product, 1))) for _ in range(40)]
            assert {request.result().status_code for request in requests} == {201}
        assert goods.stock(product) == 20


def test_f18_a_full_disk(database: str, tmp_path: Path) -> None:
    with goods_on(database, tmp_path) as goods:
        product = goods.product(stock=5)
        do_on_insert(database, "stock_movements", "RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'disk full'")
        require_unavailable(goods.http.post("/checkout", json=goods.cart((product, 1))))
        require_unavailable(goods.http.post(f"/products/{product}/stock", json={"delta": 1}))
        assert goods.stock(product) == 5
        assert goods.http.get("/products").status_code == 200
        heal(database)
        goods.bought((product, 1))


def test_f17_an_answer_waits_for_the_disk(database: str, tmp_path: Path) -> None:
    """`synchronous_commit` is on in the very transaction that is acknowledged."""
    execute(database, "CREATE TABLE seen (setting text)")
    with goods_on(database, tmp_path) as goods:
        product = goods.product(stock=5)
        do_on_insert(database, "bills", "INSERT INTO seen SELECT current_setting('synchronous_commit')")
        goods.bought((product, 1))
    assert rows_of(database, "SELECT setting FROM seen") == [("on",)]


def test_a_statement_that_takes_too_long_is_given_up(database: str, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(database, tmp_path, DB_STATEMENT_TIMEOUT="2") as goods:
        product = goods.product(stock=5)
        do_on_insert(database, "bills", "PERFORM pg_sleep(60)")
        answer, seconds = timed(lambda: goods.http.post("/checkout", json=goods.cart((product, 1))))
        require_unavailable(answer)
        # What the request has spent before the statement is taken off.
        assert seconds >= 1
        bounds.require(seconds, 2, "the checkout")
        assert goods.stock(product) == 5


def test_f8_a_client_that_leaves(database: str, tmp_path: Path) -> None:
    """Ten clients hang up while their checkouts are at work: each order is whole, and no connection is lost."""
    with goods_on(database, tmp_path, DB_POOL_SIZE="2", DB_MAX_OVERFLOW="0") as goods:
        product = goods.product(stock=50)
        do_on_insert(database, "bills", "PERFORM pg_sleep(0.3)")

        def leave_early() -> None:
            with (
                httpx.Client(base_url=goods.http.base_url, timeout=httpx.Timeout(60, read=0.05)) as impatient,
                pytest.raises(httpx.ReadTimeout),
            ):
                impatient.post("/checkout", json=goods.cart((product, 1)))

        leaving = [threading.Thread(target=leave_early) for _ in range(10)]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join()
        wait_for(lambda: connections_in_use(goods.http) == 0, "the connections to be given back")
        # Nobody waits at the gate any more either: this one is served, and after all the others.
        wait_until_placed(goods.http, goods.cart((product, 1)))
        (placed,) = rows_of(database, "SELECT count(*) FROM orders")[0]
        assert goods.stock(product) == 50 - placed
