"""Scripts work where the operator's `search_path` leads, whether the URL, PGOPTIONS or the database says it, in any encoding."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from config.settings import PROJECT_ROOT
from infrastructure.embedded.servers import ServerUrls
from tests.infrastructure.processes import PATIENCE_SECONDS
from tests.race.databases import connected, execute, process_number, rows_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

OPTIONS = "-csearch_path=store"
_numbers = itertools.count()


@pytest.fixture
def url(servers: ServerUrls) -> str:
    """A database with an empty schema beside `public`."""
    name = f"schemas_{process_number()}_{next(_numbers)}"
    with connected(servers.database_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    plain = make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)
    execute(plain, "CREATE SCHEMA store")
    return plain


def by_url(url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": make_url(url).update_query_dict({"options": OPTIONS}).render_as_string(hide_password=False),
        "PGCLIENTENCODING": "LATIN1",
    }


def by_environment(url: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "PGOPTIONS": OPTIONS, "PGTZ": "Asia/Kolkata", "PGDATESTYLE": "German"}


def by_database(url: str) -> dict[str, str]:
    name = make_url(url).database
    for setting in ("search_path = store", "client_encoding = 'LATIN1'", "timezone = 'Asia/Kolkata'"):
        execute(url, f"ALTER DATABASE {name} SET {setting}")
    return {"DATABASE_URL": url}


@pytest.mark.parametrize(
    "said",
    [by_url, pytest.param(by_environment, marks=pytest.mark.chaos), pytest.param(by_database, marks=pytest.mark.chaos)],
)
def test_every_script_works_in_a_schema_of_its_own(said: object, url: str, tmp_path: Path) -> None:
    assert callable(said)
    environment = {**os.environ, "REDIS_ENABLED": "false", **said(url)}
    file = tmp_path / "products.csv"
    file.write_text("name,price,stock,category\nŽlutý kůň 茶,1.50,3,Čaj\n", encoding="utf-8")
    again = tmp_path / "again.csv"

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=PROJECT_ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    run("alembic", "upgrade", "head")
    (tmp_path / "categories.csv").write_text("name\nČaj\n", encoding="utf-8")
    run("scripts.import_csv", "categories", str(tmp_path / "categories.csv"))
    run("scripts.import_csv", "products", str(file))
    run("scripts.export_csv", "products", str(again))
    assert "Žlutý kůň 茶" in again.read_text(encoding="utf-8")
    assert "BROKEN" not in run("scripts.verify", "--repair", "--yes")
    assert rows_of(url, "SELECT count(*) FROM store.products") == [(1,)]
    assert rows_of(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    run("alembic", "downgrade", "base")
    assert rows_of(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'store'") == [("alembic_version",)]
