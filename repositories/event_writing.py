"""Events: the SQL that writes them, in the transaction of the change, with what they are about as it is there.

Each is written while its row is locked, so that the events of one row have the order of its changes. New rows and their
events are one statement. Events about changed and removed rows take one statement for all rows of the change. Within a
savepoint, they go with what they are about.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    ColumnElement,
    FromClause,
    Insert,
    Integer,
    Text,
    bindparam,
    column,
    func,
    insert,
    literal_column,
    null,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from infrastructure.database.prepared import Prepared
from models import Event
from repositories.author import AUTHOR_PARAMETERS, author_of
from repositories.query.json_objects import json_object
from repositories.query.portions import portions
from repositories.query.prepared import execute_prepared, prepared
from repositories.query.statement_cache import memoized
from schemas.base import Read
from schemas.json_codec import to_json

_EVENTS: Any = Event.__table__
# The columns that say who has done what an event is about.
_BY = ("actor", "request_id", "trace_parent")


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What events tell of the rows of a table.

    Their types begin with `thing`; `schema` has the fields that are shown, as everywhere. `names` are how the types go on
    for what can happen to a row; what is not among them is not told. `members` makes further members of the object: the
    SQL of each, about the row with the given name. `client` is the column with the key of the client whose events they are.
    """

    model: type[Any]
    schema: type[Read]
    thing: str
    names: Mapping[str, str] = field(default_factory=lambda: {name: name for name in ("created", "updated", "deleted")})
    members: Callable[[str], Mapping[str, str]] = lambda row: {}
    client: str | None = None

    def type(self, happened: str) -> str | None:
        """The type of the events about rows to which this happened; None where that is not told."""
        return f"{self.thing}.{self.names[happened]}" if happened in self.names else None


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to the row with this key, with further members of the event's object."""

    type: str
    row_id: int
    more: Mapping[str, Any] = field(default_factory=dict)


def events_of_new(told: Told, added: CTE) -> Insert:
    """The statement that writes an event about each of the new rows `added`."""
    happened: ColumnElement[Any] = literal_column(f"'{told.type('created')}'")
    return _insertion(told, happened, added, order_by=added.c.id_key)


def tell(session: Session, told: Told, happenings: Iterable[Happening]) -> None:
    """Write an event for each, with its row as it is now."""
    rows = ({"place": place, **_given(happening)} for place, happening in enumerate(happenings))
    author = author_of(session)
    for some in portions(rows):
        # What the session has not sent yet is part of the change.
        session.flush()
        execute_prepared(session.connection(), _happened_statement(told), {**author.parameters(), "rows": some})


def tell_import(session: Session, resource: str, data: Mapping[str, Any]) -> None:
    """Write the one event about the many rows of an import."""
    author = author_of(session)
    by = {name: getattr(author, name) for name in _BY}
    session.execute(insert(_EVENTS).values(type="catalog.imported", resource=resource, data=data, **by))


def _given(happening: Happening) -> dict[str, Any]:
    # As the members of an object with something before them.
    more = f",{to_json(happening.more)[1:-1].decode()}" if happening.more else None
    return {"type": happening.type, "row_id": happening.row_id, "more": more}


@memoized
def _happened_statement(told: Told) -> Prepared:
    """The statement for all that happened to rows, each looked up by its key and never joined with the whole table."""
    rows = func.json_to_recordset(sql_cast(bindparam("rows", type_=Text), JSON))
    columns = (column("place", Integer), column("type", Text), column("row_id", BigInteger), column("more", Text))
    given = rows.table_valued(*columns).render_derived("happened", with_types=True)
    table = told.model.__table__
    row = select(table).where(table.c.id_key == given.c.row_id).limit(literal_column("1")).lateral(table.name)
    found = given.join(row, literal_column("true"))
    telling = _insertion(told, given.c.type, row, found, order_by=given.c.place, more="happened.more")
    return prepared(telling, f"tell_{table.name}")[0]


def _insertion(
    told: Told,
    happened: ColumnElement[Any],
    row: Any,
    found: FromClause | None = None,
    *,
    order_by: ColumnElement[Any],
    more: str = "",
) -> Insert:
    author = [sql_cast(bindparam(AUTHOR_PARAMETERS[name]), Text) for name in _BY]
    resource: ColumnElement[Any] = literal_column(f"'{told.model.__tablename__}'")
    text = json_object(told.model, told.schema, row.name, told.members(row.name), more)
    client = null() if told.client is None else row.c[told.client]
    names = ["type", "resource", "resource_id", "client_id", *_BY, "data"]
    chosen = select(
        happened, resource, row.c.id_key, client, *author, sql_cast(literal_column(text, Text), JSON).label("data")
    )
    return insert(_EVENTS).from_select(names, chosen.select_from(row if found is None else found).order_by(order_by))
