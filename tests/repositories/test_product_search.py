"""What a search finds, in which order, and that all its pages tell the same."""

import io
import random
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from repositories.product import ProductRepository
from repositories.query.list_shape import MANY
from tests.race.databases import connected, execute, new_database, session_on_rows
from tests.repositories.statements import Query, searching, searching_as_the_shop, statements_of

pytestmark = pytest.mark.integration

A_CATEGORY = "INSERT INTO categories (name) VALUES ('Things'), ('Other things')"


@pytest.fixture(scope="module")
def empty(servers: ServerUrls) -> Iterator[Session]:
    """A session on a shop with two categories."""
    with searching(new_database(servers.database_url)) as session:
        session.execute(text(A_CATEGORY))
        yield session


@pytest.fixture
def shop(empty: Session) -> Iterator[Session]:
    """The same for one test, which leaves nothing behind."""
    with empty.begin_nested() as changes:
        yield empty
        changes.rollback()


def add(session: Session, *products: tuple[str, str | None, str | None] | str, category: int = 1) -> None:
    """Put products with these names, codes and descriptions into the shop, one key after the other."""
    values = text("INSERT INTO products (name, sku, description, price, category_id) VALUES (:n, :s, :d, 1, :c)")
    for product in products:
        name, sku, description = (product, None, None) if isinstance(product, str) else product
        session.execute(values, {"n": name, "s": sku, "d": description, "c": category})


def found(session: Session, asked: str, limit: int = 20, **filters: object) -> list[str]:
    """The names of all pages of the search, which all tell the same exact total."""
    names: list[str] = []
    sizes = set()
    while True:
        query = Query(skip=len(names), limit=limit, wanted={"q": asked, **filters})
        page = ProductRepository.page_query(query, ("name",))(session)
        names += [row.name for row in page.rows]
        sizes.add((page.total, page.estimated))
        if len(page.rows) < limit:
            assert sizes == {(len(names), False)}
            return names


class TestOrder:
    NAMES = ("Lampe", "Lamp", "Lamps of glass", "A lamp", "Lamp-shade", "Lam", "Table", "LAMP")
    # The word itself, wherever it stands; then with one letter more, then with one less.
    ORDER = ["Lamp", "A lamp", "Lamp-shade", "LAMP", "Lampe", "Lamps of glass", "Lam"]

    @pytest.mark.parametrize("limit", [1, 3, 4, 8])
    def test_pages_of_any_length_make_the_same_list(self, shop: Session, limit: int) -> None:
        add(shop, *self.NAMES)
        assert found(shop, "lamp", limit) == self.ORDER

    @pytest.mark.parametrize("limit", [2, 4])
    def test_other_words_of_the_same_letters_come_after_those_asked_for(self, shop: Session, limit: int) -> None:
        add(shop, "Shoe red", "Bananana", "Banana", "A red shoe", "Red shoes")
        assert found(shop, "red shoe", limit)[:3] == ["A red shoe", "Shoe red", "Red shoes"]
        assert found(shop, "banana", limit)[:2] == ["Banana", "Bananana"]

    def test_names_come_first_then_codes_then_what_else_has_the_words(self, shop: Session) -> None:
        add(
            shop,
            ("Bulb", None, "For every lamp-07."),
            ("Socket", "LAMP-07-B", None),
            ("Shade", "LAMP-07", None),
            ("Lanp 07", None, None),
            ("Lamp 07", "X-1", None),
            ("Cable", "ALAMP-07", None),
        )
        assert found(shop, "lamp-07") == ["Lamp 07", "Lanp 07", "Shade", "Socket", "Bulb"]
        assert found(shop, "lamp07") == ["Lamp 07", "Shade", "Socket"]

    def test_all_words_are_found_wherever_they_stand(self, shop: Session) -> None:
        add(shop, ("Shade", "GR-1", "of glass"), ("Vase", "GR-2", "of glass"), ("Bowl", None, "Grass"))
        assert found(shop, "glass shade") == ["Shade"]
        assert found(shop, "GR glass") == ["Shade", "Vase"]
        assert found(shop, "gr1") == ["Shade"]

    def test_of_a_code_a_good_start_is_enough(self, shop: Session) -> None:
        add(shop, ("One", "AB-123", None), ("Two", "AB-124", None), ("Three", "A1", None))
        assert found(shop, "ab-12") == found(shop, "AB 12") == found(shop, "ab12") == ["One", "Two"]
        assert found(shop, "ab-123") == ["One"]
        assert found(shop, "a1") == found(shop, "a-1") == ["Three"]

    def test_a_search_keeps_to_the_other_filters(self, shop: Session) -> None:
        add(shop, *self.NAMES)
        shop.execute(text("UPDATE products SET active = false WHERE name IN ('Lampe', 'Lamp')"))
        assert found(shop, "lamp", 2, active=True) == [name for name in self.ORDER if name not in ("Lampe", "Lamp")]

    def test_a_search_in_another_order_is_made_once(self, shop: Session) -> None:
        add(shop, *self.NAMES)
        with statements_of(shop) as statements:
            page = ProductRepository.page_query(Query(limit=2, sort="-name", wanted={"q": "lamp"}), ("name",))(shop)
        assert [row.name for row in page.rows] == sorted(self.ORDER, reverse=True)[:2]
        assert page.total == len(self.ORDER)
        assert [statement.count("%>") for statement, _ in statements] == [0, 1]


@pytest.mark.parametrize("settings", ["", "SET search_path = ''", "SET session_replication_role = replica"])
def test_whoever_writes_a_name_has_it_found(servers: ServerUrls, settings: str) -> None:
    url = new_database(servers.database_url)
    execute(url, A_CATEGORY)
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(settings or "SELECT 1")
        rows = io.StringIO("Настольная лампа\t1\t1\nShade\t1\t1\n")
        cursor.copy_expert("COPY public.products (name, price, category_id) FROM STDIN", rows)
        cursor.execute("INSERT INTO public.products (name, price, category_id) VALUES ('Лампа', 1, 1)")
        cursor.execute("UPDATE public.products SET name = 'Светильник' WHERE name = 'Shade'")
    with searching(url) as session:
        assert found(session, "лампо") == ["Настольная лампа", "Лампа"]
        assert found(session, "светильнек") == ["Светильник"]
        assert found(session, "shade") == []


# A product, and what it has to be found by.
SCRIPTS = [
    ("Ноутбук Про", ["ноутбук", "НОУТБУК", "про", "ноутбок", "ноутбук про"]),
    ("Ёлочная игрушка", ["ёлочная", "елочная", "ЕЛОЧНАЯ", "игрушка"]),
    ("Κόκκινος Οδός", ["κόκκινος", "ΚΟΚΚΙΝΟΣ", "κοκκινοσ", "οδος", "κοκινος"]),
    ("Café Crème", ["cafe", "CAFÉ", "cafe\u0301", "crème", "creme"]),
    ("Straße Smørrebrød Łódź", ["strasse", "STRASSE", "smorrebrod", "lodz", "ŁÓDŹ"]),
    ("İstanbul ışık", ["istanbul", "İSTANBUL", "isik", "ışık"]),
    ("مَكْتَبَة خشبية", ["مكتبة", "مَكْتَبَة", "خشبية"]),
    ("שֻׁלְחָן עץ", ["שלחן", "עץ"]),
    ("हिन्दी किताब", ["हिन्दी", "किताब"]),
    ("தமிழ் புத்தகம்", ["தமிழ்", "புத்தகம்"]),
    ("스마트폰 케이스", ["스마트폰", "케이스", unicodedata.normalize("NFD", "스마트폰")]),
    ("แก้วกาแฟเย็น", ["กาแฟ", "เย็น", "แก้ว"]),
    (
        "ソニー製ノートパソコン",
        ["ノート", "ノ", "パソコン", "ﾉｰﾄ", "ﾊﾟｿｺﾝ", "製", unicodedata.normalize("NFD", "パソコン")],
    ),
    ("手机保护壳", ["手机", "机", "保护壳", "护"]),
    ("iPhone用ケース", ["iphone", "ケース", "iphone用"]),
    ("ＡＢＣ－１２３ ｘｙｚ", ["abc", "abc-123", "XYZ", "ＸＹＺ"]),
    ("𠮷野家 set", ["𠮷野", "𠮷"]),
    ("Մեծ գիրք", ["գիրք", "ՄԵԾ"]),
    ("ქართული წიგნი", ["წიგნი"]),
    ("አማርኛ መጽሐፍ", ["መጽሐፍ"]),
]


@pytest.mark.parametrize("field", ["name", "sku", "description"])
def test_words_of_every_script_are_found_in_every_field(shop: Session, field: str) -> None:
    for n, (words, _) in enumerate(SCRIPTS):
        named = {"name": (words, None, None), "sku": (f"№{n}", words, None), "description": (f"№{n}", None, words)}
        add(shop, named[field])
    for n, (words, queries) in enumerate(SCRIPTS):
        for asked in queries:
            if field != "name" and asked in {"ноутбок", "κοκινος"}:
                continue  # Typing errors are forgiven in names.
            name = words if field == "name" else f"№{n}"
            assert found(shop, asked) == [name], asked


def test_a_part_of_the_letters_of_an_unspaced_script_is_another_word(shop: Session) -> None:
    add(shop, "手机壳", "电池", "東京タワー")
    for asked in ("手电", "电机", "京東", "タワシ", "x", "k"):
        assert found(shop, asked) == [], asked


@pytest.mark.parametrize(
    "asked",
    [
        "%",
        "_",
        "-",
        "...",
        "#",
        "'",
        "\\",
        "(",
        "[z"[:1],
        "*",
        ".*",
        "\U0001f600",
        "\U0001f468\u200d\U0001f469",
        "§",
        "\u200b",
        "\u0301",
        "、",
    ],
)
@pytest.mark.parametrize("limit", [1, 20])
def test_a_search_without_a_letter_or_digit_finds_nothing(shop: Session, asked: str, limit: int) -> None:
    add(shop, "100 % cotton - a_b", "Smile \U0001f600 #1", "It's...", "、。")
    assert found(shop, asked, limit) == []


@pytest.mark.parametrize("asked", ["lamp shade", "LAMP, shade!", "_lamp_shade_", "[lamp] (shade", "%lamp%shade"])
def test_what_is_neither_letter_nor_digit_does_not_matter(shop: Session, asked: str) -> None:
    add(shop, "Lamp-shade", "Shade of a lamp")
    assert found(shop, asked)[0] == "Lamp-shade"


class TestManyProducts:
    """Where a thousand products have the words, only these are found; else the closest and some of the others."""

    @pytest.fixture(scope="class")
    @classmethod
    def lamps(cls, servers: ServerUrls) -> Iterator[Session]:
        lamps = f"""
            {A_CATEGORY};
            INSERT INTO products (name, description, price, category_id)
            SELECT CASE WHEN n % 10 = 0 THEN 'Thing' ELSE 'Lamp' END || ' no ' || n, 'A lamp of steel', 1, 1
            FROM generate_series(1, {2 * MANY}) n;
            INSERT INTO products (name, sku, price, category_id)
            VALUES ('Glass lamp', 'L-1', 1, 2), ('Lampe', 'L-2', 1, 2), ('Box', 'LAMP', 1, 2)
        """
        with session_on_rows(servers, lamps) as session:
            searching_as_the_shop(session)
            yield session

    def test_names_with_the_words_come_first_then_the_code_then_the_others(self, lamps: Session) -> None:
        names = found(lamps, "lamp", 300)
        assert names[:2] == ["Lamp no 1", "Lamp no 2"]
        assert names[1800:1802] == ["Glass lamp", "Box"]
        assert set(names[1802:]) == {f"Thing no {n}" for n in range(10, 2 * MANY + 1, 10)}
        assert len(names) == len(set(names)) == 2 * MANY + 2

    def test_what_the_other_filters_leave_decides(self, lamps: Session) -> None:
        assert found(lamps, "lamp", category_id=2) == ["Glass lamp", "Lampe", "Box"]
        assert found(lamps, "lanp", category_id=2) == ["Glass lamp", "Lampe"]

    def test_the_closest_of_very_many_that_resemble_are_found(self, lamps: Session) -> None:
        names = found(lamps, "lamp glas", 300)
        assert names[0] == "Glass lamp"
        assert MANY <= len(names) < 2 * MANY


VOCABULARY = [
    "set",
    "of",
    "lamp",
    "lamps",
    "red",
    "стол",
    "столик",
    "café",
    "12",
    "3",
    "a",
    "ノ",
    "ート",
    "電",
    "池",
    "スマ",
]
SIGNS = [" ", "-", "/", " % ", "'", "、", " \U0001f600 ", ", "]
words = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=4)
queries = st.builds(
    lambda parts, signs, start: start + "".join(part + sign for part, sign in zip(parts, signs, strict=False)),
    words,
    st.lists(st.sampled_from(SIGNS), min_size=4, max_size=4),
    st.sampled_from(["", "", "%", "...", " #"]),
) | st.sampled_from(["%", "_", "lanp", "столк", "lamq set", "ab", "\U0001f600"])


def a_catalog(dice: random.Random, size: int) -> list[dict[str, str | None]]:
    """Products whose names, codes and descriptions are of few words, so that many resemble each other."""
    return [
        {
            "name": "".join(dice.choice(VOCABULARY) + dice.choice(SIGNS) for _ in range(dice.randint(1, 4))).strip(),
            "sku": f"{dice.choice(VOCABULARY)}-{n}" if dice.random() < 0.5 else None,
            "description": " ".join(dice.choices(VOCABULARY, k=3)) if dice.random() < 0.5 else None,
        }
        for n in range(size)
    ]


@pytest.fixture(scope="module", params=[40, 2 * MANY])
def catalog(servers: ServerUrls, request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session on a shop of few products, and of many."""
    with session_on_rows(servers, A_CATEGORY) as session:
        values = (
            "INSERT INTO products (name, sku, description, price, category_id) VALUES (:name, :sku, :description, 1, 1)"
        )
        session.execute(text(values), a_catalog(random.Random(7), request.param))
        session.execute(text("ANALYZE products"))
        searching_as_the_shop(session)
        yield session


def pages(session: Session, limit: int, **query: object) -> tuple[list[int], set[tuple[int, bool]]]:
    """The keys of all pages, one behind the other by `skip`, and every size that was told."""
    keys: list[int] = []
    sizes = set()
    while True:
        page = ProductRepository.page_query(Query(limit=limit, skip=len(keys), **query), ("id_key",))(session)
        keys += [row.id_key for row in page.rows]
        sizes.add((page.total, page.estimated))
        if len(page.rows) < limit:
            return keys, sizes


def pages_by_key(session: Session, limit: int, wanted: dict[str, str]) -> list[int]:
    """The keys of all pages by `after`."""
    keys: list[int] = []
    while True:
        after = keys[-1] if keys else 0
        page = ProductRepository.page_query(Query(limit=limit, after=after, wanted=wanted), ("id_key",))(session)
        keys += [row.id_key for row in page.rows]
        if len(page.rows) < limit:
            return keys


def with_all_words(session: Session, asked: str) -> set[int]:
    """The keys of the products that have what was asked for, by a plain look at each."""
    parts = [words for words in map(in_words, asked.split()) if words.strip()]
    rows = session.execute(text("SELECT id_key, name, sku, description FROM products"))
    texts = {row.id_key: in_words(" ".join(filter(None, row[1:]))) for row in rows}
    return {key for key, words in texts.items() if parts and all(part in words for part in parts)}


def in_words(written: str) -> str:
    """The words of a text, each between two spaces."""
    return f" {' '.join(''.join(sign if sign.isalnum() else ' ' for sign in written).split())} "


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(asked=queries, cut=st.integers(1, 50))
@example(asked="set of 3", cut=7)
@example(asked="lamp", cut=20)
@example(asked="lanp", cut=20)
@example(asked="電", cut=20)
@example(asked="%", cut=1)
def test_all_pages_tell_the_same(catalog: Session, asked: str, cut: int) -> None:
    wanted = {"q": asked}
    keys, sizes = pages(catalog, 700, wanted=wanted)
    assert len(keys) == len(set(keys)), "no product is on two pages"
    assert sizes == {(len(keys), False)}
    assert pages_by_key(catalog, 700, wanted) == sorted(keys)
    assert sorted(pages(catalog, 700, wanted=wanted, sort="-name")[0]) == sorted(keys)
    first = ProductRepository.page_query(Query(limit=cut, wanted=wanted), ("id_key",))(catalog)
    beyond = ProductRepository.page_query(Query(limit=cut, skip=len(keys) + 1, wanted=wanted), ("id_key",))(catalog)
    assert ([row.id_key for row in first.rows], list(beyond.rows)) == (keys[:cut], [])
    assert first.total == beyond.total == len(keys)
    assert with_all_words(catalog, asked) <= set(keys)
    if not any(sign.isalnum() for sign in asked):
        assert keys == []
