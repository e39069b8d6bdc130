"""How PostgreSQL runs the lists: by an index where a filter is selective, and without a sort from page to page."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from repositories.address import AddressRepository
from repositories.bill import BillRepository
from repositories.category import CategoryRepository
from repositories.client import ClientRepository
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from repositories.product import ProductRepository, StockMovementRepository
from repositories.query.filters import OWNER, PUBLIC
from repositories.review import ReviewRepository
from schemas.base import IN_SUFFIX, ListQuery
from tests.repositories.statements import OF_RESOURCES, Plan, Query, Repository, plan_in, statements_of

pytestmark = pytest.mark.integration

FIELDS = ("id_key", "created_at")
# A list may be merged from so many walks of an index (see `repositories.query.merged_lists`).
MOST_WALKS = 4
KEYS_WITH_RANGES = {"ix_bills_key_date", "ix_orders_key_date", "ix_products_key_cents"}

REPOSITORIES: tuple[Repository, ...] = (*OF_RESOURCES, StockMovementRepository)
DAY = dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
# A filter, a value that few rows have, and the column by which an index finds them.
EQUALITIES: list[tuple[Repository, str, Any, str]] = [
    (AddressRepository, "client_id", 7, "client_id"),
    (AddressRepository, "city", "city 7", "text_key((city)"),
    (AddressRepository, "postcode", "pc 7", "text_key((postcode)"),
    (AddressRepository, "country", "GB", "country"),
    (BillRepository, "client_id", 7, "client_id"),
    (BillRepository, "payment_type", "cash", "payment_type"),
    (BillRepository, "kind", "credit", "kind"),
    (BillRepository, "refunds_bill_id", 7, "refunds_bill_id"),
    (BillRepository, "bill_number", "inv-7", "text_key((bill_number)"),
    (CategoryRepository, "name", "category 7", "text_key((name)"),
    (ClientRepository, "email", "a7@x.org", "email_key"),
    (ClientRepository, "name", "name 7", "text_key((name)"),
    (ClientRepository, "lastname", "lastname 7", "text_key((lastname)"),
    (OrderDetailRepository, "order_id", 7, "order_id"),
    (OrderDetailRepository, "product_id", 7, "product_id"),
    (OrderRepository, "client_id", 7, "client_id"),
    (OrderRepository, "status", 4, "status"),
    (OrderRepository, "delivery_method", 2, "delivery_method"),
    (OrderRepository, "bill_id", 7, "bill_id"),
    (ProductRepository, "sku", "sku-7", "text_key((sku)"),
    (ProductRepository, "category_id", 7, "category_id"),
    (ProductRepository, "in_stock", False, "in_stock"),
    (ProductRepository, "low_stock", True, "low_stock"),
    (ProductRepository, "active", False, "active"),
    (ReviewRepository, "product_id", 7, "product_id"),
    (StockMovementRepository, "product_id", 7, "product_id"),
]
RANGES: list[tuple[Repository, str, Any, str]] = [
    (BillRepository, "date_from", dt.datetime(2030, 12, 1, tzinfo=dt.UTC), "date"),
    (BillRepository, "date_to", DAY, "date"),
    (OrderDetailRepository, "date_from", dt.datetime(2020, 6, 15, tzinfo=dt.UTC), "date"),
    (OrderDetailRepository, "date_to", DAY, "date"),
    (OrderRepository, "date_from", dt.datetime(2020, 6, 15, tzinfo=dt.UTC), "date"),
    (OrderRepository, "date_to", DAY, "date"),
    (ProductRepository, "min_price", 3990, "price"),
    (ProductRepository, "stock_below", 1, "stock_step"),
    (ProductRepository, "max_price", 7, "price"),
    (ProductRepository, "q", "8f14e45f", "name"),
    (ClientRepository, "q", "a7@x.org", "email"),
    (OrderRepository, "q", "a7@x.org", "id_key"),
    (ReviewRepository, "min_rating", 5, "rating"),
]
# Of a unique value there is at most one row, which takes no sorting whatever the plan says.
UNIQUE = {
    (BillRepository, "bill_number"),
    (CategoryRepository, "name"),
    (ClientRepository, "email"),
    (OrderRepository, "bill_id"),
    (ProductRepository, "sku"),
}
# Values that most rows have. A first page of them is soon full, in whatever order they stand.
COMMON: list[tuple[Repository, str, Any]] = [
    (AddressRepository, "country", "ES"),
    (BillRepository, "payment_type", "card"),
    (BillRepository, "kind", "sale"),
    (BillRepository, "date_from", dt.datetime(2020, 1, 2, tzinfo=dt.UTC)),
    (BillRepository, "date_to", dt.datetime(2030, 12, 1, tzinfo=dt.UTC)),
    (OrderRepository, "status", 3),
    (OrderRepository, "delivery_method", 1),
    (OrderRepository, "date_from", DAY),
    (OrderRepository, "date_to", dt.datetime(2020, 6, 10, tzinfo=dt.UTC)),
    (ProductRepository, "min_price", 10),
    (ProductRepository, "max_price", 3990),
    (ProductRepository, "in_stock", True),
    (ProductRepository, "low_stock", False),
    (ProductRepository, "active", True),
    (ReviewRepository, "min_rating", 1),
]
# Ranges of many rows that all have large keys, as the newest orders have.
LATE: list[tuple[Repository, str, Any]] = [
    (BillRepository, "date_from", dt.datetime(2028, 1, 1, tzinfo=dt.UTC)),
    (OrderRepository, "date_from", dt.datetime(2020, 5, 1, tzinfo=dt.UTC)),
    (ProductRepository, "min_price", 2900),
]
# The ledger is read in the order of its keys; no client can sort it.
UNSORTED = {(StockMovementRepository, "created_at")}
SORTS = [
    (repository, name)
    for repository in REPOSITORIES
    for name in repository.sortable()
    if (repository, name) not in UNSORTED
]


def plans_of(session: Session, read: Callable[[], object], options: str = "") -> list[Plan]:
    """PostgreSQL's plans for the statements that `read` executes, with more `options` of EXPLAIN."""
    with statements_of(session) as statements:
        read()
    explained = [
        session.connection().exec_driver_sql(f"EXPLAIN ({options}FORMAT JSON) {statement}", parameters).scalar_one()
        for statement, parameters in statements
    ]
    return [plan_in(found) for found in explained]


def plan_of(session: Session, repository: Repository, query: ListQuery) -> Plan:
    """PostgreSQL's plan for the page that the repository asks for, and for its count."""
    return plans_of(session, lambda: repository.page_query(query, FIELDS)(session))[0]


def plan_of_rows(session: Session, repository: Repository, query: ListQuery) -> Plan:
    """PostgreSQL's plan for the rows of the page alone."""
    return plans_of(session, lambda: repository.rows_query(query, FIELDS)(session))[0]


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def kinds(plan: Plan) -> set[str]:
    return {node["Node Type"] for node in nodes(plan)}


def sorts_of_many(plan: Plan) -> list[Plan]:
    """The sorts of more than the keys of a page of twenty, of each walk of an index."""
    return [node for node in nodes(plan) if node["Node Type"].endswith("Sort") and node["Plan Rows"] > 20 * MOST_WALKS]


def conditions(plan: Plan) -> list[str]:
    """What the indexes are asked for."""
    return [node["Index Cond"] for node in nodes(plan) if "Index Cond" in node]


def named(case: tuple[Repository, str, Any, str]) -> str:
    return f"{case[0].model.__tablename__}-{case[1]}"


def sort_named(part: Repository | str | int) -> str:
    return part.model.__tablename__ if isinstance(part, type) else str(part)


def test_every_filter_is_looked_at() -> None:
    looked_at = {(repository, name) for repository, name, _, _ in EQUALITIES + RANGES}
    # Those by several values, by the key itself and by who asks have a test of their own.
    assert looked_at == {
        (repository, name)
        for repository in REPOSITORIES
        for name in repository.filters
        if name not in ("id_key", "reason", OWNER, PUBLIC) and not name.endswith(IN_SUFFIX)
    }


@pytest.mark.parametrize("repository", [one for one in REPOSITORIES if OWNER in one.filters], ids=sort_named)
@pytest.mark.parametrize(
    "query", [Query(), Query(sort="-created_at"), Query(after=5)], ids=["first", "sorted", "after"]
)
def test_rows_of_a_customer_are_looked_up_in_indexes(session: Session, repository: Repository, query: Query) -> None:
    plans = plans_of(session, lambda: repository.page_query(query, FIELDS, {OWNER: 7})(session))
    assert not any("Seq Scan" in kinds(plan) for plan in plans), json.dumps(plans, indent=1)


@pytest.mark.parametrize("wanted", [{}, {"min_price": 2900}, {"min_price": 10, "max_price": 20}, {"q": "8f14e45f"}])
def test_public_products_are_found_as_all_of_them_are(session: Session, wanted: dict[str, Any]) -> None:
    query = Query(limit=20, wanted=wanted)
    plans = plans_of(session, lambda: ProductRepository.page_query(query, FIELDS, {PUBLIC: True})(session))
    indexes = {node["Index Name"] for plan in plans for node in nodes(plan) if "Index Name" in node}
    assert ("ix_products_key_cents" in indexes) == ("min_price" in wanted)


def test_reviews_of_public_products_take_no_look_at_all_products(session: Session) -> None:
    plans = plans_of(session, lambda: ReviewRepository.page_query(Query(), FIELDS, {PUBLIC: True})(session))
    scans = {node["Relation Name"] for plan in plans for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
    assert "products" not in scans, json.dumps(plans, indent=1)


BY_SEVERAL = [
    (repository, name, (5, 7))
    for repository in REPOSITORIES
    for name in repository.filters
    if name.endswith(("id" + IN_SUFFIX, "id_key" + IN_SUFFIX))
]


@pytest.mark.parametrize("case", BY_SEVERAL, ids=lambda case: f"{case[0].model.__tablename__}-{case[1]}")
def test_several_values_are_looked_up_in_an_index(session: Session, case: tuple[Repository, str, Any]) -> None:
    repository, name, values = case
    plans = plans_of(session, lambda: repository.page_query(Query(wanted={name: values}), FIELDS)(session))
    assert not any("Seq Scan" in kinds(plan) for plan in plans), json.dumps(plans, indent=1)
    found = [condition for plan in plans for condition in conditions(plan)]
    assert any(f"{name.removesuffix(IN_SUFFIX)} = ANY" in condition for condition in found), json.dumps(plans, indent=1)


def test_however_many_values_there_are_the_statement_is_the_same(session: Session) -> None:
    with statements_of(session) as statements:
        for count in (2, 3, 1000):
            OrderRepository.page_query(Query(wanted={"id_key_in": tuple(range(1, count + 1))}), FIELDS)(session)
    assert len({statement for statement, _ in statements}) == 1


@pytest.mark.parametrize("case", EQUALITIES + RANGES, ids=named)
def test_a_selective_filter_uses_an_index(session: Session, case: tuple[Repository, str, Any, str]) -> None:
    repository, name, value, column = case
    plans = plans_of(session, lambda: repository.page_query(Query(wanted={name: value}), FIELDS)(session))
    # Twice: to find the page, and to count. For `q` that is to find the words themselves, and then what resembles them.
    found = [condition for plan in plans for condition in conditions(plan)]
    assert len([condition for condition in found if column in condition]) >= 2, json.dumps(plans, indent=1)
    assert not any("Seq Scan" in kinds(plan) for plan in plans), json.dumps(plans, indent=1)


@pytest.mark.parametrize("asked", ["8f14e45f", "8f14e45e", "a", "e"])
def test_a_search_never_reads_all_products(session: Session, asked: str) -> None:
    plans = plans_of(
        session, lambda: ProductRepository.page_query(Query(limit=20, wanted={"q": asked}), FIELDS)(session)
    )
    # The rows of the page are looked up one by one, once it is known which they are.
    assert not kinds(plans[-1]) & {"Hash Join", "Merge Join", "Seq Scan"}, json.dumps(plans, indent=1)
    assert "pk_products" in {node.get("Index Name") for node in nodes(plans[-1])}, json.dumps(plans, indent=1)


@pytest.mark.parametrize("case", COMMON, ids=lambda case: f"{case[0].model.__tablename__}-{case[1]}")
def test_a_page_of_a_common_value_neither_scans_nor_sorts_many(
    session: Session, case: tuple[Repository, str, Any]
) -> None:
    repository, name, value = case
    plan = plan_of_rows(session, repository, Query(limit=20, wanted={name: value}))
    assert "Seq Scan" not in kinds(plan), json.dumps(plan, indent=1)
    assert not sorts_of_many(plan), json.dumps(plan, indent=1)


@pytest.mark.parametrize("case", LATE, ids=lambda case: f"{case[0].model.__tablename__}-{case[1]}")
@pytest.mark.parametrize("after", [None, 2000])
def test_a_range_of_late_keys_does_not_visit_the_early_ones(
    session: Session, case: tuple[Repository, str, Any], after: int | None
) -> None:
    repository, name, value = case
    plan = plan_of_rows(session, repository, Query(limit=20, after=after, wanted={name: value}))
    assert "Filter" not in json.dumps(plan), json.dumps(plan, indent=1)
    assert {node.get("Index Name") for node in nodes(plan)} & KEYS_WITH_RANGES, json.dumps(plan, indent=1)


@pytest.mark.parametrize("after", [None, 2000])
def test_few_rows_between_two_ends_are_found_by_their_value(session: Session, after: int | None) -> None:
    query = Query(limit=20, after=after, wanted={"min_price": 2005, "max_price": 2010})
    (plan,) = plans_of(session, lambda: ProductRepository.rows_query(query, FIELDS)(session), "ANALYZE, ")
    walks = [node for node in nodes(plan) if node.get("Index Name") in KEYS_WITH_RANGES]
    assert [node["Actual Loops"] for node in walks] == [0], json.dumps(plan, indent=1)
    few = next(node for node in nodes(plan) if node.get("Index Name") == "ix_products_price")
    assert few["Node Type"] == "Index Only Scan", json.dumps(plan, indent=1)


@pytest.mark.parametrize("after", [None, 1200])
def test_many_rows_between_two_ends_are_not_sorted(session: Session, after: int | None) -> None:
    query = Query(limit=20, after=after, wanted={"min_price": 1001, "max_price": 3900})
    (plan,) = plans_of(session, lambda: ProductRepository.rows_query(query, FIELDS)(session), "ANALYZE, ")
    (walk,) = [node for node in nodes(plan) if node.get("Index Name") in KEYS_WITH_RANGES]
    assert walk["Actual Rows"] == 20, json.dumps(plan, indent=1)
    assert not any(
        node["Node Type"] == "Sort" and node["Actual Rows"] * node["Actual Loops"] > 20 for node in nodes(plan)
    ), json.dumps(plan, indent=1)


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda it: it.model.__tablename__)
@pytest.mark.parametrize("after", [0, 3000])
def test_pages_by_key_never_sort(session: Session, repository: Repository, after: int) -> None:
    plan = plan_of(session, repository, Query(after=after, limit=20))
    assert not kinds(plan) & {"Sort", "Incremental Sort"}, json.dumps(plan, indent=1)
    assert any("id_key >" in condition for condition in conditions(plan)), json.dumps(plan, indent=1)


@pytest.mark.parametrize("case", LATE, ids=lambda case: f"{case[0].model.__tablename__}-{case[1]}")
@pytest.mark.parametrize(("after", "found"), [(-(10**30), 20), (-(2**63), 20), (2**63 - 1, 0), (2**63, 0), (10**30, 0)])
def test_a_range_after_what_no_key_can_be(
    session: Session, case: tuple[Repository, str, Any], after: int, found: int
) -> None:
    repository, name, value = case
    page = repository.page_query(Query(limit=20, after=after, wanted={name: value}), FIELDS)(session)
    assert len(page.rows) == found


@pytest.mark.parametrize("case", [case for case in EQUALITIES if case[:2] not in UNIQUE], ids=named)
def test_filtered_pages_by_key_never_sort_many(session: Session, case: tuple[Repository, str, Any, str]) -> None:
    """The key stands second in every such index. Not so after a range, whose few rows have to be put in order."""
    repository, name, value, column = case
    plan = plan_of(session, repository, Query(after=2, limit=20, wanted={name: value}))
    assert "Seq Scan" not in kinds(plan), json.dumps(plan, indent=1)
    assert not sorts_of_many(plan), json.dumps(plan, indent=1)
    assert any(column in condition for condition in conditions(plan)), json.dumps(plan, indent=1)


@pytest.mark.parametrize(("repository", "column"), SORTS, ids=sort_named)
@pytest.mark.parametrize("skip", [0, 50])
@pytest.mark.parametrize("sign", ["", "-"])
def test_sorting_by_an_indexed_column_visits_no_more_rows_than_there_are_up_to_the_page(
    session: Session, repository: Repository, column: str, sign: str, skip: int
) -> None:
    query = Query(sort=f"{sign}{column}", skip=skip, limit=20)
    # A table of a few pages may as well be read whole, to look up twenty rows. That is not what is asked here.
    session.execute(text("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"))
    (plan,) = plans_of(session, lambda: repository.rows_query(query, FIELDS)(session), "ANALYZE, ")
    session.rollback()
    visited = max(node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan))
    # Twice, for the rows above the last value and those at it; and a few more to see that a value has ended.
    assert visited <= 2 * (skip + 20) + 32, json.dumps(plan, indent=1)
