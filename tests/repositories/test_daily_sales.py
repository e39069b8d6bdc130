"""Daily sales: days that add up to their bills, however they are told apart, and that follow every change."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from models.daily_sales import Dimension, SalesGroup
from repositories.daily_sales import DailySalesRepository
from repositories.sales_report import SalesReportRepository
from tests.race.databases import session_on_rows

pytestmark = pytest.mark.integration

DAY = dt.date(2026, 3, 28)
ROWS = """
    INSERT INTO clients (name, lastname, email, email_key)
        VALUES ('Ada', 'Lovelace', 'ada@x.org', 'ada@x.org'), ('Alan', 'Turing', 'alan@x.org', 'alan@x.org');
    INSERT INTO categories (name) VALUES ('Lamps'), ('Desks');
    INSERT INTO products (name, price, category_id) VALUES ('Lamp', 1, 1), ('Bulb', 1, 1), ('Desk', 1, 2);
"""


@pytest.fixture(scope="module")
def session(servers: ServerUrls) -> Iterator[Session]:
    """A session on a shop with two clients and three products."""
    with session_on_rows(servers, ROWS) as session:
        yield session


@dataclass
class Sale:
    """A sale bill: its day, and lines of a product, a quantity and a price in cents; without lines, a typed total."""

    day: int
    payment_type: str
    client: int
    country: str | None
    discount: int
    typed: int
    lines: list[tuple[int, int, int]] = field(default_factory=list)
    # What another program has added to the total.
    surplus: int = 0
    # The day on which it was canceled.
    canceled: int | None = None

    @property
    def total(self) -> int:
        gross = sum(quantity * price for _, quantity, price in self.lines)
        return (max(0, gross - self.discount) if self.lines else self.typed) + self.surplus


days = st.integers(0, 5)
lines = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 500))
sales = st.builds(
    Sale,
    day=days,
    payment_type=st.sampled_from(["cash", "card"]),
    client=st.integers(1, 2),
    country=st.sampled_from(["ES", "IE", None]),
    discount=st.integers(0, 700),
    typed=st.integers(0, 2000),
    lines=st.lists(lines, max_size=4),
    surplus=st.just(0) | st.integers(0, 20),
    canceled=st.none() | days,
)


def execute(session: Session, sql: str, **values: Any) -> Any:
    return session.execute(text(sql), values)


def stored(session: Session, number: int, sale: Sale) -> None:
    bill = execute(
        session,
        "INSERT INTO bills (bill_number, date, discount, total, payment_type, client_id)"
        " VALUES (:number, :day, :discount, :total, :payment_type, :client) RETURNING id_key",
        number=f"INV-{number}",
        day=DAY + dt.timedelta(sale.day),
        discount=Decimal(sale.discount) / 100,
        total=Decimal(sale.total) / 100,
        payment_type=sale.payment_type,
        client=sale.client,
    ).scalar_one()
    if sale.lines:
        order = execute(
            session,
            "INSERT INTO orders (delivery_method, client_id, bill_id, ship_to) VALUES (3, :client, :bill,"
            " json_build_object('country', CAST(:country AS text))) RETURNING id_key",
            country=sale.country,
            client=sale.client,
            bill=bill,
        ).scalar_one()
        for product, quantity, price in sale.lines:
            execute(
                session,
                "INSERT INTO order_details (quantity, price, order_id, product_id) VALUES (:quantity, :price, :order, :product)",
                quantity=quantity,
                price=Decimal(price) / 100,
                order=order,
                product=product,
            )
    if sale.canceled is not None and sale.total:
        execute(
            session,
            "INSERT INTO bills (bill_number, date, total, payment_type, client_id, kind, refunds_bill_id, reason)"
            " VALUES (:number, :day, :total, :payment_type, :client, 'credit', :bill, 'canceled')",
            number=f"CREDIT-{number}",
            day=DAY + dt.timedelta(sale.canceled),
            total=Decimal(sale.total) / 100,
            payment_type=sale.payment_type,
            client=sale.client,
            bill=bill,
        )


def earned(shop: list[Sale], first: int, last: int) -> Decimal:
    """What the bills of these days add up to."""
    sold = sum(sale.total for sale in shop if first <= sale.day <= last)
    back = sum(sale.total for sale in shop if sale.canceled is not None and first <= sale.canceled <= last)
    return Decimal(sold - back) / 100


@given(st.lists(sales, max_size=6), days, days)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_group_adds_up_to_the_bills(session: Session, shop: list[Sale], one: int, other: int) -> None:
    session.rollback()
    for number, sale in enumerate(shop):
        stored(session, number, sale)
    while DailySalesRepository(session).refresh(3):
        pass
    first, last = min(one, other), max(one, other)
    between = DAY + dt.timedelta(first), DAY + dt.timedelta(last)
    reports = SalesReportRepository(session)
    totals = reports.totals(*between)
    assert totals.net == earned(shop, first, last)
    placed = [sale for sale in shop if sale.lines and first <= sale.day <= last]
    assert totals.orders == len(placed)
    assert totals.units == sum(quantity for sale in placed for _, quantity, _ in sale.lines)
    for group in SalesGroup:
        rows = reports.sales(group, *between, 100)
        assert sum(row.net for row in rows) == totals.net, group
        assert sum(row.gross for row in rows) == totals.gross, group
        assert sum(row.refunded for row in rows) == totals.refunded, group
        assert sum(row.units for row in rows) == totals.units, group
        assert sum(row.returned_units for row in rows) == totals.returned_units, group
    assert sum(row.gross for row in reports.taxes(*between, 100)) == totals.net
    for row in reports.sales(SalesGroup.PRODUCT, *between, 100):
        if row.key is not None:
            sold = sum(q * p for sale in placed for product, q, p in sale.lines if product == int(row.key))
            assert row.gross == Decimal(sold) / 100
            if not any(sale.surplus for sale in placed):
                assert 0 <= row.discount <= row.gross


@pytest.mark.parametrize("dimension", [one for one in Dimension if one is not Dimension.TAX])
def test_a_discount_is_spread_by_largest_remainder(session: Session, dimension: Dimension) -> None:
    session.rollback()
    stored(session, 1, Sale(0, "card", 1, "ES", 100, 0, [(1, 1, 100), (2, 1, 100), (3, 1, 100)]))
    assert DailySalesRepository(session).refresh(3) == 1
    rows = {row.key: row for row in SalesReportRepository(session).sales(SalesGroup(dimension), DAY, DAY, 10)}
    if dimension is Dimension.PRODUCT:
        # A cent more for the first line of equal ones.
        assert [rows[key].discount for key in ("1", "2", "3")] == [Decimal("0.34"), Decimal("0.33"), Decimal("0.33")]
    assert sum(row.discount for row in rows.values()) == 1
