"""Case makes no difference to a filter, whatever the locale of the database: to a Turk the capital of i is İ."""

import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from infrastructure.database.migrations import maintenance_connection, migrate
from models.text_key import text_key
from tests.faults.faulty import shop_on
from tests.race.databases import execute
from tests.race.goods import Goods, made
from tests.servers.debian_postgres import debian_postgres

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_LOCALES = {
    "c": "LOCALE 'C'",
    "turkish": "LC_COLLATE 'tr_TR.UTF-8' LC_CTYPE 'tr_TR.UTF-8'",
    "turkish_icu": "LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'",
}
_FOUND = [
    ("INGE", "inge"),
    ("inge", "INGE"),
    ("ÉMILE", "émile"),
    ("émile", "ÉMILE"),
    ("ISPARTA", "isparta"),
    ("Straße", "STRASSE"),
    ("Жуков", "ЖУКОВ"),
    ("ΣΙΣΥΦΟΣ", "σισυφος"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with debian_postgres(("tr_TR.UTF-8",)) as url:
        yield url


@pytest.fixture(params=_LOCALES)
def database(server: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database with each of the locales."""
    name = f"{request.param}_{request.node.name.partition('[')[0]}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {_LOCALES[request.param]}")
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    migrate(url)
    return url


def test_case_makes_no_difference(database: str, tmp_path: Path) -> None:
    with shop_on(database, tmp_path) as http:
        goods = Goods(http)
        for number, (stored, asked) in enumerate(_FOUND):
            body = {"name": stored, "lastname": stored, "email": f"{number}@example.com"}
            key = made(http.post("/clients", json=body))["id_key"]
            for field in ("name", "lastname"):
                rows = http.get("/clients", params={field: asked}).json()
                assert key in [row["id_key"] for row in rows], (field, asked)
            product = goods.product(name=f"{stored} {number}", sku=f"{stored}-{number}")
            found = http.get("/products", params={"q": f"{asked} {number}"}).json()
            assert found[0]["id_key"] == product, asked
            again = {"name": "x", "price": 1, "category_id": goods.category_id, "sku": f"{asked}-{number}"}
            assert http.post("/products", json=again).status_code == 409, asked


def test_every_letter_has_the_key_that_python_gives(database: str) -> None:
    letters = [char for char in map(chr, range(0x20, sys.maxunicode)) if unicodedata.category(char)[0] == "L"]
    with maintenance_connection(database) as connection:
        keys = connection.execute(
            text("SELECT letter, text_key('I' || letter) FROM unnest(CAST(:letters AS text[])) AS letter"),
            # Letters with a case, and those that are folded into others.
            {"letters": [char for char in letters if char.lower() != char or char.upper() != char]},
        )
        assert {letter: key for letter, key in keys if key != text_key(f"I{letter}")} == {}
