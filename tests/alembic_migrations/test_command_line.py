"""`alembic` as people type it, on the database that the settings name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from tests.alembic_migrations.history import REVISIONS, TABLES, tables_of

pytestmark = pytest.mark.integration

ALEMBIC = (sys.executable, "-m", "alembic", "-c", str(PROJECT_ROOT / "alembic.ini"))


def alembic(folder: Path, database_url: str, *arguments: str) -> str:
    """What the command prints; `folder` is where it is typed."""
    finished = subprocess.run(
        [*ALEMBIC, *arguments],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_upgrade_current_check_and_downgrade(empty_database: str, tmp_path: Path) -> None:
    alembic(PROJECT_ROOT, empty_database, "upgrade", "head")
    assert f"{REVISIONS[-1]} (head)" in alembic(tmp_path, empty_database, "current")
    assert "No new upgrade operations detected" in alembic(tmp_path, empty_database, "check")
    alembic(tmp_path, empty_database, "downgrade", "-1")
    assert alembic(tmp_path, empty_database, "current").strip() == REVISIONS[-2]
    assert tables_of(empty_database) == TABLES[REVISIONS[-2]]


def test_the_sql_can_be_printed_instead(empty_database: str, tmp_path: Path) -> None:
    statements = alembic(tmp_path, empty_database, "upgrade", "head", "--sql")
    assert "CREATE TABLE stock_movements" in statements
    assert tables_of(empty_database) == set()
