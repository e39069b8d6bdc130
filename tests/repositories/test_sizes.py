"""How long a list is said to be: exact where the contract asks for it, and not counted again while it must still be long."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from config.embedded import ServerUrls
from repositories import sizes
from repositories.category import CategoryRepository
from repositories.product import ProductRepository
from repositories.sizes import COUNTED_TO, LongLists
from schemas.base import EXACT_COUNT_LIMIT, ListQuery
from tests.race.databases import session_on_rows
from tests.repositories.statements import Query, statements_of

pytestmark = pytest.mark.integration

ROWS = COUNTED_TO + 500
_CATEGORIES = f"INSERT INTO categories (name) SELECT 'Category ' || n FROM generate_series(1, {ROWS}) AS n"


@pytest.fixture
def session(servers: ServerUrls) -> Iterator[Session]:
    """A session on a shop of its own that holds a few more categories than are counted."""
    with session_on_rows(servers, _CATEGORIES) as session:
        yield session


def size(session: Session, query: ListQuery | None = None) -> tuple[int, bool]:
    """The total beside a page of categories, and whether it is an estimate."""
    page = CategoryRepository(session).page(query or ListQuery(limit=20), ("id_key",))
    return page.total, page.estimated


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
def test_a_list_that_was_counted_to_its_end_is_counted_again(session: Session, rows: int) -> None:
    leave(session, rows)
    assert size(session) == (rows, True)
    leave(session, EXACT_COUNT_LIMIT)
    assert size(session) == (EXACT_COUNT_LIMIT, False)


def test_a_long_list_is_counted_once(session: Session) -> None:
    total, estimated = size(session)
    assert (total, estimated) == (pytest.approx(ROWS, rel=0.05), True)
    session.commit()
    with statements_of(session) as statements:
        assert size(session) == (total, True)
    (statement, parameters), *more = statements
    assert not more, "nothing was estimated anew"
    plan = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE) {statement}", parameters).scalars().all()
    assert any("never executed" in line for line in plan), plan


@pytest.mark.parametrize("left", [EXACT_COUNT_LIMIT, 7])
def test_a_long_list_that_lost_many_rows_is_counted_anew(session: Session, left: int) -> None:
    assert size(session)[1]
    leave(session, left)
    assert size(session) == (left, False)
    assert CategoryRepository(session).size({}) == (left, False)


def test_what_is_known_of_a_long_list_grows_old(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "_SECONDS", 0.0)
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


def test_no_more_lists_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "_MOST_SIZES", 2)
    lists = LongLists()
    for key in "abc":
        lists.remember(key, COUNTED_TO, churn=0, estimate=50_000)
    assert lists.get("a") is None
    assert [found.size for found in (lists.get("b"), lists.get("c")) if found] == [(50_000, True)] * 2


class TestWordsOfANameThatManyProductsHave:
    """A search finds perfect matches first, by their keys, and then what is less alike, as one order."""

    NAMES = ("Lampe", "Lamp", "Lamps of glass", "A lamp", "Lamp-shade", "Lam", "Table", "LAMP")
    # The word itself, wherever it stands; then with one letter more, then with one less.
    ORDER = ("Lamp", "A lamp", "Lamp-shade", "LAMP", "Lampe", "Lamps of glass", "Lam")

    @pytest.fixture
    def shop(self, session: Session) -> Session:
        session.execute(
            text("INSERT INTO products (name, price, category_id) SELECT unnest(CAST(:names AS text[])), 1, 1"),
            {"names": list(self.NAMES)},
        )
        session.execute(text("SET pg_trgm.word_similarity_threshold = 0.4"))
        return session

    @pytest.mark.parametrize("limit", range(1, 9))
    def test_pages_of_any_length_make_the_same_list(self, shop: Session, limit: int) -> None:
        found: list[str] = []
        for skip in range(0, len(self.NAMES) + limit, limit):
            wanted = Query(skip=skip, limit=limit, wanted={"q": "lamp"})
            page = ProductRepository(shop).page(wanted, ("name",))
            found += [row.name for row in page.rows]
            assert (page.total, page.estimated) == (len(self.ORDER), False)
        assert tuple(found) == self.ORDER

    @pytest.mark.parametrize("asked", ["lamp shade", "LAMP, shade!", "_lamp_shade_", "[lamp] (shade"])
    def test_what_is_neither_letter_nor_digit_does_not_matter(self, shop: Session, asked: str) -> None:
        with statements_of(shop) as statements:
            page = ProductRepository(shop).page(Query(limit=1, wanted={"q": asked}), ("name",))
        assert [row.name for row in page.rows] == ["Lamp-shade"]
        assert not any("word_similarity" in statement for statement, _ in statements), "it was found without a ranking"

    @pytest.mark.parametrize("asked", ["(", "[z", "\\", "*", "%", ".*"])
    def test_signs_are_no_pattern(self, shop: Session, asked: str) -> None:
        page = ProductRepository(shop).page(Query(limit=1, wanted={"q": asked}), ("name",))
        assert (list(page.rows), page.total) == ([], 0)
