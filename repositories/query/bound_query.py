"""Reads, each written once: the event loop sends its statement on the async pool, or a session executes it."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, Select
from sqlalchemy.orm import Session

from infrastructure.database.prepared import Parameters, Prepared
from repositories.query.explain import Explain
from repositories.query.prepared import prepared
from repositories.query.statement_cache import memoized

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class BoundQuery:
    """A statement with the values of its parameters."""

    statement: Select[Any] | Explain
    values: Mapping[str, Any]

    def as_sent(self) -> tuple[Prepared, Parameters]:
        """The prepared statement, and the values of its parameters."""
        statement, constants = _prepared(self.statement)
        return statement, {**constants, **self.values}


# A generator: it yields a statement, is sent the rows, may yield further statements, and returns the result of the read.
Steps = Generator[BoundQuery, Sequence[Any], T]


@dataclass(frozen=True, slots=True, eq=False)
class Query(Generic[T_co]):
    """A read, whether the async pool or a session executes it. Called with a session, it uses its connection.

    `bind` begins the read anew each time, on the database that it is for. A query that is not `is_light` takes
    PostgreSQL, or the rendering of its rows, so long that it would hold up others: it is for a thread.
    """

    bind: Callable[[Engine], Steps[T_co]]
    is_light: bool = True

    def __call__(self, session: Session) -> T_co:
        steps = self.bind(session.get_bind().engine)
        try:
            bound = next(steps)
            while True:
                # By the connection, since no objects are wanted: the session would take as long as the database.
                bound = steps.send(session.connection().execute(bound.statement, bound.values).all())
        except StopIteration as end:
            result: T_co = end.value
            return result

    def map(self, further: Callable[[T_co], U]) -> "Query[U]":
        """The same query, with what `further` makes of its result."""

        def bind(database: Engine) -> Steps[U]:
            return further((yield from self.bind(database)))

        return Query(bind, self.is_light)


@memoized
def _prepared(statement: Select[Any] | Explain) -> tuple[Prepared, Parameters]:
    return prepared(statement, "read")
