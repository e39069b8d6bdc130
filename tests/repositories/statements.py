"""The repositories of all resources, and what they ask PostgreSQL."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Connection, ExecutionContext
from sqlalchemy.orm import Session

from infrastructure.database.migrations import maintenance_engine
from repositories.address import AddressRepository
from repositories.base import BaseRepository
from repositories.bill import BillRepository
from repositories.category import CategoryRepository
from repositories.client import ClientRepository
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from repositories.product import ProductRepository
from repositories.review import ReviewRepository
from schemas.base import ListQuery

Repository = type[BaseRepository[Any]]
OF_RESOURCES: tuple[Repository, ...] = (
    AddressRepository,
    BillRepository,
    CategoryRepository,
    ClientRepository,
    OrderDetailRepository,
    OrderRepository,
    ProductRepository,
    ReviewRepository,
)


class Query(ListQuery):
    """A query with the filters that a test wants; a repository does not ask where they come from."""

    wanted: dict[str, Any] = {}

    def filters(self) -> dict[str, Any]:
        return self.wanted


def searching_as_the_shop(session: Session) -> None:
    """Give the connection what those of the shop have for searches (see `infrastructure.database.engine`)."""
    session.execute(text("SET pg_trgm.word_similarity_threshold = 0.4"))


@contextmanager
def searching(url: str) -> Iterator[Session]:
    """A session on the database of this URL that can search."""
    engine = maintenance_engine(url)
    try:
        with Session(engine) as session:
            searching_as_the_shop(session)
            yield session
    finally:
        engine.dispose()


Plan = dict[str, Any]


def plan_in(explained: list[dict[str, Any]]) -> Plan:
    """The plan in what EXPLAIN (FORMAT JSON) answers, with plain numbers, so that a test can show it as JSON."""
    plan: Plan = json.loads(json.dumps(explained[0]["Plan"], default=float))
    return plan


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
