"""The price history: written whatever changes a price, and its statistics beside a model of a few lines."""

import datetime as dt
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from repositories.price_change import PriceChangeRepository
from schemas.base import ListQuery
from tests.race.databases import connected, execute, new_database, rows_of, session_on_rows

pytestmark = pytest.mark.integration

PRICES = "SELECT price, old_price FROM price_changes WHERE product_id = %s ORDER BY id_key"
SHELF = "INSERT INTO categories (name) VALUES ('Lamps')"

# Later than any clock says, so that the newest price is as old as the model says: it began just now.
EPOCH = dt.datetime(2400, 1, 1, tzinfo=dt.UTC)
MICROSECOND, DAY = dt.timedelta(microseconds=1), dt.timedelta(days=1)

# Times of changes after EPOCH, in microseconds, and the prices from then on, in cents.
History = list[tuple[int, int]]


@pytest.fixture(scope="module")
def session(servers: ServerUrls) -> Iterator[Session]:
    """A session on products 1 and 2 without any prices, which tests give them."""
    products = "INSERT INTO products (name, price, category_id) VALUES ('Lamp', 9.99, 1), ('Desk', 1, 1)"
    with session_on_rows(servers, SHELF, products, "DELETE FROM price_changes") as session:
        yield session


@pytest.fixture
def shop(servers: ServerUrls) -> str:
    """The URL of a shop with one category."""
    url = new_database(servers.database_url)
    execute(url, SHELF)
    return url


# -- statistics ------------------------------------------------------------------------------------


def stored(session: Session, history: History) -> None:
    """Give the product 1 these prices instead of those it had."""
    session.rollback()
    session.execute(text("UPDATE products SET price = :new WHERE id_key = 1"), {"new": Decimal(history[-1][1]) / 100})
    session.execute(text("DELETE FROM price_changes"))
    old = [None, *(Decimal(cents) / 100 for _, cents in history)]
    statement = text("INSERT INTO price_changes (product_id, price, old_price, valid_from) VALUES (1, :new, :old, :at)")
    for (at, cents), before in zip(history, old, strict=False):
        values = {"new": Decimal(cents) / 100, "old": before, "at": EPOCH + at * MICROSECOND}
        session.execute(statement, values)


def modelled(history: History, days: int) -> dict[str, Any]:
    """The figures of such a history at its newest change."""
    ends, day = history[-1][0], DAY // MICROSECOND
    # From when, until when, how much.
    held = [(since, until, cents) for (since, cents), (until, _) in pairwise([*history, (ends, 0)])]

    def within(first: int, last: int) -> list[tuple[int, int]]:
        """How long each price held between the two times, with the price; the newest one holds also at the last moment."""
        return [
            (min(until, last) - max(since, first), cents)
            for since, until, cents in held
            if since <= last and (until > first or until == ends == last)
        ]

    asked = within(ends - days * day, ends)
    duration = sum(length for length, _ in asked)
    average = (
        Fraction(sum(length * cents for length, cents in asked), duration) if duration else Fraction(history[-1][1])
    )
    reduced = [at for (_, before), (at, cents) in pairwise(history) if cents < before]
    before = [cents for length, cents in within(reduced[-1] - 30 * day, reduced[-1]) if length] if reduced else []
    return {
        "current": money(history[-1][1]),
        "min": money(min(cents for _, cents in asked)),
        "max": money(max(cents for _, cents in asked)),
        "average": money(int(average + Fraction(1, 2))),
        "changes": sum(at > ends - days * day for at, _ in history[1:]),
        "lowest_before_reduction": money(min(before)) if before else None,
        "reduced_at": EPOCH + reduced[-1] * MICROSECOND if reduced else None,
    }


def money(cents: int) -> Decimal:
    return (Decimal(cents) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


def figures(session: Session, days: int) -> dict[str, Any]:
    stats = PriceChangeRepository(session).stats(1, days)
    assert stats is not None
    found = dict(stats._mapping)
    assert found.pop("product_id") == 1
    return found


def histories() -> st.SearchStrategy[History]:
    """Changes microseconds, hours and weeks apart, often exactly at the edge of a window."""
    day = DAY // MICROSECOND
    pauses = st.one_of(
        st.sampled_from([1, day, 29 * day, 30 * day - 1, 30 * day, 30 * day + 1, 60 * day]), st.integers(1, 40 * day)
    )
    prices = st.one_of(st.integers(1, 5), st.integers(1, 999_999_999_999))

    def timed(steps: list[tuple[int, int]]) -> History:
        at = 0
        history: History = []
        for pause, cents in steps:
            at += pause
            if not history or history[-1][1] != cents:
                history.append((at, cents))
        return history

    return st.lists(st.tuples(pauses, prices), min_size=1, max_size=12).map(timed)


D = DAY // MICROSECOND


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), days=st.sampled_from([1, 7, 30, 90, 3650]))
# A product that is there since now; one price half of the time and half a cent more.
@example(history=[(0, 999)], days=30)
@example(history=[(0, 100), (D, 101), (2 * D, 500)], days=30)
# In force when the window begins, and no more a microsecond later.
@example(history=[(0, 1), (D, 900), (31 * D, 800)], days=30)
@example(history=[(0, 1), (D + 1, 900), (31 * D, 800)], days=30)
# Reduced step by step, and raised afterwards; a reduction long before the days that are asked for.
@example(history=[(0, 1000), (60 * D, 900), (61 * D, 800), (62 * D, 850)], days=30)
@example(history=[(0, 1000), (D, 700), (400 * D, 1000)], days=7)
def test_figures_are_those_of_the_model(session: Session, history: History, days: int) -> None:
    stored(session, history)
    assert figures(session, days) == modelled(history, days)


def test_the_price_that_holds_now_has_held_until_now(session: Session) -> None:
    session.rollback()
    session.execute(
        text(
            "INSERT INTO price_changes (product_id, price, valid_from) VALUES (1, 5, now() - interval '60 days'),"
            " (1, 9.99, now() - interval '12 days')"
        )
    )
    assert figures(session, 24) | {"reduced_at": None} == {
        "current": Decimal("9.99"),
        "min": Decimal(5),
        "max": Decimal("9.99"),
        # Half of the time each, but for what has passed since.
        "average": Decimal("7.50"),
        "changes": 1,
        "lowest_before_reduction": None,
        "reduced_at": None,
    }


def test_a_product_without_history_costs_what_it_costs(session: Session) -> None:
    session.rollback()
    found = PriceChangeRepository(session).stats(2, 30)
    assert found is not None
    assert (found.min, found.max, found.average, found.changes) == (1, 1, 1, 0)
    assert PriceChangeRepository(session).stats(3, 30) is None


def test_figures_do_not_read_what_is_far_away(session: Session) -> None:
    """Thousands of changes before the days that are asked for, and a price that has risen ever since."""
    with_long_history(session)
    before = entries_read(session)
    PriceChangeRepository(session).stats(1, 30)
    assert entries_read(session) - before < 1000
    PriceChangeRepository(session).stats(1, 3650)
    assert entries_read(session) - before > 20000


@pytest.mark.parametrize(
    "asked", [{}, {"after": 10}, {"sort": "valid_from"}, {"sort": "-valid_from"}, {"sort": "-id_key"}]
)
def test_pages_read_no_more_than_they_show(session: Session, asked: dict[str, Any]) -> None:
    with_long_history(session)
    query = ListQuery(limit=20, **asked)
    page = PriceChangeRepository.page_query(query, ("id_key", "valid_until"), product_id=1)
    # The first page is counted.
    page(session)
    before = entries_read(session)
    assert len(page(session).rows) == 20
    assert entries_read(session) - before < 1000


def with_long_history(session: Session) -> None:
    session.rollback()
    session.execute(
        text(
            "INSERT INTO price_changes (product_id, price, old_price, valid_from)"
            " SELECT 1, n, CASE n WHEN 2 THEN 3 ELSE n - 1 END, now() - interval '100 days' + n * interval '1 second'"
            " FROM generate_series(1, 20000) n"
        )
    )
    session.execute(text("ANALYZE price_changes"))


def entries_read(session: Session) -> int:
    """How many entries of the history and its indexes this transaction has read so far."""
    return int(
        session.execute(
            text(
                "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class WHERE oid = 'price_changes'::regclass"
                " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'price_changes'::regclass)"
            )
        ).scalar_one()
    )


# -- what the triggers write -----------------------------------------------------------------------


def prices(url: str, product_id: int = 1) -> list[tuple[Any, ...]]:
    return rows_of(url, PRICES, product_id)


def test_every_way_to_a_price_is_written(shop: str) -> None:
    with connected(shop) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO products (name, sku, price, category_id) VALUES ('A', 'a', 1, 1), ('B', 'b', 2, 1)")
        cursor.execute("UPDATE products SET price = price + 1")
        cursor.execute("UPDATE products SET price = 3.00, stock = 7 WHERE sku = 'b'")
        cursor.execute(
            "INSERT INTO products (name, sku, price, category_id) VALUES ('C', 'c', 3, 1), ('A', 'a', 9, 1)"
            " ON CONFLICT (sku) DO UPDATE SET price = excluded.price"
        )
        assert prices(shop, 1) == [(1, None), (2, 1), (9, 2)]
        assert prices(shop, 2) == [(2, None), (3, 2)]
        assert [prices(shop, key) for (key,) in rows_of(shop, "SELECT id_key FROM products WHERE sku = 'c'")] == [
            [(3, None)]
        ]
        cursor.execute("DELETE FROM products WHERE sku = 'a'")
        assert prices(shop, 1) == []


def test_a_transaction_writes_each_of_its_prices_and_a_rollback_none(shop: str) -> None:
    execute(shop, "INSERT INTO products (name, price, category_id) VALUES ('A', 1, 1)")
    many = "".join(f"UPDATE products SET price = {price};" for price in (2, 3, 3, 2))
    execute(shop, f"BEGIN; {many} COMMIT; BEGIN; UPDATE products SET price = 7; ROLLBACK")
    assert prices(shop) == [(1, None), (2, 1), (3, 2), (2, 3)]
    assert_in_order(shop)


def test_a_clock_that_was_set_back_changes_no_order(shop: str) -> None:
    execute(shop, "INSERT INTO products (name, price, category_id) VALUES ('A', 1, 1)")
    execute(shop, "UPDATE price_changes SET valid_from = now() + interval '1 hour'")
    execute(shop, "UPDATE products SET price = 2; UPDATE products SET price = 3")
    assert_in_order(shop)
    engine_rows = rows_of(shop, "SELECT min(valid_from) > now() + interval '59 minutes' FROM price_changes")
    assert engine_rows == [(True,)]


def assert_in_order(url: str) -> None:
    times = [row[0] for row in rows_of(url, "SELECT valid_from FROM price_changes ORDER BY product_id, id_key")]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_a_stranger_to_the_history_writes_it_too(shop: str) -> None:
    """A role that may change products and nothing else, whose search path leads elsewhere."""
    execute(shop, "INSERT INTO products (name, price, stock, category_id) VALUES ('A', 1, 1, 1)")
    execute(
        shop,
        """
        CREATE SCHEMA elsewhere;
        CREATE TABLE elsewhere.price_changes (product_id text, price text, old_price text, valid_from text);
        DO $$ BEGIN CREATE ROLE price_clerk NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT USAGE ON SCHEMA public, elsewhere TO price_clerk;
        GRANT SELECT, UPDATE ON products TO price_clerk;
        """,
    )
    with connected(shop) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE price_clerk")
        cursor.execute("SET search_path = elsewhere")
        cursor.execute("UPDATE public.products SET price = 2, stock = 0")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM public.price_changes")
    assert prices(shop) == [(1, None), (2, 1)]
    assert rows_of(shop, "SELECT type FROM events WHERE type LIKE 'stock.%'") == [("stock.out",)]
    execute(shop, "DROP OWNED BY price_clerk")
