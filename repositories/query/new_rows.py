"""The statements that store new rows, and with them what belongs to these rows in other tables.

There is one statement for a single row and one for many, made from the columns of the table and built once. The one for
a single row can be sent in two ways: through a session, as a step of a transaction, and as a prepared statement that is
a transaction by itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnClause,
    ColumnElement,
    Computed,
    Date,
    DateTime,
    DefaultClause,
    FetchedValue,
    Insert,
    Integer,
    Numeric,
    Select,
    SmallInteger,
    String,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import result_tuple
from sqlalchemy.schema import CreateTable

from infrastructure.database.exact_json import write_json
from infrastructure.database.prepared import Parameters, Prepared, Row
from repositories.audit_trail import entries_of_new
from repositories.author import NOBODY, Author
from repositories.event_writing import Told, events_of_new
from repositories.query.prepared import DIALECT, prepared
from repositories.query.statement_cache import memoized
from schemas.base import READ_ONLY

_PLACE = "place"
# The column with the transaction that a new row is from.
TRANSACTION = "added_by"
# The database writes columns with these defaults itself: they are generated, or a trigger writes them.
_OF_THE_DATABASE = (Computed, FetchedValue)
# They are sent as texts.
_DOCUMENTS = {JSON, JSONB}
# Types that the driver converts. Other types need the conversions of a session.
_TYPES_OF_THE_DRIVER = {BigInteger, Boolean, Date, DateTime, Integer, Numeric, SmallInteger, String, Text, *_DOCUMENTS}


class NewRows:
    """A table that gets new rows. A subclass states its model, and what belongs to a new row in other tables."""

    model: ClassVar[type[Any]]
    # What events tell of the rows; None where there are none about them.
    told: ClassVar[Told | None] = None

    @classmethod
    def written_along(cls, added: CTE) -> Sequence[Insert]:
        """What the same statement writes into other tables; `added` are the new rows, with all their columns."""
        return ()

    @classmethod
    def adding(cls, values: Mapping[str, Any], author: Author = NOBODY) -> tuple[Prepared, Parameters] | None:
        """The statement that stores a row with these values as a transaction by itself, with what is told of it.

        None where a column has a type that the driver does not convert.
        """
        statement = _prepared_row_statement(cls, author.is_audited)
        if statement is None:
            return None
        table = cls.model.__table__
        documents = {name: write_json(values[name]) for name in _documents(table) if values.get(name) is not None}
        return statement, parameters_of(table, {**values, **documents}, author)

    @classmethod
    def added(cls, row: Row) -> Any:
        """The columns of the new row, by name, and `TRANSACTION`, from the row that the statement returns."""
        return _row_type(cls)(row)


def parameters_of(table: Table, values: Mapping[str, Any], author: Author) -> dict[str, Any]:
    """The parameters of `row_statement`: a value for each column, None for what was left out; and the author."""
    return {name: values.get(name) for name in _names(table)} | author.parameters()


@memoized
def row_statement(kind: type[NewRows], audited: bool) -> Select[Any]:
    """The statement that stores one row, with its event, and its entry in the audit trail if `audited`; it returns all columns."""
    table = kind.model.__table__
    adding = insert(table).values({one.name: _value(table, one) for one in _written(table)})
    return _returned(kind, adding, table.c, audited=audited)


@memoized
def _prepared_row_statement(kind: type[NewRows], audited: bool) -> Prepared | None:
    if any(type(one.type) not in _TYPES_OF_THE_DRIVER for one in kind.model.__table__.c):
        return None
    statement = row_statement(kind, audited).add_columns(func.pg_current_xact_id().cast(Text).label(TRANSACTION))
    return prepared(statement, f"add_{kind.model.__tablename__}")[0]


@memoized
def _row_type(kind: type[NewRows]) -> Callable[[Row], Any]:
    return result_tuple([*kind.model.__table__.c.keys(), TRANSACTION])


@memoized
def rows_statement(
    kind: type[NewRows], names: tuple[str, ...], fields: tuple[str, ...], audited: bool, told: bool
) -> Select[Any]:
    """As `row_statement`, for rows of which the columns `names` are given; it returns the columns `fields`.

    Without an event for each row if not `told`.
    """
    table = kind.model.__table__
    given = given_rows(table, names, column(_PLACE, Integer))
    chosen = select(*(given.c[name] for name in names)).order_by(given.c[_PLACE])
    adding = insert(table).from_select(list(names), chosen)
    return _returned(kind, adding, [table.c[name] for name in fields], audited=audited, told=told)


def given_rows(table: Table, names: Sequence[str], *more: ColumnClause[Any]) -> TableValuedAlias:
    """The rows in the parameter `rows`, with the columns `names` of the table and `more`.

    They are sent as one JSON text: thousands of parameters cost both sides more than to store the rows.
    """
    rows = func.json_to_recordset(sql_cast(bindparam("rows", type_=Text), JSON))
    columns = (column(name, table.c[name].type) for name in names)
    return rows.table_valued(*columns, *more).render_derived(with_types=True)


def in_places(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows as `rows_statement` wants them: keys are given in the order of their places."""
    return ({**row, _PLACE: place} for place, row in enumerate(rows))


def _returned(
    kind: type[NewRows], adding: Insert, columns: Sequence[Column[Any]], *, audited: bool, told: bool = True
) -> Select[Any]:
    """The statement that adds the rows and what is written along with them, and returns columns of the rows."""
    added = adding.returning(*kind.model.__table__.c).cte("added")
    written = [*kind.written_along(added)]
    written += [entries_of_new(kind.model, added)] if audited else []
    written += [events_of_new(kind.told, added)] if told and kind.told is not None else []
    along = [one.cte(f"along_{place}") for place, one in enumerate(written, 1)]
    return select(*(added.c[one.name] for one in columns)).add_cte(*along)


def _written(table: Table) -> list[Column[Any]]:
    """The columns that a new row may have values for; the database writes the others itself."""
    return [one for one in table.c if one.name not in READ_ONLY and type(one.server_default) not in _OF_THE_DATABASE]


@memoized
def _names(table: Table) -> list[str]:
    return [one.name for one in _written(table)]


@memoized
def _documents(table: Table) -> list[str]:
    return [one.name for one in _written(table) if type(one.type) in _DOCUMENTS]


def _value(table: Table, one: Column[Any]) -> ColumnElement[Any]:
    """The given value of a column, or else the default of the table.

    A column with a default is NOT NULL, so None can only mean that no value was given.
    """
    given = bindparam(one.name, type_=one.type)
    if not isinstance(one.server_default, DefaultClause):
        return given
    default = DIALECT.ddl_compiler(DIALECT, CreateTable(table)).get_column_default_string(one)
    return func.coalesce(given, sql_cast(literal_column(str(default)), one.type))
