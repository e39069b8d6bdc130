"""Databases that the shop cannot work with are refused before their tables are touched."""

import itertools
import subprocess
import sys

import pytest
from sqlalchemy import make_url

from config.settings import PROJECT_ROOT
from infrastructure.database.migrations import migrate
from infrastructure.database.suitability import UnsuitableDatabase
from infrastructure.embedded.servers import ServerUrls
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
