"""Lists in every order that can be asked for: which rows they hold, whatever statement reads them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from repositories.base import BaseRepository
from repositories.bill import BillRepository
from repositories.client import ClientRepository
from repositories.order import OrderRepository
from repositories.product import ProductRepository
from repositories.review import ReviewRepository
from tests.repositories.conftest import ROWS
from tests.repositories.statements import Query

pytestmark = pytest.mark.integration

Repository = type[BaseRepository[Any]]

# Values that many rows share, that each row has for itself, and that some rows, many or all do not have.
ORDERS: list[tuple[Repository, str]] = [
    (BillRepository, "payment_type"),
    (BillRepository, "kind"),
    (BillRepository, "refunds_bill_id"),
    (ClientRepository, "email"),
    (OrderRepository, "address_id"),
    (OrderRepository, "id_key"),
    (OrderRepository, "status"),
    (ProductRepository, "active"),
    (ProductRepository, "price"),
    (ProductRepository, "sku"),
    (ReviewRepository, "rating"),
]
_MISSING_VALUES = """
    UPDATE orders SET address_id = CASE WHEN id_key % 400 > 0 THEN id_key % 7 + 1 END;
    UPDATE products SET sku = NULL WHERE id_key % 3 = 0
"""


@pytest.fixture
def undone(session: Session) -> Iterator[Session]:
    """The session on the shop of all tests here, which finds it unchanged afterwards."""
    with session.begin_nested() as changes:
        yield session
        changes.rollback()


@pytest.fixture(scope="module")
def shop(session: Session) -> Iterator[Session]:
    """The shop with rows that miss what others have, for all tests here that change nothing."""
    with session.begin_nested() as changes:
        session.execute(text(_MISSING_VALUES))
        yield session
        changes.rollback()


def keys(session: Session, repository: Repository, query: Query) -> list[int]:
    """The keys of the page."""
    return [row.id_key for row in repository.page_query(query, ("id_key",))(session).rows]


def expected(session: Session, repository: Repository, order: str, where: str = "true") -> list[int]:
    """The keys of all rows that there are, in this order."""
    table = repository.model.__tablename__
    return list(session.scalars(text(f"SELECT id_key FROM {table} WHERE {where} ORDER BY {order}")))


@pytest.mark.parametrize(("repository", "column"), ORDERS, ids=lambda it: it if isinstance(it, str) else it.__name__)
@pytest.mark.parametrize("sign", ["", "-"])
def test_rows_of_equal_value_stay_in_the_order_of_their_keys(
    shop: Session, repository: Repository, column: str, sign: str
) -> None:
    everything = expected(shop, repository, f"{column} {'DESC' if sign else 'ASC'}, id_key")
    for skip, limit in ((0, 1), (0, 20), (3, 7), (5, 10), (990, 20), (1325, 20), (ROWS - 7, 20), (ROWS, 5), (0, 1000)):
        query = Query(sort=sign + column, skip=skip, limit=limit)
        assert keys(shop, repository, query) == everything[skip : skip + limit], (skip, limit)


def test_a_page_behind_all_that_a_number_can_say(shop: Session) -> None:
    assert keys(shop, OrderRepository, Query(sort="-status", skip=2**63 - 1, limit=1000)) == []


def test_pages_of_what_a_filter_leaves(shop: Session) -> None:
    everything = expected(shop, OrderRepository, "address_id DESC, id_key", "status = 4 OR id_key < 0")
    assert len(everything) == ROWS // 1000
    for skip in range(len(everything) + 1):
        query = Query(sort="-address_id", skip=skip, limit=2, wanted={"status": 4})
        page = OrderRepository.page_query(query, ("id_key",))(shop)
        assert [row.id_key for row in page.rows] == everything[skip : skip + 2]
        assert (page.total, page.estimated) == (len(everything), False)


def test_a_second_column_puts_equal_rows_in_order(shop: Session) -> None:
    everything = expected(shop, ReviewRepository, "rating DESC, product_id DESC, id_key")
    assert keys(shop, ReviewRepository, Query(sort="-rating,-product_id", skip=3, limit=20)) == everything[3:23]


# Between two prices, at one, beside one by less than a cent, and beyond all that can be stored.
BOUNDS = st.one_of(
    st.decimals("-1", ROWS + 1, places=3),
    st.integers(0, ROWS + 1).map(Decimal),
    st.sampled_from([Decimal(text) for text in ("-1e999", "1e-300", "9999999999.99", "1e10", "1e22", "1e999")]),
)


@given(lowest=st.none() | BOUNDS, highest=st.none() | BOUNDS, after=st.none() | st.integers(0, ROWS))
@example(lowest=Decimal("9.999"), highest=None, after=None)
@example(lowest=None, highest=Decimal("9.999"), after=None)
@example(lowest=Decimal("9.991"), highest=Decimal("9.999"), after=None)
@example(lowest=Decimal("9." + "9" * 100), highest=Decimal("10." + "0" * 99 + "1"), after=None)
@example(lowest=Decimal(10), highest=Decimal(10), after=None)
@example(lowest=Decimal(20), highest=Decimal(10), after=None)
@example(lowest=Decimal(0), highest=Decimal("1e999"), after=3000)
@example(lowest=Decimal("-1e999"), highest=Decimal(-1), after=None)
# As many as are sorted, and one more, which is walked to.
@example(lowest=Decimal(1001), highest=Decimal(3000), after=None)
@example(lowest=Decimal(1001), highest=Decimal(3001), after=1500)
def test_ranges_of_prices_hold_what_lies_between_their_bounds(
    session: Session, lowest: Decimal | None, highest: Decimal | None, after: int | None
) -> None:
    bounds = {"min_price": lowest, "max_price": highest}
    wanted = {name: bound for name, bound in bounds.items() if bound is not None}
    found = ProductRepository.page_query(Query(wanted=wanted, limit=30, after=after), ("id_key", "price"))(session)
    # A product's price is its key.
    matching = [
        key for key in range(1, ROWS + 1) if (lowest is None or key >= lowest) and (highest is None or key <= highest)
    ]
    assert [row.id_key for row in found.rows] == [key for key in matching if key > (after or 0)][:30]
    assert found.total == len(matching)


@pytest.mark.parametrize("price", ["0.01", "0.29", "9.99", "10", "1.15", "9999999999.99"])
def test_ranges_of_prices_are_exact_to_the_cent(undone: Session, price: str) -> None:
    undone.execute(text("UPDATE products SET price = :price WHERE id_key = 7"), {"price": Decimal(price)})
    little = Decimal("0.001")
    for bounds, is_found in (
        ({"min_price": Decimal(price)}, True),
        ({"max_price": Decimal(price)}, True),
        ({"min_price": Decimal(price) + little}, False),
        ({"max_price": Decimal(price) - little}, False),
    ):
        found = keys(undone, ProductRepository, Query(wanted=bounds, after=6, limit=1))
        assert (found == [7]) is is_found, bounds


@pytest.mark.parametrize("skip", [0, 5, 2000])
@pytest.mark.parametrize("highest", [1010, 3500])
def test_pages_of_a_range_with_two_ends(session: Session, skip: int, highest: int) -> None:
    wanted = {"min_price": 1001, "max_price": highest}
    found = keys(session, ProductRepository, Query(wanted=wanted, skip=skip, limit=20))
    assert found == list(range(1001, highest + 1))[skip : skip + 20]
