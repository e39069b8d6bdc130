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
class Question(Generic[T_co]):
    """A statement with the values of its parameters, and what its rows say. `result` may raise `MoreToRead`."""

    statement: Select[Any]
    values: Mapping[str, Any]
    result: Callable[[Sequence[Any]], T_co]

    def asked(self, session: Session) -> T_co:
        """What the rows say, by the connection of a session."""
        return self.result(session.connection().execute(self.statement, self.values).all())

    def as_sent(self) -> tuple[Prepared, Parameters]:
        """The statement as a lane takes it, and the values of its parameters."""
        statement, constants = _prepared(self.statement)
        return statement, {**constants, **self.values}


@dataclass(frozen=True, slots=True, eq=False)
class Reading(Generic[T_co]):
    """A read by one statement. Called with a session, it does the same step by step.

    `question` is asked anew each time, of the database that it is put to: there may be more to go by than the
    last time. A reading that is not `light` takes PostgreSQL, or whoever renders its rows, so long that nobody should
    wait behind it: it is for a thread.
    """

    question: Callable[[Engine], Question[T_co]]
    step_by_step: Callable[[Session], T_co]
    is_light: bool = True

    def __call__(self, session: Session) -> T_co:
        return self.step_by_step(session)

    def then(self, further: Callable[[T_co], U]) -> "Reading[U]":
        """The same reading, with what `further` makes of it."""

        def question(database: Engine) -> Question[U]:
            first = self.question(database)
            return Question(first.statement, first.values, lambda rows: further(first.result(rows)))

        return Reading(question, lambda session: further(self.step_by_step(session)), self.is_light)


def always(question: Callable[[], Question[T_co]]) -> Reading[T_co]:
    """The reading that asks the same question each time.

    It is made anew, so that whoever keeps the reading, for one of ever so many targets, does not keep its statement.
    """
    return Reading(lambda database: question(), lambda session: question().asked(session))


@memoized
def _prepared(statement: Select[Any]) -> tuple[Prepared, Parameters]:
    return prepared(statement, "read")
