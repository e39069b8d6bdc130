"""Databases without a schema, which the migrations build up and tear down."""

import itertools
from collections.abc import Iterator

import pytest
from psycopg2 import sql
from sqlalchemy import make_url

from config.settings import get_settings
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import connected, process_number

_numbers = itertools.count()


@pytest.fixture
def empty_database(servers: ServerUrls) -> str:
    """The URL of a database that holds nothing."""
    name = f"empty_{process_number()}_{next(_numbers)}"
    with connected(servers.database_url) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def named_database(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty database that the settings of this process name."""
    monkeypatch.setenv("DATABASE_URL", empty_database)
    get_settings.cache_clear()
    yield empty_database
    get_settings.cache_clear()
