"""Lists by filters of few values: the rows, their order, and that filters which exclude each other cost no walk in vain."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from models.base import Base, few_values
from repositories.bill import BillRepository
from repositories.order import OrderRepository
from repositories.product import ProductRepository
from repositories.query.filters import PUBLIC
from tests.race.databases import session_on_rows
from tests.repositories.statements import Query, Repository
from tests.repositories.test_plans import FIELDS, nodes, plans_of

pytestmark = pytest.mark.integration

ROWS = 2000

# Products of category 1 are in stock, and those of category 2 are not, and are to be ordered again; an order of status 1 has delivery method 1; the
# client 1 pays in cash, and goods are never given back for it. Nobody has the other combinations.
_ROWS = f"""
    INSERT INTO clients (name, lastname, email, email_key)
    SELECT 'A', 'B', 'a' || n || '@x.org', 'a' || n || '@x.org' FROM generate_series(1, 3) n;
    INSERT INTO categories (name) SELECT 'Category ' || n FROM generate_series(1, 3) n;
    INSERT INTO products (name, price, stock, category_id, active, reorder_level)
    SELECT 'Thing', 1 + n % 7, n % 2, 2 - n % 2, n % 5 <> 0, CASE WHEN n % 2 = 0 THEN 0 END FROM generate_series(1, {ROWS}) n;
    INSERT INTO bills (bill_number, total, payment_type, client_id)
    SELECT 'INV-' || n, n, CASE WHEN n % 2 = 0 THEN 'cash' ELSE 'card' END,
        CASE WHEN n % 10 = 3 THEN NULL ELSE 1 + n % 2 END FROM generate_series(1, {ROWS}) n;
    INSERT INTO orders (total, delivery_method, status, client_id, bill_id)
    SELECT n, 1 + n % 3, 1 + n % 3, 1 + n % 2, n FROM generate_series(1, {ROWS}) n;
    INSERT INTO bills (bill_number, total, payment_type, client_id, kind, refunds_bill_id)
    SELECT 'CR-' || n, 1, 'card', 2, 'credit', n FROM generate_series(1, {ROWS}, 3) n;
"""
FILTERS: dict[Repository, dict[str, tuple[Any, ...]]] = {
    ProductRepository: {
        "category_id": (1, 3),
        "in_stock": (True, False),
        "low_stock": (True, False),
        "active": (True, False),
    },
    OrderRepository: {"client_id": (1, 3), "status": (1, 4), "delivery_method": (1, 2)},
    BillRepository: {"client_id": (1, 3), "payment_type": ("cash", "card"), "kind": ("sale", "credit")},
}
EXCLUDED = [
    (ProductRepository, {"category_id": 1, "in_stock": False}),
    (ProductRepository, {"category_id": 1, "low_stock": True}),
    (ProductRepository, {"in_stock": True, "low_stock": True}),
    (ProductRepository, {"in_stock": False, "low_stock": False, "active": True}),
    (OrderRepository, {"status": 1, "delivery_method": 2}),
    (BillRepository, {"client_id": 1, "payment_type": "card"}),
    (BillRepository, {"kind": "credit", "payment_type": "cash"}),
]


def named(part: Any) -> str:
    return str(part.model.__tablename__ if hasattr(part, "model") else part)


@pytest.fixture(scope="module")
def session(servers: ServerUrls) -> Iterator[Session]:
    """A session on thousands of rows that have few values."""
    with session_on_rows(servers, _ROWS) as session:
        yield session


def wanted_of(repository: Repository) -> Iterator[dict[str, Any]]:
    filters = FILTERS[repository]
    for count in range(len(filters) + 1):
        for names in combinations(filters, count):
            for values in product(*(filters[name] for name in names)):
                yield dict(zip(names, values, strict=True))


def keys_in(session: Session, repository: Repository, wanted: dict[str, Any], sort: str | None) -> list[int]:
    """All keys of the list, as PostgreSQL gives them when it is asked in the plainest way."""
    model = repository.model
    rows = select(model.id_key).where(*(getattr(model, name) == value for name, value in wanted.items()))
    if sort is not None:
        column = getattr(model, sort.removeprefix("-"))
        rows = rows.order_by(column.desc() if sort.startswith("-") else column.asc())
    return list(session.scalars(rows.order_by(model.id_key)))


def shown(session: Session, repository: Repository, **asked: Any) -> tuple[list[int], int]:
    page = repository.page_query(Query(**asked), FIELDS)(session)
    return [row[0] for row in page.rows], page.total


@pytest.mark.parametrize("repository", FILTERS, ids=named)
def test_pages_are_those_of_the_plainest_query(session: Session, repository: Repository) -> None:
    sorts = (f"{sign}{name}" for name in (*FILTERS[repository], "id_key", "created_at") for sign in ("", "-"))
    for wanted, sort in product(wanted_of(repository), (None, *sorts)):
        expected = keys_in(session, repository, wanted, sort)
        for skip in (0, 7, 990):
            asked = {"wanted": wanted, "skip": skip, "limit": 20, **({} if sort is None else {"sort": sort})}
            assert shown(session, repository, **asked) == (expected[skip : skip + 20], len(expected)), asked


@pytest.mark.parametrize("repository", FILTERS, ids=named)
def test_pages_behind_a_key(session: Session, repository: Repository) -> None:
    for wanted, after in product(wanted_of(repository), (0, 5, ROWS - 3, ROWS)):
        expected = keys_in(session, repository, wanted, None)
        rows, total = shown(session, repository, wanted=wanted, after=after, limit=20)
        assert rows == [key for key in expected if key > after][:20], (wanted, after)
        assert total == len(expected) or not rows


def test_what_everybody_may_see(session: Session) -> None:
    for wanted in ({"category_id": 1}, {"in_stock": False}, {"category_id": 1, "in_stock": True}, {}):
        expected = keys_in(session, ProductRepository, {**wanted, "active": True}, None)
        page = ProductRepository.page_query(Query(wanted=wanted, limit=20), FIELDS, {PUBLIC: True})(session)
        assert ([row[0] for row in page.rows], page.total) == (expected[:20], len(expected)), wanted


@pytest.mark.parametrize(("repository", "wanted"), EXCLUDED, ids=named)
@pytest.mark.parametrize("more", [{}, {"after": 3}, {"sort": "-id_key"}], ids=named)
def test_filters_that_exclude_each_other_visit_nothing(
    session: Session, repository: Repository, wanted: dict[str, Any], more: dict[str, Any]
) -> None:
    query = Query(wanted=wanted, limit=20, **more)
    plans = plans_of(session, lambda: repository.page_query(query, FIELDS)(session), "ANALYZE, ")
    passed_over = [
        node["Rows Removed by Filter"] for plan in plans for node in nodes(plan) if "Rows Removed by Filter" in node
    ]
    visited = [node["Actual Rows"] * node["Actual Loops"] for plan in plans for node in nodes(plan)]
    # One row is that of the count, and the columns of the count take one each.
    assert max(visited) <= 1, plans
    assert sum(passed_over) <= 1, plans


def test_values_are_those_that_the_database_allows() -> None:
    payments = {"payment_status": ("unpaid", "partly_paid", "paid", "refunded")}
    assert few_values(Base.metadata.tables["orders"]) == {
        "status": (1, 2, 3, 4),
        "delivery_method": (1, 2, 3),
        **payments,
    }
    assert few_values(Base.metadata.tables["bills"]) == {
        "payment_type": ("cash", "card"),
        "kind": ("sale", "credit"),
        "reason": ("canceled", "deleted", "returned"),
        "order_deleted": (False, True),
        **payments,
    }
    assert few_values(Base.metadata.tables["products"]) == dict.fromkeys(
        ("active", "in_stock", "low_stock"), (False, True)
    )
