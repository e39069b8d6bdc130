"""The functions of `config.database` for people and scripts, and that importing it does nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import database
from config.settings import PROJECT_ROOT, get_settings
from tests.alembic_migrations.history import REVISIONS, TABLES, revision_of, tables_of
from tests.infrastructure.processes import free_port

pytestmark = pytest.mark.integration

# Fails on whatever would be more than an import: a connection, a process, a look into `.env`.
IMPORT_ONLY = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "subprocess.Popen", "os.mkdir") or (event == "open" and str(arguments[0]).endswith(".env")):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(refuse)
import config.database, config.redis_config
from config.settings import get_settings
assert get_settings.cache_info().currsize == 0, "the settings were read"
"""


def test_tables_are_made_and_removed(named_database: str) -> None:
    database.create_tables()
    assert revision_of(named_database) == REVISIONS[-1]
    assert tables_of(named_database) == TABLES[REVISIONS[-1]]
    database.drop_database()
    assert tables_of(named_database) == set()
    assert revision_of(named_database) == "base"
    database.create_tables()
    assert tables_of(named_database) == TABLES[REVISIONS[-1]]


def test_the_connection_is_checked(named_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.check_connection() is True
    monkeypatch.setenv("DATABASE_URL", f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
    get_settings.cache_clear()
    assert database.check_connection() is False


def test_the_uri_names_the_driver(named_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_database == database.DATABASE_URI
    monkeypatch.setenv("DATABASE_URL", "postgres://shop:secret@db.example/shop")
    get_settings.cache_clear()
    assert database.DATABASE_URI == "postgresql+psycopg2://shop:secret@db.example/shop"


def test_importing_opens_nothing_and_reads_no_settings(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", IMPORT_ONLY],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "DATABASE_URL": "no URL at all", "DB_POOL_SIZE": "many"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
