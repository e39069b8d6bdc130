"""What a repository asks PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, ExecutionContext
from sqlalchemy.orm import Session

from schemas.base import ListQuery


class Query(ListQuery):
    """A query with the filters that a test wants; a repository does not ask where they come from."""

    wanted: dict[str, Any] = {}

    def filters(self) -> dict[str, Any]:
        return self.wanted


@contextmanager
def statements_of(session: Session) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile, each with its parameters."""
    statements: list[tuple[str, Any]] = []

    def remember(
        connection: Connection, cursor: Any, statement: str, parameters: Any, context: ExecutionContext, many: bool
    ) -> None:
        statements.append((statement, parameters))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", remember)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", remember)
