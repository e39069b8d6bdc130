"""Connections and servers that say nothing: bounds as the client measures them."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from infrastructure.database.connection_options import connection_options
from tests.bounds import Bounds, timed
from tests.faults.black_hole import BlackHole
from tests.faults.faulty import (
    OwnPostgres,
    connections_in_use,
    goods_on,
    locked_row,
    require_unavailable,
    wait_until_placed,
)
from tests.infrastructure.processes import wait_for
from tests.race.databases import connected, rows_of
from tests.race.goods import Goods
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# The bounds of docs and contract.
DEFAULTS = {"DB_POOL_TIMEOUT": "2", "DB_LOCK_TIMEOUT": "3", "DB_STATEMENT_TIMEOUT": "5"}
FROZEN_SECONDS = 3
DEAD_SECONDS = 9
LOCKED_SECONDS = 3
FULL_SECONDS = 2


def at_once(goods: Goods, requests: list[tuple[str, str, Any]]) -> list[tuple[httpx.Response, float]]:
    """The answers to all of them, sent at the same time, and how long each took."""
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(base_url=goods.http.base_url, timeout=60, limits=limits) as http,
        ThreadPoolExecutor(len(requests)) as threads,
    ):
        return list(threads.map(lambda one: timed(lambda: http.request(one[0], one[1], json=one[2])), requests))


def name_of(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url.path}, {answer.status_code},"


@contextmanager
def frozen(postgres: OwnPostgres) -> Iterator[None]:
    """PostgreSQL with every process stopped: it accepts connections, and answers nothing."""
    pids = [postgres.pid, *(pid for (pid,) in rows_of(postgres.url, "SELECT pid FROM pg_stat_activity"))]
    try:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        # A connection that has ended since it was listed.
        return


def test_f1_a_frozen_server_is_noticed_in_time_by_every_request(tmp_path: Path, bounds: Bounds) -> None:
    with OwnPostgres(tmp_path / "own") as postgres, goods_on(postgres.url, tmp_path, **DEFAULTS) as goods:
        product = goods.product(stock=50)
        cart = goods.cart((product, 1))
        kinds: list[tuple[str, str, Any]] = [
            ("POST", "/checkout", cart),
            ("PUT", f"/products/{product}", {"name": "other"}),
            ("GET", f"/products/{product}", None),
            ("GET", "/clients?sort=-name", None),
            ("GET", "/orders", None),
            ("POST", "/categories", {"name": "frozen"}),
            ("POST", "/categories/bulk", [{"name": "frozen too"}]),
            ("DELETE", f"/products/{product}", None),
            ("GET", "/orders?expand=order_details,bill,client", None),
        ]
        at_once(goods, [kind for kind in kinds if kind[0] == "GET"] * 4)
        with frozen(postgres):
            for _ in range(2):
                for answer, seconds in at_once(goods, kinds * 4):
                    require_unavailable(answer)
                    bounds.require(seconds, FROZEN_SECONDS, name_of(answer))
        with bounds.within(4, "the return"):
            wait_until_placed(goods.http, cart)
            wait_for(lambda: connections_in_use(goods.http) == 0, "the connections to be given back")


# Only once: the others have a quick test in this file, and these take a time that passes in both runs.
@pytest.mark.timed
@pytest.mark.parametrize("method", ["GET", "LIST", "PATCH", "CHECKOUT"])
def test_f4_connections_that_died_without_a_word_are_replaced(
    database: str, tmp_path: Path, method: str, bounds: Bounds
) -> None:
    with BlackHole(database) as link, goods_on(link.url, tmp_path, **DEFAULTS) as goods:
        product, client = goods.product(stock=50), goods.http.get("/clients").json()[0]["id_key"]
        requests: dict[str, tuple[str, str, Any]] = {
            "GET": ("GET", f"/clients/{client}", None),
            "LIST": ("GET", "/clients?sort=-name", None),
            "PATCH": ("PATCH", f"/clients/{client}", {"name": "Ann"}),
            "CHECKOUT": ("POST", "/checkout", goods.cart((product, 1))),
        }
        everything = list(requests.values()) * 6
        assert {answer.status_code for answer, _ in at_once(goods, everything)} <= {200, 201}
        assert link.swallow()
        answer, seconds = timed(lambda: goods.http.request(*requests[method][:2], json=requests[method][2]))
        bounds.require(seconds, DEAD_SECONDS, name_of(answer))
        # A statement that is its own transaction may have been committed.
        assert answer.status_code in ({201, 503} if method == "CHECKOUT" else {200})
        for answer, seconds in at_once(goods, everything):
            assert answer.status_code in {200, 201, 503}
            bounds.require(seconds, DEAD_SECONDS, name_of(answer))
        for answer, _ in at_once(goods, list(requests.values())):
            assert answer.status_code in {200, 201}


def test_f4_readiness_and_the_end_do_not_wait_for_dead_connections(
    database: str, tmp_path: Path, bounds: Bounds
) -> None:
    with BlackHole(database) as link:
        environment = environment_of(link.url, None, tmp_path, **DEFAULTS)
        with shop_processes(environment, workers=1) as (url, process), httpx.Client(base_url=url, timeout=60) as http:
            assert http.get("/clients?sort=-name").status_code == 200
            assert link.swallow()

            def is_ready() -> bool:
                ready, seconds = timed(lambda: http.get("/health/ready"))
                bounds.require(seconds, 2, name_of(ready), margin=0.5)
                return ready.status_code == 200

            with bounds.within(DEAD_SECONDS, "the return"):
                wait_for(is_ready, "the shop to be ready")
            with ThreadPoolExecutor(1) as thread:
                assert link.swallow()
                reading = thread.submit(timed, lambda: http.get("/clients?sort=-name"))
                time.sleep(0.3)
                with bounds.within(DEAD_SECONDS, "the end"):
                    process.terminate()
                    assert process.wait(60) == 0
                answer, seconds = reading.result()
                assert answer.status_code == 200
                bounds.require(seconds, DEAD_SECONDS, name_of(answer))


def test_f6_many_that_want_the_same_row(database: str, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(database, tmp_path, **DEFAULTS) as goods:
        product = goods.product(stock=500)
        order = ("POST", "/checkout", goods.cart((product, 1)))
        change = ("PUT", f"/products/{product}", {"name": "Lamp"})
        with locked_row(database, "products", product):
            for answer, seconds in at_once(goods, [order, change] * 17):
                require_unavailable(answer)
                bounds.require(seconds, LOCKED_SECONDS, name_of(answer))


def test_f6_whatever_it_is_that_wants_the_row(database: str, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(database, tmp_path, **DEFAULTS) as goods:
        locked, free = goods.product(stock=500), goods.product(stock=500)
        order = goods.order()
        writes: list[tuple[str, str, Any]] = [
            ("POST", "/checkout", goods.cart((free, 1), (locked, 1))),
            ("POST", "/checkout", goods.cart((locked, 1), bill_number="of its own")),
            ("POST", "/order_details", {"order_id": order, "product_id": locked, "quantity": 1}),
            ("POST", f"/products/{locked}/stock", {"delta": 1}),
            ("DELETE", f"/products/{locked}", None),
            ("PATCH", "/products/bulk", [{"id_key": one, "price": 12} for one in (free, locked)]),
            ("POST", "/products/bulk_delete", [{"id_key": free}, {"id_key": locked}]),
        ]
        with locked_row(database, "products", locked):
            for answer, seconds in at_once(goods, writes * 4):
                require_unavailable(answer)
                bounds.require(seconds, LOCKED_SECONDS, name_of(answer))


@pytest.mark.parametrize("table", ["clients", "orders", "bills, order_details", "stock_movements"])
def test_f6_whatever_table_is_locked(database: str, tmp_path: Path, table: str, bounds: Bounds) -> None:
    with goods_on(database, tmp_path, **DEFAULTS) as goods:
        product = goods.product(stock=500)
        order = goods.bought((product, 1))["id_key"]
        row = {"name": "Lamp", "price": 1, "stock": 1, "category_id": goods.category_id}
        requests: list[tuple[str, str, Any]] = [
            ("POST", "/checkout", goods.cart((product, 1))),
            ("PATCH", f"/clients/{goods.client_id}", {"name": "Ann"}),
            ("POST", "/products/bulk", [row] * 3),
            ("POST", f"/orders/{order}/cancel", None),
            ("GET", f"/orders/{order}?expand=order_details,bill,client", None),
            ("GET", "/orders?expand=order_details,bill,client", None),
            ("GET", "/clients?sort=-name", None),
            ("GET", f"/products/{product}/stock_movements", None),
            ("GET", "/products?q=lamp", None),
        ]
        with connected(database) as foreign, foreign.cursor() as cursor:
            cursor.execute(f"BEGIN; LOCK TABLE {table}")
            for answer, seconds in at_once(goods, requests * 3):
                assert answer.status_code in {200, 201, 409, 503}
                bounds.require(seconds, LOCKED_SECONDS, name_of(answer))


def test_f6_many_that_want_the_next_bill_number(database: str, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(database, tmp_path, **DEFAULTS) as goods:
        product = goods.product(stock=500)
        goods.bought((product, 1))
        with connected(database) as foreign, foreign.cursor() as cursor:
            cursor.execute("BEGIN; SELECT 1 FROM bill_counters FOR UPDATE")
            for answer, seconds in at_once(goods, [("POST", "/checkout", goods.cart((product, 1)))] * 34):
                require_unavailable(answer)
                bounds.require(seconds, LOCKED_SECONDS, name_of(answer))


def test_f7_a_locked_table_holds_up_no_reader_of_another(database: str, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(database, tmp_path, **DEFAULTS) as goods:
        product = goods.product(stock=5)
        with connected(database) as foreign, foreign.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE products")
            locked = [("GET", f"/products?sort=-name&skip={number}", None) for number in range(3)]
            others = [("GET", f"/clients?sort=-name&skip={number}", None) for number in range(9)]
            answers = at_once(goods, [*locked, ("GET", f"/products/{product}", None), *others, *locked])
            for answer, seconds in answers:
                waits = answer.request.url.path.startswith("/products")
                assert answer.status_code in ({503} if waits else {200, 503})
                bounds.require(seconds, LOCKED_SECONDS if waits else FULL_SECONDS, name_of(answer))


def test_what_the_system_knows_of_a_connection(database: str) -> None:
    with BlackHole(database) as link:
        url = link.url.replace("+psycopg2", "")
        connection = psycopg2.connect(url, **connection_options(link.url, "shop"))
        with socket.socket(fileno=os.dup(connection.fileno())) as seen:
            assert seen.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert seen.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 8000
        connection.close()
