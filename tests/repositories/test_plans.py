"""How PostgreSQL runs the lists: by an index where a filter is selective, and without a sort from page to page."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection, ExecutionContext
from sqlalchemy.orm import Session

from repositories.address import AddressRepository
from repositories.base import BaseRepository
from repositories.bill import BillRepository
from repositories.category import CategoryRepository
from repositories.client import ClientRepository
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from repositories.product import ProductRepository, StockMovementRepository
from repositories.review import ReviewRepository
from schemas.base import ListQuery

pytestmark = pytest.mark.integration

Repository = type[BaseRepository[Any]]
Plan = dict[str, Any]

REPOSITORIES: tuple[Repository, ...] = (
    AddressRepository,
    BillRepository,
    CategoryRepository,
    ClientRepository,
    OrderDetailRepository,
    OrderRepository,
    ProductRepository,
    ReviewRepository,
    StockMovementRepository,
)
DAY = dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
# A filter, a value that few rows have, and the column by which an index finds them.
EQUALITIES: list[tuple[Repository, str, Any, str]] = [
    (AddressRepository, "client_id", 7, "client_id"),
    (AddressRepository, "city", "city 7", "lower((city)"),
    (BillRepository, "client_id", 7, "client_id"),
    (BillRepository, "payment_type", "cash", "payment_type"),
    (BillRepository, "bill_number", "inv-7", "lower((bill_number)"),
    (CategoryRepository, "name", "category 7", "lower((name)"),
    (ClientRepository, "email", "a7@x.org", "email_key"),
    (ClientRepository, "name", "name 7", "lower((name)"),
    (ClientRepository, "lastname", "lastname 7", "lower((lastname)"),
    (OrderDetailRepository, "order_id", 7, "order_id"),
    (OrderDetailRepository, "product_id", 7, "product_id"),
    (OrderRepository, "client_id", 7, "client_id"),
    (OrderRepository, "status", 4, "status"),
    (OrderRepository, "delivery_method", 2, "delivery_method"),
    (OrderRepository, "bill_id", 7, "bill_id"),
    (ProductRepository, "sku", "sku-7", "lower((sku)"),
    (ProductRepository, "category_id", 7, "category_id"),
    (ReviewRepository, "product_id", 7, "product_id"),
    (StockMovementRepository, "product_id", 7, "product_id"),
]
RANGES: list[tuple[Repository, str, Any, str]] = [
    (BillRepository, "date_from", dt.datetime(2030, 12, 1, tzinfo=dt.UTC), "date"),
    (BillRepository, "date_to", DAY, "date"),
    (OrderRepository, "date_from", dt.datetime(2020, 6, 15, tzinfo=dt.UTC), "date"),
    (OrderRepository, "date_to", DAY, "date"),
    (ProductRepository, "min_price", 3990, "price"),
    (ProductRepository, "max_price", 7, "price"),
    (ProductRepository, "q", "8f14e45f", "name"),
    (ReviewRepository, "min_rating", 5, "rating"),
]
# Of a unique value there is at most one row, which takes no sorting whatever the plan says.
UNIQUE = {(ClientRepository, "email"), (OrderRepository, "bill_id")}
# Most products are active and in stock: an index would lead to almost every row, and reading them all is quicker.
UNSELECTIVE = {(ProductRepository, "in_stock"), (ProductRepository, "active")}
# `created_at` follows the keys for who pages by them; the index of `email` is over its lower-case form.
SORTED_BY_HAND = {"created_at", "email"}


class Query(ListQuery):
    """A query with one filter, whichever; a repository does not ask where it comes from."""

    wanted: dict[str, Any] = {}

    def filters(self) -> dict[str, Any]:
        return self.wanted


def plan_of(session: Session, repository: Repository, query: ListQuery) -> Plan:
    """PostgreSQL's plan for the page that the repository asks for."""
    statements: list[tuple[str, Any]] = []

    def remember(
        connection: Connection, cursor: Any, statement: str, parameters: Any, context: ExecutionContext, many: bool
    ) -> None:
        statements.append((statement, parameters))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", remember)
    try:
        repository(session).page(query, ("id_key", "created_at"))
    finally:
        event.remove(engine, "before_cursor_execute", remember)
    statement, parameters = statements[0]
    found = session.connection().exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    plan: Plan = found[0]["Plan"]
    return plan


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def kinds(plan: Plan) -> set[str]:
    return {node["Node Type"] for node in nodes(plan)}


def conditions(plan: Plan) -> list[str]:
    """What the indexes are asked for."""
    return [node["Index Cond"] for node in nodes(plan) if "Index Cond" in node]


def named(case: tuple[Repository, str, Any, str]) -> str:
    return f"{case[0].model.__tablename__}-{case[1]}"


def test_every_filter_is_looked_at() -> None:
    looked_at = {(repository, name) for repository, name, _, _ in EQUALITIES + RANGES}
    assert looked_at | UNSELECTIVE == {(repository, name) for repository in REPOSITORIES for name in repository.filters}


@pytest.mark.parametrize("case", EQUALITIES + RANGES, ids=named)
def test_a_selective_filter_uses_an_index(session: Session, case: tuple[Repository, str, Any, str]) -> None:
    repository, name, value, column = case
    plan = plan_of(session, repository, Query(wanted={name: value}))
    assert "Seq Scan" not in kinds(plan), json.dumps(plan, indent=1)
    # Twice: to find the page, and to count.
    assert len([condition for condition in conditions(plan) if column in condition]) >= 2, json.dumps(plan, indent=1)


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda it: it.model.__tablename__)
@pytest.mark.parametrize("after", [0, 3000])
def test_pages_by_key_never_sort(session: Session, repository: Repository, after: int) -> None:
    plan = plan_of(session, repository, Query(after=after, limit=20))
    assert not kinds(plan) & {"Sort", "Incremental Sort"}, json.dumps(plan, indent=1)
    assert any("id_key >" in condition for condition in conditions(plan)), json.dumps(plan, indent=1)


@pytest.mark.parametrize("case", [case for case in EQUALITIES if case[:2] not in UNIQUE], ids=named)
def test_filtered_pages_by_key_never_sort(session: Session, case: tuple[Repository, str, Any, str]) -> None:
    """The key stands second in every such index. Not so after a range, whose few rows have to be put in order."""
    repository, name, value, column = case
    plan = plan_of(session, repository, Query(after=2, limit=20, wanted={name: value}))
    assert not kinds(plan) & {"Sort", "Incremental Sort", "Seq Scan"}, json.dumps(plan, indent=1)
    assert any(column in condition for condition in conditions(plan)), json.dumps(plan, indent=1)


@pytest.mark.parametrize(
    ("repository", "column"),
    [(repository, name) for repository in REPOSITORIES for name in repository.sortable() if name not in SORTED_BY_HAND],
    ids=lambda it: it if isinstance(it, str) else it.model.__tablename__,
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_sorting_by_an_indexed_column_reads_the_index(
    session: Session, repository: Repository, column: str, sign: str
) -> None:
    plan = plan_of(session, repository, Query(sort=sign + column, limit=20))
    # The other way round only rows with equal values are left to be put in the order of their keys.
    assert "Sort" not in kinds(plan), json.dumps(plan, indent=1)
    assert kinds(plan) & {"Index Scan", "Index Only Scan"}, json.dumps(plan, indent=1)
