"""The statements that store new rows: what is left out, what is written along, and both ways of sending them."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from sqlalchemy import ARRAY, DefaultClause, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from infrastructure.database.migrations import maintenance_engine
from infrastructure.embedded.servers import ServerUrls
from models import Base, Row
from repositories.category import CategoryRepository
from repositories.product import ProductRepository
from repositories.query.new_rows import NewRows
from tests.race.databases import connected, execute, execute_prepared, new_database, rows_of

Values = dict[str, Any]
Send = Callable[[str, Values], Any]

COLUMNS = tuple(ProductRepository.model.__table__.c.keys())
LAMP = {"name": "100 % 'lamp'", "price": Decimal("9.99"), "category_id": 1}
LEDGER = "SELECT product_id, delta, reason, order_detail_id FROM stock_movements"


def by_itself(url: str, values: Values) -> Any:
    """The row, stored by the prepared statement."""
    adding = ProductRepository.adding(values)
    assert adding is not None
    statement, parameters = adding
    with connected(url) as connection, connection.cursor() as cursor:
        execute_prepared(cursor, statement, parameters)
        return ProductRepository.added(cursor.fetchone())


def as_a_step(url: str, values: Values) -> Any:
    """The row, stored in the transaction of a session."""
    engine = maintenance_engine(url)
    try:
        with Session(engine) as session, session.begin():
            return ProductRepository(session).add(values)
    finally:
        engine.dispose()


def as_one_of_many(url: str, values: Values) -> Any:
    """The row, stored together with others: here with none."""
    engine = maintenance_engine(url)
    try:
        with Session(engine) as session, session.begin():
            ((row,),) = ProductRepository(session).add_all([values], COLUMNS, lambda rows: rows)
            return row
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def migrated(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture
def url(migrated: str) -> str:
    """A shop with one category, and nothing in it."""
    execute(migrated, "TRUNCATE categories RESTART IDENTITY CASCADE")
    execute(migrated, "INSERT INTO categories (name) VALUES ('Lamps')")
    return migrated


@pytest.mark.integration
@pytest.mark.parametrize("send", [by_itself, as_a_step, as_one_of_many])
def test_a_row_is_stored_with_the_first_entry_of_its_ledger(url: str, send: Send) -> None:
    row = send(url, {**LAMP, "stock": 7, "sku": "L-1", "active": False, "description": None})
    assert (row.id_key, row.name, row.price, row.stock, row.sku) == (1, LAMP["name"], LAMP["price"], 7, "L-1")
    assert (row.active, row.in_stock, row.description) == (False, True, None)
    assert rows_of(url, f"SELECT {', '.join(COLUMNS)} FROM products") == [tuple(row)[: len(COLUMNS)]]
    assert rows_of(url, LEDGER) == [(row.id_key, 7, "initial", None)]


@pytest.mark.integration
@pytest.mark.parametrize("send", [by_itself, as_a_step, as_one_of_many])
def test_what_is_left_out_is_what_the_table_has_for_it(url: str, send: Send) -> None:
    row = send(url, LAMP)
    assert (row.stock, row.active, row.in_stock, row.sku, row.image) == (0, True, False, None, None)
    assert row.created_at == row.updated_at
    assert rows_of(url, LEDGER) == [], "nothing came in"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"category_id": 2}, psycopg2.errors.ForeignKeyViolation),
        ({"category_id": 2**63}, psycopg2.errors.NumericValueOutOfRange),
        ({"sku": "taken"}, psycopg2.errors.UniqueViolation),
        ({"stock": -1}, psycopg2.errors.CheckViolation),
        ({"name": None}, psycopg2.errors.NotNullViolation),
        ({"name": "x" * 201}, psycopg2.errors.StringDataRightTruncation),
    ],
    ids=str,
)
def test_the_database_refuses_what_breaks_its_rules(url: str, fault: Values, error: type[Exception]) -> None:
    by_itself(url, {**LAMP, "sku": "taken", "stock": 1})
    with pytest.raises(error):
        by_itself(url, {**LAMP, "stock": 1, **fault})
    assert rows_of(url, "SELECT count(*) FROM products") == [(1,)]
    assert rows_of(url, "SELECT count(*) FROM stock_movements") == [(1,)]


@pytest.mark.unit
def test_there_is_one_statement_whatever_is_left_out() -> None:
    statements = [ProductRepository.adding(values) for values in (LAMP, {**LAMP, "stock": 1}, {})]
    assert len({None if adding is None else adding[0] for adding in statements}) == 1
    category = CategoryRepository.adding({"name": "x"})
    assert category is not None
    assert re.fullmatch(
        r"add_categories_\w{16} \(author_actor, author_request_id, author_trace_parent, name, tax_class_id\)",
        str(category[0]),
    )


@pytest.mark.unit
def test_values_that_have_to_be_converted_are_left_to_sessions() -> None:
    class Foreign(DeclarativeBase):
        """Tables that are not the shop's."""

    class Note(Foreign):
        __tablename__ = "notes"
        id_key: Mapped[int] = mapped_column(primary_key=True)
        words: Mapped[Any] = mapped_column(ARRAY(Text))

    class Notes(NewRows):
        model = Note

    assert Notes.adding({"words": []}) is None


@pytest.mark.unit
def test_no_column_may_be_null_that_has_something_for_rows_which_leave_it_out() -> None:
    """Otherwise a null that was sent would be taken for a value that was not."""
    tables = [mapper.class_.__table__ for mapper in Base.registry.mappers if issubclass(mapper.class_, Row)]
    defaulted = [column for table in tables for column in table.c if isinstance(column.server_default, DefaultClause)]
    assert defaulted
    assert [str(column) for column in defaulted if column.nullable] == []
    assert [str(column) for table in tables for column in table.c if column.default is not None] == []
