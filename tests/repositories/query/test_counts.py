"""How long a list is said to be: exact where the contract asks for it, and not counted again while it must still be long."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from repositories.category import CategoryRepository
from repositories.query import counts as sizes
from repositories.query.counts import COUNTED_TO, Count, CountedLists, Size
from schemas.base import EXACT_COUNT_LIMIT, ListQuery
from tests.race.databases import session_on_rows
from tests.repositories.statements import Query, statements_of

pytestmark = pytest.mark.integration

ROWS = COUNTED_TO + 500
NO_DATABASE = create_engine("postgresql+psycopg2://")
_CATEGORIES = f"INSERT INTO categories (name) SELECT 'Category ' || n FROM generate_series(1, {ROWS}) AS n"


@pytest.fixture
def session(servers: ServerUrls) -> Iterator[Session]:
    """A session on a shop of its own that holds a few more categories than are counted."""
    with session_on_rows(servers, _CATEGORIES) as session:
        yield session


def size(session: Session, query: ListQuery | None = None) -> tuple[int, bool]:
    """The total beside a page of categories, and whether it is an estimate."""
    page = CategoryRepository.page_query(query or ListQuery(limit=20), ("id_key",))(session)
    return page.total, page.estimated


def key_of(name: str) -> sizes.Key:
    return CountedLists.key(NO_DATABASE, "categories", {"name": name})


def leave(session: Session, rows: int) -> None:
    """Delete all but so many categories, and have PostgreSQL tell at once that it did."""
    session.execute(text("DELETE FROM categories WHERE id_key > :rows"), {"rows": rows})
    session.execute(text("SELECT pg_stat_force_next_flush()"))
    session.commit()


@pytest.mark.parametrize("rows", [EXACT_COUNT_LIMIT - 1, EXACT_COUNT_LIMIT])
def test_up_to_the_limit_the_total_is_exact(session: Session, rows: int) -> None:
    leave(session, rows)
    assert size(session) == (rows, False)


@pytest.mark.parametrize("rows", [EXACT_COUNT_LIMIT + 1, COUNTED_TO - 1])
def test_a_list_that_was_counted_to_its_end_and_lost_its_spare_rows_is_counted_anew(
    session: Session, rows: int
) -> None:
    leave(session, rows)
    assert size(session) == (rows, True)
    leave(session, EXACT_COUNT_LIMIT)
    assert size(session) == (EXACT_COUNT_LIMIT, False)


def is_counted(session: Session) -> bool:
    """Whether PostgreSQL has to count for the next page."""
    with statements_of(session) as statements:
        size(session)
    (statement, parameters), *more = statements
    assert not more, "nothing is estimated anew"
    plan = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE) {statement}", parameters).scalars().all()
    session.commit()
    return not any("never executed" in line for line in plan)


@pytest.mark.parametrize(("rows", "accuracy"), [(ROWS, 0.05), (EXACT_COUNT_LIMIT + 2500, 0)])
def test_a_long_list_is_counted_once(session: Session, rows: int, accuracy: float) -> None:
    leave(session, rows)
    total, estimated = size(session)
    assert total == pytest.approx(rows, rel=accuracy)
    assert estimated
    session.commit()
    assert size(session) == (total, True)
    session.execute(text("DELETE FROM categories WHERE id_key = 1"))
    session.commit()
    assert not is_counted(session)


@pytest.mark.parametrize("rows", [EXACT_COUNT_LIMIT, 1000])
def test_a_shorter_list_is_not_counted_again_as_long_as_nobody_writes(session: Session, rows: int) -> None:
    leave(session, rows)
    assert size(session) == (rows, False)
    session.commit()
    # Other tests write on the same server. At some moment none of them does.
    assert not all(is_counted(session) for _ in range(500))
    assert size(session) == (rows, False)
    session.execute(text("UPDATE categories SET name = name || '!' WHERE id_key = 1"))
    session.commit()
    assert is_counted(session)


def test_every_change_shows_in_the_total_of_a_shorter_list_at_once(session: Session) -> None:
    rows = 1500
    leave(session, rows)
    with Session(session.get_bind()) as writer:
        for step in range(60):
            assert size(session) == (rows, False)
            session.commit()
            if step % 3:
                writer.execute(text("INSERT INTO categories (name) VALUES (:name)"), {"name": f"New {step}"})
                rows += 1
            else:
                writer.execute(text("DELETE FROM categories WHERE id_key = :key"), {"key": step + 1})
                rows -= 1
            assert size(session)[0] == rows + (-1 if step % 3 else 1), "nobody sees what is not committed"
            session.commit()
            writer.commit()


def test_who_writes_sees_what_was_written(session: Session) -> None:
    leave(session, 1500)
    for rows in (1400, 1300):
        session.execute(text("DELETE FROM categories WHERE id_key > :rows"), {"rows": rows})
        assert size(session) == (rows, False)
    session.rollback()
    assert size(session) == (1500, False)


@pytest.mark.parametrize("left", [EXACT_COUNT_LIMIT, 7])
def test_a_long_list_that_lost_many_rows_is_counted_anew(session: Session, left: int) -> None:
    assert size(session)[1]
    leave(session, left)
    assert size(session) == (left, False)
    assert CategoryRepository.size_query()(session).size == (left, False)


@pytest.mark.parametrize(("spare", "seconds"), [(0, 0), (2500, 2.5), (9_999, 9.999), (500_000, 10)])
def test_a_list_is_trusted_no_longer_than_it_takes_to_lose_its_spare_rows(spare: int, seconds: float) -> None:
    lists = CountedLists()
    lists.keep(key_of("a"), Count(EXACT_COUNT_LIMIT + 1 + spare), Size(EXACT_COUNT_LIMIT + 1 + spare, estimated=True))
    known = lists.get(key_of("a"))
    assert known.until - known.since == pytest.approx(seconds) if known else not seconds


def test_what_is_known_of_a_long_list_grows_old(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "_MOST_SECONDS", 0.0)
    assert size(session)[1]
    session.execute(text("DELETE FROM categories WHERE id_key > 30"))
    # Within the transaction PostgreSQL tells nobody yet that rows are gone.
    assert size(session) == (30, False)


def test_a_last_page_tells_the_total_by_itself(session: Session) -> None:
    assert size(session)[1]
    session.execute(text("DELETE FROM categories WHERE id_key > 30"))
    assert size(session, ListQuery(skip=20, limit=20)) == (30, False)
    session.execute(text("DELETE FROM categories"))
    assert size(session) == (0, False)


def test_lists_of_other_filters_are_counted_by_themselves(session: Session) -> None:
    assert size(session)[1]
    assert size(session, Query(limit=20, wanted={"name": "category 7"})) == (1, False)


@pytest.mark.parametrize(("length", "remembered"), [(1, 10), (320, 6), (10_000, 0)])
def test_no_more_lists_are_remembered_than_there_is_room_for(length: int, remembered: int) -> None:
    lists = CountedLists(capacity=18_000)
    keys = [key_of(f"{place}" * length) for place in range(10)]
    for key in keys:
        lists.keep(key, Count(COUNTED_TO), Size(50_000, estimated=True))
    assert [lists.get(key) is not None for key in keys] == [False] * (10 - remembered) + [True] * remembered


@pytest.mark.integration
def test_a_list_by_very_many_values_is_known_by_little(session: Session) -> None:
    engine = session.get_bind().engine
    many, others = tuple(range(10**18, 10**18 + 1000)), tuple(range(10**18 + 1, 10**18 + 1001))
    keys = {CountedLists.key(engine, "reviews", {"id_key_in": values}) for values in (many, others, (1, 2), (1, 3))}
    assert len(keys) == 4
    assert CountedLists.key(engine, "reviews", {"id_key_in": many}) in keys
    assert len(repr(CountedLists.key(engine, "reviews", {"id_key_in": many}))) < 300
