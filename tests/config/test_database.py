"""The database by hand: tables that come and go, the address, and a server that does not answer."""

from collections.abc import Iterator

import pytest

from config import database as database_module
from config.settings import get_settings
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import new_database, rows_of

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
