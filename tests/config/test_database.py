"""The database by hand: tables that come and go, the address, and a server that does not answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from config import database as database_module
from config.settings import get_settings
from infrastructure.embedded.servers import ServerUrls
from tests.faults.faulty import shop_on
from tests.race.databases import execute, new_database, process_number, rows_of
from tests.race.goods import Goods

pytestmark = pytest.mark.integration


@pytest.fixture
def own_url(servers: ServerUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database that the settings of this process name."""
    url = new_database(servers.database_url)
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql+psycopg2", "postgres"))
    get_settings.cache_clear()
    yield url
    get_settings.cache_clear()


def test_tables_come_and_go_by_hand(own_url: str) -> None:
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    (complete,) = rows_of(own_url, tables)
    database_module.drop_database()
    assert rows_of(own_url, tables) == [(0,)]
    database_module.create_tables()
    database_module.create_tables()
    assert rows_of(own_url, tables) == [complete]
    assert database_module.check_connection() is True


def test_the_address_of_the_database(own_url: str) -> None:
    assert own_url == database_module.DATABASE_URI
    with pytest.raises(AttributeError, match="DATABASE_URL"):
        _ = database_module.DATABASE_URL


def test_a_database_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://shop:secret@127.0.0.1:1/shop")
    get_settings.cache_clear()
    try:
        assert database_module.check_connection() is False
    finally:
        get_settings.cache_clear()
    assert "The database does not answer" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("way", ["url", "environment"])
def test_a_schema_of_its_own(servers: ServerUrls, monkeypatch: pytest.MonkeyPatch, way: str, tmp_path: Path) -> None:
    name = f"stored_{way}_{process_number()}"
    execute(servers.database_url, f"CREATE DATABASE {name}")
    url = make_url(servers.database_url).set(database=name)
    plain = url.render_as_string(hide_password=False)
    execute(plain, "CREATE SCHEMA store; CREATE TABLE public.foreign_to_the_shop ()")
    options = {"options": "-csearch_path=store", "application_name": "the operator's"} if way == "url" else {}
    own = url.update_query_dict(options).render_as_string(hide_password=False)
    tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
    with monkeypatch.context() as patch:
        if way == "environment":
            patch.setenv("PGOPTIONS", "-csearch_path=store")
        patch.setenv("DATABASE_URL", own)
        get_settings.cache_clear()
        database_module.create_tables()
        with shop_on(own, tmp_path) as http:
            goods = Goods(http)
            assert http.post("/checkout", json=goods.cart((goods.product(stock=5), 1))).status_code == 201
            assert http.get("/health/ready").status_code == 200
        assert rows_of(plain, tables) == [("foreign_to_the_shop",)]
        database_module.drop_database()
    get_settings.cache_clear()
    assert rows_of(plain, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'store'") == []
    assert rows_of(plain, tables) == [("foreign_to_the_shop",)]
