"""The statements that read events, in the order of their sequences, at the same cost however many there are.

There is an index for each filter, with the sequence behind it. Several types are several walks of an index, each as long
as a page, which is cut out of them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Engine, Select, Text, bindparam, cast, func, select, true, tuple_, union_all

from models.event import Event
from repositories.query.bound_query import BoundQuery, Query, Steps
from repositories.query.statement_cache import memoized
from schemas.json_schema import MAX_KEY

# `data` as it was stored, letter by letter.
_COLUMNS: Sequence[Any] = (
    Event.id,
    Event.sequence,
    Event.type,
    Event.resource,
    Event.resource_id,
    Event.occurred_at,
    Event.actor,
    Event.request_id,
    Event.trace_parent,
    cast(Event.data, Text).label("data"),
)
FIELDS = tuple(column.key for column in _COLUMNS)

# So many are looked at together for all who wait.
MOST_CHANGES = 1000

# A page ends behind so many bytes, as they are stored: orders of a thousand lines would fill the memory.
_MOST_BYTES = 256 * 1024

_AFTER = cast(bindparam("after"), BigInteger)
_LIMIT = bindparam("limit", type_=BigInteger)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events are read: of all the types or of these; about one resource, and of one client's orders, if named."""

    types: tuple[str, ...] = ()
    resource_id: int | None = None
    client_id: int | None = None

    def values(self) -> dict[str, Any]:
        """The values of the parameters of its conditions, by name."""
        named = {name: value for name in ("resource_id", "client_id") if (value := getattr(self, name)) is not None}
        return {**named, **{_of_type(number): name for number, name in enumerate(self.types)}}


class Change(NamedTuple):
    """An event, as far as it takes to know who wants to read it."""

    sequence: int
    type: str
    resource_id: int | None
    client_id: int | None

    def is_of(self, selection: Selection) -> bool:
        """Whether it is one of the selected events."""
        return (
            (not selection.types or self.type in selection.types)
            and selection.resource_id in (None, self.resource_id)
            and selection.client_id in (None, self.client_id)
        )


class EventPage(NamedTuple):
    """Events by their `FIELDS`, and the sequence up to which there is none besides them."""

    rows: Sequence[Any]
    reached: int


def page_query(selection: Selection, after: int, limit: int) -> Query[EventPage]:
    """The first `limit` events after this sequence; fewer of large ones, but one at least."""

    def bind(database: Engine) -> Steps[EventPage]:
        statement = _page_statement(
            len(selection.types), selection.resource_id is not None, selection.client_id is not None
        )
        rows = yield BoundQuery(statement, {**selection.values(), "after": after, "limit": limit})
        shown = [row[:-2] for row in rows if row[0] is not None]
        newest, found = rows[0][-2:]
        is_last = len(shown) == found < limit
        return EventPage(shown, max(after, newest or 0) if is_last else shown[-1][1])

    return Query(bind)


def event_query(event_id: UUID, client_id: int | None) -> Query[Any | None]:
    """The event that has this id, by its `FIELDS`; None if nobody may read it yet, or the client may not."""

    def bind(database: Engine) -> Steps[Any | None]:
        values = {"id": event_id} if client_id is None else {"id": event_id, "client_id": client_id}
        rows = yield BoundQuery(_event_statement(client_id is not None), values)
        return rows[0] if rows else None

    return Query(bind)


def changes_query(after: int) -> Query[Sequence[Change]]:
    """All events after this sequence, up to `MOST_CHANGES`."""

    def bind(database: Engine) -> Steps[Sequence[Change]]:
        rows = yield BoundQuery(_changes(), {"after": after})
        return [Change(*row) for row in rows]

    return Query(bind)


def newest_query() -> Query[int]:
    """The last sequence that was given; 0 if none was."""

    def bind(database: Engine) -> Steps[int]:
        rows = yield BoundQuery(_newest(), {})
        return int(rows[0][0]) if rows else 0

    return Query(bind)


def _of_type(number: int) -> str:
    return f"type_{number}"


@memoized
def _page_statement(types: int, of_resource: bool, of_client: bool) -> Select[Any]:
    walks = [_walk(_of_type(number), of_resource, of_client) for number in range(types)]
    if not walks:
        walks = [_walk(None, of_resource, of_client)]
    found = (walks[0] if len(walks) == 1 else union_all(*walks)).subquery("found")
    # Cut out before the rows are read.
    page = select(found.c.sequence).order_by(found.c.sequence).limit(_LIMIT).cte("page")
    size = func.pg_column_size(Event.data)
    before = (func.sum(size).over(order_by=Event.sequence) - size).label("before")
    # What is large is stored apart, and only unpacked when it becomes text: of those events that are shown.
    sized = select(*_COLUMNS[:-1], Event.data, before).join_from(page, Event, Event.sequence == page.c.sequence)
    rows = sized.subquery("rows")
    shown = select(*list(rows.c)[: len(FIELDS) - 1], cast(rows.c.data, Text).label(FIELDS[-1]))
    shown_rows = shown.where(rows.c.before < _MOST_BYTES).subquery("shown")
    # In the same snapshot: nothing that comes later has a smaller sequence.
    newest = _newest().scalar_subquery().label("newest")
    end = select(newest, select(func.count()).select_from(page).scalar_subquery().label("found")).subquery("end")
    return (
        select(shown_rows, end.c.newest, end.c.found)
        .select_from(end.outerjoin(shown_rows, true()))
        .order_by(shown_rows.c.sequence)
    )


def _walk(type_parameter: str | None, of_resource: bool, of_client: bool) -> Select[Any]:
    """The first sequences by the index that has the columns of the filters, and of no others, before the sequence.

    Its columns are compared as rows. If they were equal for PostgreSQL, it would know that another index has the same
    order, and might look through all events there for the few of a rare type.
    """
    values: dict[Any, Any] = {}
    if of_resource:
        values[Event.resource_id] = bindparam("resource_id", type_=BigInteger)
    elif of_client:
        values[Event.client_id] = bindparam("client_id", type_=BigInteger)
    if type_parameter is not None:
        values[Event.type] = bindparam(type_parameter)
    columns = tuple_(*values, Event.sequence)
    walk = select(Event.sequence).where(
        Event.sequence.is_not(None),
        columns > tuple_(*values.values(), _AFTER),
        columns <= tuple_(*values.values(), cast(MAX_KEY, BigInteger)),
    )
    if of_client:
        walk = walk.where(Event.client_id.is_not(None))
        if of_resource:
            walk = walk.where(Event.client_id == bindparam("client_id", type_=BigInteger))
    return walk.order_by(*values, Event.sequence).limit(_LIMIT)


@memoized
def _event_statement(of_client: bool) -> Select[Any]:
    statement = select(*_COLUMNS).where(Event.id == bindparam("id"), Event.sequence.is_not(None))
    return statement.where(Event.client_id == bindparam("client_id")) if of_client else statement


@memoized
def _changes() -> Select[Any]:
    columns: Sequence[Any] = (Event.sequence, Event.type, Event.resource_id, Event.client_id)
    changes = select(*columns).where(Event.sequence.is_not(None), Event.sequence > _AFTER)
    return changes.order_by(Event.sequence).limit(MOST_CHANGES)


@memoized
def _newest() -> Select[Any]:
    return select(Event.sequence).where(Event.sequence.is_not(None)).order_by(Event.sequence.desc()).limit(1)
