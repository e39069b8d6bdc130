"""Reads that need no session: on the pool they say what they say to a session, and PostgreSQL finds the rows at once."""

import asyncio
import json
from typing import Any

import pytest
from psycopg import sql
from sqlalchemy.orm import Session

from config.settings import read_settings
from infrastructure.database.async_pool import AsyncPool
from infrastructure.database.prepared import Prepared, Row
from repositories.category import CategoryRepository
from repositories.query import bound_query
from repositories.query.bound_query import BoundQuery
from schemas.base import ListQuery
from tests.repositories.conftest import ROWS
from tests.repositories.statements import OF_RESOURCES, Query, Repository

pytestmark = pytest.mark.integration

PAGES = [ListQuery(skip=5, limit=3), ListQuery(after=5, limit=3), ListQuery(skip=ROWS - 2, limit=20), ListQuery()]


def rows_on_pool(session: Session, bound: BoundQuery, before: str = "") -> list[Row]:
    """The rows of the statement on the pool; `before` stands before its EXECUTE."""
    url = session.get_bind().engine.url.render_as_string(hide_password=False)
    statement, parameters = bound.as_sent()

    async def rows() -> list[Row]:
        pool = AsyncPool(url, read_settings({}), number=1, read_only=True)
        try:
            found = await pool.run(statement, parameters)
            if before:
                # Under its name SQL finds it too.
                values = ", ".join(sql.Literal(parameters[name]).as_string() for name in statement.parameters)
                found = await pool.run(Prepared("explained", f"{before}EXECUTE {statement.name} ({values})"), {})
        finally:
            pool.close()
        assert found is not None, "refused"
        return list(found)

    return asyncio.run(rows())


class AnotherStatement(Exception):
    """A read asks for more than one."""


def on_pool(session: Session, query: bound_query.Query[Any]) -> Any:
    """What the query says on the pool."""
    steps = query.bind(session.get_bind().engine)
    rows = rows_on_pool(session, next(steps))
    try:
        steps.send(rows)
    except StopIteration as end:
        return end.value
    raise AnotherStatement


def columns_of(repository: Repository) -> tuple[str, ...]:
    return tuple(column.name for column in repository.model.__table__.columns)


@pytest.mark.parametrize("repository", OF_RESOURCES)
def test_the_pool_says_what_a_session_says(session: Session, repository: Repository) -> None:
    fields = columns_of(repository)
    row: bound_query.Query[Any] = repository.row_query(7, fields)
    # As texts, because they tell apart what is equal and yet not the same, such as 1 and Decimal("1").
    assert repr(on_pool(session, row)) == repr(tuple(row(session)))
    assert on_pool(session, repository.row_query(2 * ROWS, fields)) is None
    assert on_pool(session, repository.size_query()).size == repository.size_query()(session).size
    assert repository.size_query()(session).size.estimated is False
    for query in PAGES:
        rows = repository.rows_query(query, fields)
        assert repr(on_pool(session, rows)) == repr(list(map(tuple, rows(session))))
        page = repository.page_query(query, fields)
        on_the_pool, in_session = on_pool(session, page), page(session)
        # Whether there was something to count depends on whether other tests write.
        assert repr([row[: len(fields)] for row in on_the_pool.rows]) == repr(
            [tuple(row[: len(fields)]) for row in in_session.rows]
        )
        assert (on_the_pool.total, on_the_pool.estimated) == (in_session.total, False)


@pytest.mark.parametrize("repository", OF_RESOURCES)
@pytest.mark.parametrize("query", PAGES)
def test_the_pool_walks_along_the_keys(session: Session, repository: Repository, query: ListQuery) -> None:
    for bindable in (repository.rows_query(query, ("id_key",)), repository.row_query(7, ("id_key",))):
        bound = next(bindable.bind(session.get_bind().engine))
        (plan,) = rows_on_pool(session, bound, before="EXPLAIN (FORMAT JSON) ")[0]
        text = json.dumps(plan, default=float)
        assert f"pk_{repository.model.__tablename__}" in text
        assert "Sort" not in text
        assert "Seq Scan" not in text


def test_what_a_page_without_rows_does_not_tell_takes_a_session(session: Session) -> None:
    beyond = CategoryRepository.page_query(ListQuery(skip=ROWS), ("id_key",))
    with pytest.raises(AnotherStatement):
        on_pool(session, beyond)
    assert beyond(session).total == ROWS


@pytest.mark.parametrize(
    ("query", "is_light"),
    [
        (ListQuery(), True),
        (ListQuery(after=9**9), True),
        (ListQuery(skip=1000), True),
        (ListQuery(skip=1001), False),
        (ListQuery(limit=101), False),
        (ListQuery(sort="-id_key"), False),
        (Query(wanted={"name": "x"}), False),
    ],
)
def test_pages_that_take_long_are_not_for_the_pool(query: ListQuery, is_light: bool) -> None:
    assert CategoryRepository.rows_query(query, ("id_key",)).is_light is is_light


def test_what_is_made_of_a_query_is_as_light_as_that(session: Session) -> None:
    query = CategoryRepository.size_query().map(lambda found: found.size.total + 1)
    assert on_pool(session, query) == query(session) == ROWS + 1
    far = CategoryRepository.rows_query(ListQuery(skip=5000), ("id_key",))
    assert not far.map(len).is_light
