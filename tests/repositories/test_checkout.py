"""The statement that places an order: what it locks, what it looks at again, and when it does nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg2
import pytest

from infrastructure.embedded.servers import ServerUrls
from repositories.checkout import KeyToKeep, NewOrder, PlacedOrder, placed, placing
from tests.race.databases import WAITING, breaches, connected, execute, execute_prepared, new_database, rows_of

pytestmark = pytest.mark.integration

PRICE = Decimal("9.99")
KEY = KeyToKeep("key", b"fingerprint", "/orders/")


@dataclass(frozen=True, slots=True)
class Shelf:
    """A shop with a client and two products, and a statement of its own in a thread."""

    url: str
    client: int
    first: int
    second: int
    threads: ThreadPoolExecutor

    def order(self, *lines: tuple[int, int], **more: Any) -> NewOrder:
        plain: dict[str, Any] = {
            "product_ids": [product for product, _ in lines],
            "quantities": [quantity for _, quantity in lines],
            "offered": [None for _ in lines],
            "discount": Decimal(0),
            "expected_total": None,
            "payment_type": "card",
            "delivery_method": 1,
            "client_id": self.client,
            "bill_number": None,
            "date": None,
            "address_id": None,
        }
        return NewOrder(**(plain | more))

    def place(self, order: NewOrder, key_to_keep: KeyToKeep | None = None) -> PlacedOrder | None:
        statement, parameters = placing(order, key_to_keep)
        with connected(self.url) as connection, connection.cursor() as cursor:
            execute_prepared(cursor, statement, parameters)
            row = cursor.fetchone()
        return None if row is None else placed(row)

    def place_meanwhile(self, order: NewOrder, kept: KeyToKeep | None = None) -> "Future[PlacedOrder | None]":
        """The order, on its way: it waits for a lock that the test holds."""
        answer = self.threads.submit(self.place, order, kept)
        while not rows_of(self.url, WAITING):
            assert not answer.done(), answer.result()
        return answer

    def stocks(self) -> list[int]:
        return [stock for (stock,) in rows_of(self.url, "SELECT stock FROM products ORDER BY id_key")]

    def is_free(self, table: str, condition: str) -> bool:
        """Whether nobody has locked the row."""
        try:
            return bool(rows_of(self.url, f"SELECT 1 FROM {table} WHERE {condition} FOR UPDATE NOWAIT"))
        except psycopg2.errors.LockNotAvailable:
            return False


@pytest.fixture(scope="module")
def migrated(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture
def locked_products(migrated: str) -> Iterator[Shelf]:
    """Five pieces of each product; afterwards all that the shop promises of its data must hold."""
    execute(migrated, "TRUNCATE clients, categories, bill_counters, idempotency_keys RESTART IDENTITY CASCADE")
    execute(migrated, "TRUNCATE bills, orders RESTART IDENTITY CASCADE")
    execute(
        migrated, "INSERT INTO clients (name, lastname, email, email_key) VALUES ('Ada', 'Byron', 'a@x.org', 'a@x.org')"
    )
    execute(migrated, "INSERT INTO categories (name) VALUES ('Lamps')")
    execute(
        migrated, "INSERT INTO products (name, price, stock, category_id) VALUES ('a', 9.99, 5, 1), ('b', 9.99, 5, 1)"
    )
    execute(
        migrated, "INSERT INTO stock_movements (product_id, delta, reason) VALUES (1, 5, 'initial'), (2, 5, 'initial')"
    )
    with ThreadPoolExecutor(1) as threads:
        yield Shelf(migrated, 1, 1, 2, threads)
    assert breaches(migrated) == []


def orders(locked_products: Shelf) -> int:
    ((number,),) = rows_of(locked_products.url, "SELECT count(*) FROM orders")
    return int(number)


@pytest.mark.parametrize(
    ("lines", "locks_in_order"), [([(1, 2)], False), ([(2, 1), (2, 1)], False), ([(1, 1), (2, 1)], True)]
)
def test_only_orders_of_several_products_lock_before_they_sell(
    locked_products: Shelf, lines: list[tuple[int, int]], locks_in_order: bool
) -> None:
    statement, _ = placing(locked_products.order(*lines))
    assert ("FOR NO KEY UPDATE" in statement.text) is locks_in_order
    order = locked_products.place(locked_products.order(*lines))
    assert order is not None
    details = rows_of(locked_products.url, "SELECT product_id, quantity, price FROM order_details ORDER BY id_key")
    assert details == [(product, quantity, PRICE) for product, quantity in lines]
    assert sum(locked_products.stocks()) == 8


Change = Callable[[Shelf], NewOrder]
DISAGREEING: dict[str, Change] = {
    "too many": lambda locked_products: locked_products.order((1, 6)),
    "too many on two lines": lambda locked_products: locked_products.order((1, 3), (1, 3)),
    "too many of the second": lambda locked_products: locked_products.order((1, 1), (2, 6)),
    "another price": lambda locked_products: locked_products.order((1, 1), offered=[Decimal("9.98")]),
    "another price on the second line": lambda locked_products: locked_products.order(
        (1, 1), (1, 1), offered=[PRICE, Decimal(10)]
    ),
    "another price of the second": lambda locked_products: locked_products.order(
        (1, 1), (2, 1), offered=[PRICE, Decimal(10)]
    ),
    "another total": lambda locked_products: locked_products.order((1, 1), expected_total=Decimal("9.98")),
    "another total of both": lambda locked_products: locked_products.order((1, 1), (2, 1), expected_total=PRICE),
    "more discount than price": lambda locked_products: locked_products.order((1, 1), discount=Decimal(10)),
    "no such product": lambda locked_products: locked_products.order((99, 1)),
    "no such second product": lambda locked_products: locked_products.order((1, 1), (99, 1)),
}


@pytest.mark.parametrize("disagreeing", DISAGREEING.values(), ids=DISAGREEING)
def test_nothing_is_written_where_something_does_not_agree(locked_products: Shelf, disagreeing: Change) -> None:
    assert locked_products.place(disagreeing(locked_products), KEY) is None
    assert (locked_products.stocks(), orders(locked_products)) == ([5, 5], 0)
    assert rows_of(locked_products.url, "SELECT FROM bill_counters UNION ALL SELECT FROM idempotency_keys") == []


@pytest.mark.parametrize("lines", [[(1, 3)], [(1, 3), (2, 1)]], ids=["one product", "two products"])
@pytest.mark.parametrize("change", ["stock = 2", "price = 10", "active = false"])
def test_a_product_that_changed_while_the_order_waited_is_looked_at_again(
    locked_products: Shelf, lines: list[tuple[int, int]], change: str
) -> None:
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute(f"BEGIN; UPDATE products SET {change} WHERE id_key = 1")
        order = locked_products.order(*lines, offered=[PRICE for _ in lines])
        answer = locked_products.place_meanwhile(order)
        cursor.execute(
            "INSERT INTO stock_movements (product_id, delta, reason) SELECT 1, stock - 5, 'edit'"
            " FROM products WHERE id_key = 1 AND stock <> 5; COMMIT"
        )
        assert answer.result(60) is None
    assert orders(locked_products) == 0


def test_enough_is_left_after_the_wait(locked_products: Shelf) -> None:
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; UPDATE products SET stock = 3 WHERE id_key = 1")
        cursor.execute("INSERT INTO stock_movements (product_id, delta, reason) VALUES (1, -2, 'edit')")
        answer = locked_products.place_meanwhile(locked_products.order((1, 3)))
        cursor.execute("COMMIT")
        assert answer.result(60) is not None
    assert locked_products.stocks() == [0, 5]


def test_whoever_waits_for_goods_keeps_nobody_from_a_bill_number(locked_products: Shelf) -> None:
    assert locked_products.place(locked_products.order((2, 1))) is not None
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM products WHERE id_key = 1 FOR UPDATE")
        answer = locked_products.place_meanwhile(locked_products.order((1, 1)))
        assert locked_products.is_free("bill_counters", "kind = 'sale'")
        cursor.execute("COMMIT")
        assert answer.result(60) is not None


def test_several_products_are_locked_in_the_order_of_their_ids(locked_products: Shelf) -> None:
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM products WHERE id_key = 1 FOR UPDATE")
        answer = locked_products.place_meanwhile(locked_products.order((2, 1), (1, 1)))
        assert locked_products.is_free("products", "id_key = 2")
        cursor.execute("COMMIT")
        assert answer.result(60) is not None
    assert locked_products.stocks() == [4, 4]


def test_a_key_that_is_known_or_at_work_is_left_to_others(locked_products: Shelf) -> None:
    order = locked_products.order((1, 1))
    first = locked_products.place(order, KEY)
    assert first is not None
    assert rows_of(
        locked_products.url, "SELECT convert_from(body, 'UTF8'), headers->>'Location' FROM idempotency_keys"
    ) == [(first.body.decode(), f"/orders/{first.id_key}")]
    assert locked_products.place(order, KEY) is None
    other = KeyToKeep("other", KEY.fingerprint, KEY.location)
    _, parameters = placing(order, other)
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT pg_advisory_xact_lock(%s)", (parameters["key_lock"],))
        assert locked_products.place(order, other) is None
    assert locked_products.place(order, other) is not None
    assert (locked_products.stocks(), orders(locked_products)) == ([3, 5], 2)


def test_a_twin_that_commits_after_the_look_at_the_key_takes_the_whole_order_back(locked_products: Shelf) -> None:
    """Its answer was not there yet when this statement began to look, and is when it comes to keep its own."""
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM products WHERE id_key = 1 FOR UPDATE")
        answer = locked_products.place_meanwhile(locked_products.order((1, 1)), KEY)
        execute(
            locked_products.url,
            "INSERT INTO idempotency_keys (key, fingerprint, status, headers, body) VALUES ('key', 'x', 201, '{}', '')",
        )
        cursor.execute("COMMIT")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            answer.result(60)
    assert (locked_products.stocks(), orders(locked_products)) == ([5, 5], 0)
    execute(locked_products.url, "DELETE FROM idempotency_keys")
