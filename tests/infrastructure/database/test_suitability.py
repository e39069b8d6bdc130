"""Databases that the shop cannot work with are refused before their tables are touched."""

import itertools
import subprocess
import sys

import pytest
from sqlalchemy import make_url

from config.settings import PROJECT_ROOT
from infrastructure.database.migrations import migrate
from infrastructure.database.suitability import UnsuitableDatabase, require_own_backend
from infrastructure.embedded.servers import ServerUrls
from infrastructure.server.production_checks import wait_for_database
from tests.race.databases import execute, process_number, rows_of

pytestmark = pytest.mark.integration

_numbers = itertools.count()


def database_with(servers: ServerUrls, encoding: str) -> str:
    """The URL of an empty database of this encoding."""
    name = f"encoded_{process_number()}_{next(_numbers)}"
    locale = "LOCALE 'C' LOCALE_PROVIDER libc"
    execute(servers.database_url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' {locale}")
    return make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "LATIN9", "WIN1252", "EUC_JP"])
def test_an_encoding_that_lacks_letters_is_refused_in_one_line(servers: ServerUrls, encoding: str) -> None:
    url = database_with(servers, encoding)
    with pytest.raises(UnsuitableDatabase) as refusal:
        migrate(url)
    assert f"has the encoding {encoding}" in str(refusal.value)
    assert "ENCODING 'UTF8'" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert rows_of(url, "SELECT to_regclass('alembic_version')") == [(None,)]


def test_alembic_and_scripts_refuse_it_too(servers: ServerUrls) -> None:
    url = database_with(servers, "SQL_ASCII")
    for command in (["alembic", "upgrade", "head"], ["scripts.verify"]):
        ended = subprocess.run(
            [sys.executable, "-m", *command],
            env={"DATABASE_URL": url, "PATH": ""},
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode != 0
        assert "has the encoding SQL_ASCII" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


def empty_database(servers: ServerUrls, **settings: str) -> str:
    """The URL of an empty database with settings of its own."""
    url = database_with(servers, "UTF8")
    for name, value in settings.items():
        execute(servers.database_url, f"ALTER DATABASE {make_url(url).database} SET {name} = '{value}'")
    return url


def refusal_of_alembic(url: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        env={"DATABASE_URL": url, "PATH": ""},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


def test_a_search_path_that_leads_nowhere_is_refused_in_one_line(servers: ServerUrls) -> None:
    url = empty_database(servers, search_path="nowhere")
    with pytest.raises(
        UnsuitableDatabase, match=r"no schema that its search_path \(nowhere\) names.*CREATE SCHEMA"
    ) as error:
        migrate(url)
    assert "\n" not in str(error.value)
    assert str(error.value) in refusal_of_alembic(url)


def test_a_read_only_database_that_lacks_migrations_is_refused_in_one_line(servers: ServerUrls) -> None:
    url = empty_database(servers, default_transaction_read_only="on")
    with pytest.raises(UnsuitableDatabase, match="lacks migrations and is read-only") as error:
        migrate(url)
    assert "\n" not in str(error.value)
    assert str(error.value) in refusal_of_alembic(url)


def test_no_timeout_of_the_database_disturbs_the_looks_at_the_start(servers: ServerUrls) -> None:
    url = empty_database(servers, statement_timeout="100ms", lock_timeout="100ms")
    wait_for_database(url, 30, lambda: False)
    require_own_backend(url)
    migrate(url)
