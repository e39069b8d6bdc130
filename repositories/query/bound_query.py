"""Reads that are one statement, so that whoever has a lane can send it without a session (see `infrastructure.database.async_pool`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, Select
from sqlalchemy.orm import Session

from infrastructure.database.prepared import Parameters, Prepared
from repositories.query.prepared import prepared
from repositories.query.statement_cache import memoized

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class MoreToRead(Exception):
    """The rows of the statement do not tell everything; the rest takes a session."""


@dataclass(frozen=True, slots=True)
class BoundQuery(Generic[T_co]):
    """A statement with the values of its parameters, and what its rows say. `result` may raise `MoreToRead`."""

    statement: Select[Any]
    values: Mapping[str, Any]
    result: Callable[[Sequence[Any]], T_co]

    def execute(self, session: Session) -> T_co:
        """What the rows say, by the connection of a session."""
        return self.result(session.connection().execute(self.statement, self.values).all())

    def as_sent(self) -> tuple[Prepared, Parameters]:
        """The statement as a lane takes it, and the values of its parameters."""
        statement, constants = _prepared(self.statement)
        return statement, {**constants, **self.values}


@dataclass(frozen=True, slots=True, eq=False)
class Query(Generic[T_co]):
    """A read by one statement. Called with a session, it does the same step by step.

    `bind` is called anew each time, with the database that the statement is for: there may be more to go by than the
    last time. A reading that is not `light` takes PostgreSQL, or whoever renders its rows, so long that nobody should
    wait behind it: it is for a thread.
    """

    bind: Callable[[Engine], BoundQuery[T_co]]
    transactional: Callable[[Session], T_co]
    is_light: bool = True

    def __call__(self, session: Session) -> T_co:
        return self.transactional(session)

    def map(self, further: Callable[[T_co], U]) -> "Query[U]":
        """The same query, with what `further` makes of it."""

        def bind(database: Engine) -> BoundQuery[U]:
            first = self.bind(database)
            return BoundQuery(first.statement, first.values, lambda rows: further(first.result(rows)))

        return Query(bind, lambda session: further(self.transactional(session)), self.is_light)


def always(bind: Callable[[], BoundQuery[T_co]]) -> Query[T_co]:
    """The query whose statement and values are the same each time.

    It is made anew, so that whoever keeps the query, for one of ever so many targets, does not keep its statement.
    """
    return Query(lambda database: bind(), lambda session: bind().execute(session))


@memoized
def _prepared(statement: Select[Any]) -> tuple[Prepared, Parameters]:
    return prepared(statement, "read")
