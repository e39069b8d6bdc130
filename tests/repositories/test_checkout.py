"""The statement that places an order: what it locks, what it looks at again, and when it does nothing."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.embedded.servers import ServerUrls
from repositories.author import Author
from repositories.checkout import KeyToKeep, NewLine, NewOrder, Outcome, PendingOrder, outcome, placing
from repositories.checkout_judging import Verdict
from repositories.idempotency_key import lock_number
from tests.race.databases import WAITING, breaches, connected, execute, execution_of, new_database, rows_of

pytestmark = pytest.mark.integration

PRICE = Decimal("9.99")
KEY = KeyToKeep("key", b"fingerprint", "/orders/")
PLACED, SHORT, UNDECIDED, NOT_FOR_SALE = Verdict.PLACED, Verdict.SHORT, Verdict.UNDECIDED, Verdict.NOT_FOR_SALE


@dataclass(frozen=True, slots=True)
class Shelf:
    """A shop with a client and two products, and a statement of its own in a thread."""

    url: str
    client: int
    threads: ThreadPoolExecutor
    connection: Any
    prepared: set[str] = field(default_factory=set)

    def order(self, *lines: tuple[int, int], offered: Sequence[Decimal | None] = (), **more: Any) -> NewOrder:
        prices = [*offered, *[None] * (len(lines) - len(offered))]
        plain: dict[str, Any] = {
            "lines": [
                NewLine(product, quantity, price) for (product, quantity), price in zip(lines, prices, strict=True)
            ],
            "payment_type": "card",
            "delivery_method": 1,
            "client_id": self.client,
        }
        return NewOrder(**(plain | more))

    def place_all(self, *orders: NewOrder, skips_locked: bool = False, taxed: bool = True) -> list[Outcome]:
        pending = [PendingOrder(order) for order in orders]
        statement, parameters = placing(pending, skips_locked=skips_locked, taxed=taxed)
        with self.connection.cursor() as cursor:
            if statement.name not in self.prepared:
                cursor.execute(f"PREPARE {statement.name} AS {statement.text}")
                self.prepared.add(statement.name)
            cursor.execute(execution_of(statement), parameters)
            return [outcome(row) for row in cursor.fetchall()]

    def place(self, order: NewOrder) -> Outcome:
        (placed,) = self.place_all(order)
        return placed

    def verdicts(self, *orders: NewOrder, skips_locked: bool = False) -> list[Verdict]:
        return [placed.verdict for placed in self.place_all(*orders, skips_locked=skips_locked)]

    def place_meanwhile(self, order: NewOrder) -> "Future[Outcome]":
        """The order, on its way: it waits for a lock that the test holds."""
        answer = self.threads.submit(self.place, order)
        while not rows_of(self.url, WAITING):
            assert not answer.done(), answer.result()
        return answer

    def set_stock(self, product: int, stock: int) -> None:
        execute(
            self.url,
            "INSERT INTO stock_movements (product_id, delta, reason)"
            f" SELECT {product}, {stock} - stock, 'edit' FROM products WHERE id_key = {product} AND stock <> {stock};"
            f" UPDATE products SET stock = {stock} WHERE id_key = {product}",
        )

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
        migrated,
        "INSERT INTO products (name, price, stock, category_id, active) VALUES ('a', 9.99, 5, 1, true),"
        " ('b', 9.99, 5, 1, true), ('c', 9.99, 5, 1, false), ('d', 9999.99, 2000000000, 1, true)",
    )
    execute(
        migrated,
        "INSERT INTO stock_movements (product_id, delta, reason) SELECT id_key, stock, 'initial' FROM products",
    )
    execute(
        migrated, "INSERT INTO clients (name, lastname, email, email_key) VALUES ('Bo', 'Li', 'b@x.org', 'b@x.org')"
    )
    execute(migrated, "INSERT INTO addresses (street, number, city, client_id) VALUES ('High Street', '1', 'Ulm', 2)")
    execute(migrated, "INSERT INTO bills (bill_number, total, payment_type) VALUES ('INV\u20101', 1, 'cash')")
    with ThreadPoolExecutor(1) as threads, connected(migrated) as connection:
        yield Shelf(migrated, 1, threads, connection)
    assert breaches(migrated) == []


def orders(locked_products: Shelf) -> int:
    ((number,),) = rows_of(locked_products.url, "SELECT count(*) FROM orders")
    return int(number)


Asked = Callable[[Shelf], NewOrder]
REFUSED: dict[str, tuple[Verdict, Asked]] = {
    "too many": (SHORT, lambda shelf: shelf.order((1, 6))),
    "too many on two lines": (SHORT, lambda shelf: shelf.order((1, 3), (1, 3))),
    "too many of the second": (SHORT, lambda shelf: shelf.order((1, 1), (2, 6))),
    "another price": (NOT_FOR_SALE, lambda shelf: shelf.order((1, 1), offered=[Decimal("9.98")])),
    "another price on the second line": (
        NOT_FOR_SALE,
        lambda shelf: shelf.order((1, 1), (1, 1), offered=[PRICE, Decimal(10)]),
    ),
    "another price of the second": (
        NOT_FOR_SALE,
        lambda shelf: shelf.order((1, 1), (2, 1), offered=[PRICE, Decimal(10)]),
    ),
    "not sold any more": (NOT_FOR_SALE, lambda shelf: shelf.order((3, 1))),
    "not sold to customers": (Verdict.NO_PRODUCT, lambda shelf: shelf.order((3, 1), is_customers=True)),
    "another total": (Verdict.OTHER_TOTAL, lambda shelf: shelf.order((1, 1), expected_total=Decimal("9.98"))),
    "another total of both": (Verdict.OTHER_TOTAL, lambda shelf: shelf.order((1, 1), (2, 1), expected_total=PRICE)),
    "more discount than price": (Verdict.DISCOUNT_TOO_LARGE, lambda shelf: shelf.order((1, 1), discount=Decimal(10))),
    "more than money": (Verdict.AMOUNT_TOO_LARGE, lambda shelf: shelf.order((4, 2_000_000_000))),
    "no such product": (Verdict.NO_PRODUCT, lambda shelf: shelf.order((99, 1))),
    "no such second product": (Verdict.NO_PRODUCT, lambda shelf: shelf.order((1, 1), (99, 1))),
    "no such client": (Verdict.NO_CLIENT, lambda shelf: shelf.order((1, 1), client_id=99)),
    "no such address": (Verdict.NO_ADDRESS, lambda shelf: shelf.order((1, 1), address_id=99)),
    "the address of another": (Verdict.ADDRESS_OF_ANOTHER, lambda shelf: shelf.order((1, 1), address_id=1)),
    "an address that customers do not see": (
        Verdict.NO_ADDRESS,
        lambda shelf: shelf.order((1, 1), address_id=1, is_customers=True),
    ),
    "a number that is taken": (Verdict.NUMBER_TAKEN, lambda shelf: shelf.order((1, 1), bill_number="inv\u20101")),
    "several at once": (Verdict.NO_CLIENT, lambda shelf: shelf.order((1, 9), client_id=99, discount=Decimal(100))),
    "a shortage before a sum": (SHORT, lambda shelf: shelf.order((1, 9), discount=Decimal(100))),
}


@pytest.mark.parametrize(("verdict", "asked"), REFUSED.values(), ids=REFUSED)
def test_what_breaks_a_rule_writes_nothing_and_stops_no_other(
    locked_products: Shelf, verdict: Verdict, asked: Asked
) -> None:
    good = locked_products.order((2, 1))
    refused = asked(locked_products)
    keyed = replace(refused, key_to_keep=KEY)
    assert locked_products.verdicts(refused, good, keyed) == [verdict, PLACED, verdict]
    assert (locked_products.stocks()[:2], orders(locked_products)) == ([5, 4], 1)
    assert rows_of(locked_products.url, "SELECT FROM idempotency_keys") == []
    assert rows_of(locked_products.url, "SELECT last_number FROM bill_counters") == [(1,)]


def test_what_a_refusal_needs_to_say(locked_products: Shelf) -> None:
    order = locked_products.order((2, 1), (1, 4), (2, 5), (1, 4), expected_total=Decimal(1))
    (short,) = locked_products.place_all(order)
    assert [(line.number, line.verdict, line.stock) for line in short.broken_lines] == [(0, SHORT, 5), (1, SHORT, 5)]
    (dear,) = locked_products.place_all(locked_products.order((1, 1), (2, 1), offered=[PRICE, Decimal(1)]))
    assert [(line.number, line.active, line.price) for line in dear.broken_lines] == [(1, True, PRICE)]
    (more,) = locked_products.place_all(locked_products.order((1, 2), expected_total=Decimal(1)))
    assert more.total == 2 * PRICE


def test_orders_of_a_group_are_numbered_in_their_order_without_gaps(locked_products: Shelf) -> None:
    plain, named = locked_products.order((1, 1)), locked_products.order((2, 1), bill_number="mine")
    placed = locked_products.place_all(
        plain, named, locked_products.order((1, 9)), plain, locked_products.order((1, 1), (2, 2))
    )
    assert [one.verdict for one in placed] == [PLACED, PLACED, SHORT, PLACED, PLACED]
    bodies = [json.loads(one.order.body) for one in placed if one.order is not None]
    year = bodies[0]["bill"]["date"][:4]
    numbers = [body["bill"]["bill_number"] for body in bodies]
    assert numbers == [f"BILL-{year}-000001", "mine", f"BILL-{year}-000002", f"BILL-{year}-000003"]
    assert [[line["product_id"] for line in body["order_details"]] for body in bodies] == [[1], [2], [1], [1, 2]]
    assert [body["id_key"] for body in bodies] == [one.order.id_key for one in placed if one.order is not None]
    assert locked_products.stocks()[:2] == [2, 2]


def test_an_order_that_is_refused_uses_up_nothing(locked_products: Shelf) -> None:
    """The first takes all of product 1, the second has not enough of it, and the third has what the second leaves."""
    first, second, third = (
        locked_products.order((1, 5)),
        locked_products.order((1, 1), (2, 5)),
        locked_products.order((2, 5)),
    )
    assert locked_products.verdicts(first, second, third) == [PLACED, UNDECIDED, UNDECIDED]
    assert locked_products.verdicts(second, third) == [SHORT, PLACED]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stocks=st.lists(st.integers(0, 6), min_size=2, max_size=2),
    asked=st.lists(
        st.lists(st.tuples(st.integers(1, 2), st.integers(1, 4)), min_size=1, max_size=3), min_size=1, max_size=8
    ),
)
def test_a_group_ends_as_if_its_orders_had_come_one_by_one(
    locked_products: Shelf, stocks: list[int], asked: list[list[tuple[int, int]]]
) -> None:
    for product, stock in enumerate(stocks, 1):
        locked_products.set_stock(product, stock)
    left = dict(enumerate(stocks, 1))
    expected = []
    for lines in asked:
        wanted: Counter[int] = Counter()
        for product, quantity in lines:
            wanted[product] += quantity
        is_there = all(left[product] >= quantity for product, quantity in wanted.items())
        expected.append(PLACED if is_there else SHORT)
        if is_there:
            for product, quantity in wanted.items():
                left[product] -= quantity
    found: dict[int, Verdict] = {}
    waiting = list(enumerate(asked))
    while waiting:
        verdicts = locked_products.verdicts(*(locked_products.order(*lines) for _, lines in waiting))
        # Somebody goes, so that this ends.
        assert verdicts[0] != UNDECIDED
        found |= {place: verdict for (place, _), verdict in zip(waiting, verdicts, strict=True)}
        waiting = [one for one, verdict in zip(waiting, verdicts, strict=True) if verdict == UNDECIDED]
    assert [found[place] for place in range(len(asked))] == expected
    assert locked_products.stocks()[:2] == [left[1], left[2]]


@pytest.mark.parametrize("lines", [[(1, 3)], [(1, 3), (2, 1)]], ids=["one product", "two products"])
@pytest.mark.parametrize(
    ("change", "verdict"), [("stock = 2", SHORT), ("price = 10", NOT_FOR_SALE), ("active = false", NOT_FOR_SALE)]
)
def test_a_product_that_changed_while_the_order_waited_is_looked_at_again(
    locked_products: Shelf, lines: list[tuple[int, int]], change: str, verdict: Verdict
) -> None:
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute(f"BEGIN; UPDATE products SET {change} WHERE id_key = 1")
        order = locked_products.order(*lines, offered=[PRICE for _ in lines])
        answer = locked_products.place_meanwhile(order)
        cursor.execute(
            "INSERT INTO stock_movements (product_id, delta, reason) SELECT 1, stock - 5, 'edit'"
            " FROM products WHERE id_key = 1 AND stock <> 5; COMMIT"
        )
        assert answer.result(60).verdict == verdict
    assert orders(locked_products) == 0


def test_enough_is_left_after_the_wait(locked_products: Shelf) -> None:
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; UPDATE products SET stock = 3 WHERE id_key = 1")
        cursor.execute("INSERT INTO stock_movements (product_id, delta, reason) VALUES (1, -2, 'edit')")
        answer = locked_products.place_meanwhile(locked_products.order((1, 3)))
        cursor.execute("COMMIT")
        assert answer.result(60).verdict == PLACED
    assert locked_products.stocks()[:2] == [0, 5]


def test_whoever_waits_for_goods_keeps_nobody_from_a_bill_number(locked_products: Shelf) -> None:
    assert locked_products.place(locked_products.order((2, 1))).verdict == PLACED
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM products WHERE id_key = 1 FOR UPDATE")
        answer = locked_products.place_meanwhile(locked_products.order((1, 1)))
        assert locked_products.is_free("bill_counters", "kind = 'sale'")
        cursor.execute("COMMIT")
        assert answer.result(60).verdict == PLACED


def test_several_products_are_locked_in_the_order_of_their_ids(locked_products: Shelf) -> None:
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM products WHERE id_key = 1 FOR UPDATE")
        answer = locked_products.place_meanwhile(locked_products.order((2, 1), (1, 1)))
        assert locked_products.is_free("products", "id_key = 2")
        cursor.execute("COMMIT")
        assert answer.result(60).verdict == PLACED
    assert locked_products.stocks()[:2] == [4, 4]


def test_orders_of_a_locked_product_are_told_from_those_of_a_missing_one(locked_products: Shelf) -> None:
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM products WHERE id_key = 1 FOR UPDATE")
        placed = locked_products.place_all(
            locked_products.order((2, 1), (1, 1)),
            locked_products.order((2, 1)),
            locked_products.order((1, 1), (99, 1)),
            locked_products.order((99, 1)),
            skips_locked=True,
        )
        cursor.execute("COMMIT")
    assert [one.verdict for one in placed] == [Verdict.LOCKED, PLACED, Verdict.LOCKED, Verdict.NO_PRODUCT]
    assert [(line.number, line.is_locked) for line in placed[0].broken_lines] == [(1, True)]
    assert locked_products.stocks()[:2] == [5, 4]


def test_the_response_is_kept_under_the_key_of_its_order(locked_products: Shelf) -> None:
    order = locked_products.order((1, 1))
    keys = [replace(KEY, key=text) for text in ("one", 'a"key,{with}\\signs')]
    placed = locked_products.place_all(order, *(replace(order, key_to_keep=key) for key in keys))
    kept = dict(
        rows_of(
            locked_products.url,
            "SELECT key, convert_from(body, 'UTF8') || (headers->>'Location') FROM idempotency_keys",
        )
    )
    assert kept == {
        key.key: f"{one.order.body.decode()}/orders/{one.order.id_key}"
        for key, one in zip(keys, placed[1:], strict=True)
        if one.order is not None
    }
    assert len(kept) == 2


def test_a_key_that_is_known_or_at_work_places_nothing(locked_products: Shelf) -> None:
    order = locked_products.order((1, 1), key_to_keep=KEY)
    first = locked_products.place(order)
    assert first.order is not None
    again = locked_products.place(order)
    assert again.verdict == Verdict.REPEATED
    assert again.kept is not None
    assert (again.kept[0], again.kept[2]) == (201, first.order.body)
    assert again.kept[1]["Location"] == f"/orders/{first.order.id_key}"
    other = replace(order, key_to_keep=replace(KEY, fingerprint=b"another"))
    assert locked_products.place(other).verdict == Verdict.KEY_REUSED
    at_work = replace(order, key_to_keep=replace(KEY, key="at work"))
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT pg_advisory_xact_lock(%s)", (lock_number("at work"),))
        assert locked_products.place(at_work).verdict == Verdict.KEY_IN_USE
    assert locked_products.place(at_work).verdict == PLACED
    assert (locked_products.stocks()[:2], orders(locked_products)) == ([3, 5], 2)


def test_a_twin_that_commits_after_the_look_at_the_key_takes_the_whole_order_back(locked_products: Shelf) -> None:
    """Its answer was not there yet when this statement began to look, and is when it comes to keep its own."""
    with connected(locked_products.url) as foreign, foreign.cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM products WHERE id_key = 1 FOR UPDATE")
        answer = locked_products.place_meanwhile(locked_products.order((1, 1), key_to_keep=KEY))
        execute(
            locked_products.url,
            "INSERT INTO idempotency_keys (key, fingerprint, status, headers, body) VALUES ('key', 'x', 201, '{}', '')",
        )
        cursor.execute("COMMIT")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            answer.result(60)
    assert (locked_products.stocks()[:2], orders(locked_products)) == ([5, 5], 0)
    execute(locked_products.url, "DELETE FROM idempotency_keys")


def test_only_orders_with_an_author_are_audited(locked_products: Shelf) -> None:
    author = Author("user:7", "POST /checkout", "request", "192.0.2.1")
    execute(locked_products.url, "DELETE FROM audit_entries")
    order = locked_products.order((1, 1))
    _, audited = locked_products.place_all(order, replace(order, author=author))
    assert audited.order is not None
    assert rows_of(
        locked_products.url,
        "SELECT actor, action, request_id, host(address::inet), resource, resource_id FROM audit_entries",
    ) == [("user:7", "POST /checkout", "request", "192.0.2.1", "orders", audited.order.id_key)]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_what_postgresql_cannot_hold_is_an_error_of_its_own_order(locked_products: Shelf, text: str) -> None:
    with pytest.raises(ValueError, match=r"NUL|surrogates"):
        PendingOrder(locked_products.order((1, 1), bill_number=text))


def test_a_statement_without_taxes_places_nothing_that_may_be_taxed(locked_products: Shelf) -> None:
    order = locked_products.order((1, 1))
    (placed,) = locked_products.place_all(order, taxed=False)
    assert placed.verdict == PLACED
    execute(
        locked_products.url, """UPDATE tax_classes SET rates = '[{"country": "FR", "rate": 20, "vat_category": "S"}]'"""
    )
    try:
        (left, refused) = locked_products.place_all(order, locked_products.order((3, 1)), taxed=False)
        assert (left.verdict, refused.verdict) == (Verdict.TAXED, NOT_FOR_SALE)
        assert (orders(locked_products), locked_products.place(order).verdict) == (1, PLACED)
    finally:
        execute(locked_products.url, "UPDATE tax_classes SET rates = '[]'")
