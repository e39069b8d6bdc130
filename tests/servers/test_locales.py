"""Case makes no difference to a filter, whatever the locale of the database: to a Turk the capital of i is İ."""

import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from infrastructure.database.migrations import maintenance_connection, migrate
from models.text_key import text_key
from schemas.address import AddressQuery
from schemas.base import ListQuery
from schemas.bill import BillQuery
from schemas.category import CategoryQuery
from schemas.client import ClientQuery
from schemas.order import OrderQuery
from schemas.order_detail import OrderDetailQuery
from schemas.product import ProductQuery
from schemas.review import ReviewQuery
from services.address import AddressService
from services.base import BaseService
from services.bill import BillService
from services.category import CategoryService
from services.client import ClientService
from services.product import ProductService
from tests.faults.faulty import shop_on
from tests.race.databases import execute
from tests.race.goods import Goods, made
from tests.servers.debian_postgres import debian_postgres

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_LOCALES = {
    "c": "LOCALE 'C'",
    "turkish": "LC_COLLATE 'tr_TR.UTF-8' LC_CTYPE 'tr_TR.UTF-8'",
    "turkish_icu": "LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'",
    "german": "LC_COLLATE 'de_DE.UTF-8' LC_CTYPE 'de_DE.UTF-8'",
    "german_icu": "LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'",
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
    with debian_postgres(("tr_TR.UTF-8", "de_DE.UTF-8")) as url:
        yield url


@pytest.fixture(params=_LOCALES)
def database(server: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database with each of the locales."""
    name = f"{request.param}_{request.node.name.partition('[')[0]}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {_LOCALES[request.param]}")
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    migrate(url)
    return url


# Every filter by a text: the collection, the filter, its service and query.
_FILTERS: list[tuple[str, str, type[BaseService[Any]], type[ListQuery]]] = [
    ("/clients", "name", ClientService, ClientQuery),
    ("/clients", "lastname", ClientService, ClientQuery),
    ("/clients", "email", ClientService, ClientQuery),
    ("/clients", "q", ClientService, ClientQuery),
    ("/addresses", "city", AddressService, AddressQuery),
    ("/addresses", "postcode", AddressService, AddressQuery),
    ("/categories", "name", CategoryService, CategoryQuery),
    ("/products", "sku", ProductService, ProductQuery),
    ("/products", "q", ProductService, ProductQuery),
    ("/bills", "bill_number", BillService, BillQuery),
]


def _rows(goods: Goods, word: str, number: int) -> dict[str, dict[str, Any]]:
    """What to post to each collection, with the word in every text that can be asked for."""
    email = f"{word}{number}@example.com"
    return {
        "/clients": {"name": word, "lastname": word, "email": email},
        "/addresses": {"street": "x", "number": "1", "city": word, "postcode": word, "client_id": goods.client_id},
        "/categories": {"name": f"{word} {number}"},
        "/products": {
            "name": f"{word} {number}",
            "sku": f"{word}-{number}",
            "price": 1,
            "category_id": goods.category_id,
        },
        "/bills": {"bill_number": f"{word}-{number}", "total": 0, "payment_type": "card"},
    }


def _asked_for(goods: Goods, collection: str, name: str, word: str, number: int) -> str:
    body = _rows(goods, word, number)[collection]
    return str(body["name" if name == "q" else name])


def test_every_filter_is_tried() -> None:
    queries: list[type[ListQuery]] = [
        ClientQuery,
        AddressQuery,
        CategoryQuery,
        ProductQuery,
        BillQuery,
        OrderQuery,
        ReviewQuery,
        OrderDetailQuery,
    ]
    texts = {
        (query, name)
        for query in queries
        for name, field in query.model_fields.items()
        if name not in ListQuery.model_fields and get_type_hints(query)[name] == (str | None)
    }
    # Orders are found by what clients, products and bills have.
    assert texts - {(OrderQuery, "q")} == {(query, name) for _, name, _, query in _FILTERS}


def test_case_makes_no_difference(database: str, tmp_path: Path) -> None:
    with shop_on(database, tmp_path) as http, maintenance_connection(database) as connection:
        goods, session = Goods(http), Session(connection)
        for number, (stored, asked) in enumerate(_FOUND):
            keys = {
                path: made(http.post(path, json=body))["id_key"] for path, body in _rows(goods, stored, number).items()
            }
            for path, name, service, query in _FILTERS:
                text = _asked_for(goods, path, name, asked, number)
                by_pool = http.get(path, params={name: text}).json()
                assert keys[path] in [row["id_key"] for row in by_pool], (path, name, asked)
                by_session = service.page_query(query.model_validate({name: text}), ("id_key",))(session)
                assert len(by_session.rows) == len(by_pool), (path, name, asked)
            others = _rows(goods, asked, number)
            for path in ("/clients", "/categories", "/products", "/bills"):
                assert http.post(path, json=others[path]).status_code == 409, (path, asked)


def test_every_letter_has_the_key_that_python_gives(database: str) -> None:
    letters = [char for char in map(chr, range(0x20, sys.maxunicode)) if unicodedata.category(char)[0] == "L"]
    with maintenance_connection(database) as connection:
        keys = connection.execute(
            text("SELECT letter, text_key('I' || letter) FROM unnest(CAST(:letters AS text[])) AS letter"),
            # Letters with a case, and those that are folded into others.
            {"letters": [char for char in letters if char.lower() != char or char.upper() != char]},
        )
        assert {letter: key for letter, key in keys if key != text_key(f"I{letter}")} == {}
