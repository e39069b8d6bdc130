"""Two releases on one database: the older one serves on when the newer one has migrated, and knows a stranger."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT, read_settings
from infrastructure.database.engine import Database
from infrastructure.database.migrations import UnknownSchema, maintenance_connection, migrate, schema_of
from tests.alembic_migrations.history import REVISIONS, move, revision_of
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

HEAD = REVISIONS[-1]
_PARTS = ("alembic", "alembic.ini", "config", "infrastructure", "models", "security")
_MIGRATION = """\"\"\"{revision} of a newer release.\"\"\"
from alembic import op
revision, down_revision, branch_labels, depends_on = "{revision}", "{before}", None, None
revision = "{revision}"
down_revision = "{before}"
def upgrade(): op.execute("CREATE TABLE made_by_{revision} (n int)")
def downgrade(): op.execute("DROP TABLE made_by_{revision}")
"""


class Release:
    """A newer release in a folder of its own, with migrations behind the newest one of this code."""

    def __init__(self, folder: Path, *revisions: str) -> None:
        self.folder = folder
        for part in _PARTS:
            source = PROJECT_ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
        for before, revision in zip((HEAD, *revisions), revisions, strict=False):
            text = _MIGRATION.format(revision=revision, before=before)
            (folder / "alembic" / "versions" / f"{revision}_newer.py").write_text(text)

    def alembic(self, database_url: str, *arguments: str) -> str:
        """What `alembic` prints."""
        finished = run_alembic(self.folder, database_url, *arguments)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout


def run_alembic(folder: Path, database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def newer(tmp_path: Path) -> Release:
    """A release that is two migrations ahead."""
    return Release(tmp_path, "8888", "9999")


def serves(database_url: str) -> bool:
    with maintenance_connection(database_url) as connection:
        return schema_of(connection).has_every_migration


def test_the_older_release_serves_on_and_starts(empty_database: str, newer: Release) -> None:
    migrate(empty_database)
    newer.alembic(empty_database, "upgrade", "head")
    assert revision_of(empty_database) == "9999"
    assert serves(empty_database)
    migrate(empty_database)
    assert revision_of(empty_database) == "9999"
    finished = run_alembic(PROJECT_ROOT, empty_database, "upgrade", "head")
    assert finished.returncode == 0
    assert f"A newer release has built on revision {HEAD}" in finished.stdout

    newer.alembic(empty_database, "downgrade", HEAD)
    assert serves(empty_database)
    move(empty_database, REVISIONS[-2])
    assert not serves(empty_database)
    migrate(empty_database)
    assert serves(empty_database)


def test_a_database_that_the_newer_release_made_from_nothing(empty_database: str, newer: Release) -> None:
    newer.alembic(empty_database, "upgrade", "head")
    assert serves(empty_database)
    database = Database(empty_database, read_settings({}))
    try:
        with database.engine.connect() as connection:
            assert schema_of(connection).is_newer
    finally:
        database.close()


def test_the_sql_of_the_newer_release_tells_as_well(empty_database: str, newer: Release) -> None:
    execute(empty_database, newer.alembic(empty_database, "upgrade", "head", "--sql"))
    assert revision_of(empty_database) == "9999"
    assert serves(empty_database)


def test_a_revision_that_does_not_follow_is_refused_in_one_line(empty_database: str) -> None:
    migrate(empty_database)
    execute(empty_database, "UPDATE alembic_version SET version_num = 'abcdef'")
    assert not serves(empty_database)
    with pytest.raises(UnknownSchema) as error:
        migrate(empty_database)
    line = str(error.value)
    assert "abcdef" in line
    assert HEAD in line
    assert "\n" not in line
    finished = run_alembic(PROJECT_ROOT, empty_database, "upgrade", "head")
    assert finished.returncode != 0
    assert line in finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr


def test_what_was_written_down_at_another_revision_is_not_believed(empty_database: str, newer: Release) -> None:
    newer.alembic(empty_database, "upgrade", "head")
    # As code that writes nothing down would leave it.
    execute(empty_database, f"UPDATE alembic_version SET version_num = '{REVISIONS[-2]}'")
    assert not serves(empty_database)


def test_looking_writes_nothing_down(empty_database: str) -> None:
    migrate(empty_database)
    execute(empty_database, "COMMENT ON TABLE alembic_version IS NULL")
    for command in ("current", "check", "history"):
        assert run_alembic(PROJECT_ROOT, empty_database, command).returncode == 0
    assert rows_of(empty_database, "SELECT obj_description('alembic_version'::regclass, 'pg_class')") == [(None,)]
    assert serves(empty_database)


def test_alembic_says_what_it_does(empty_database: str) -> None:
    def lines(*arguments: str) -> list[str]:
        finished = run_alembic(PROJECT_ROOT, empty_database, *arguments)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.splitlines()

    first, *steps, last = lines("upgrade", "head")
    name = empty_database.rpartition("/")[2].partition("?")[0]
    assert first.startswith(f"Database: {name} on /")
    assert first.endswith(", at revision base")
    assert [step.partition(":")[0] for step in steps] == [f"Up to {revision}" for revision in REVISIONS[1:]]
    assert last == f"Now at {HEAD}"
    assert lines("upgrade", "head")[1:] == [f"Already at {HEAD}: nothing to do"]
    assert lines("downgrade", "-1")[-1] == f"Now at {REVISIONS[-2]}"
    assert lines("current") == [REVISIONS[-2]]


@pytest.mark.parametrize("command", ["upgrade", "current"])
def test_what_keeps_alembic_from_the_database_is_one_line(empty_database: str, command: str) -> None:
    for url in (empty_database.replace("/empty_", "/nowhere_"), "postgresql://nobody@127.0.0.1:1/nowhere", "no URL"):
        finished = run_alembic(PROJECT_ROOT, url, command, *(["head"] if command == "upgrade" else []))
        assert finished.returncode != 0
        assert "Traceback" not in finished.stderr
        assert "FAILED" in finished.stdout + finished.stderr


def test_a_new_table_gets_the_trigger_that_moves_versions(empty_database: str, newer: Release) -> None:
    newer.alembic(empty_database, "upgrade", "head")
    (newer.folder / "models" / "supplier.py").write_text(
        "from models.base import Row\nclass Supplier(Row):\n    __tablename__ = 'suppliers'\n"
    )
    with (newer.folder / "models" / "__init__.py").open("a") as models:
        models.write("\nimport models.supplier\n")
    newer.alembic(empty_database, "revision", "--autogenerate", "-m", "suppliers")
    newer.alembic(empty_database, "upgrade", "head")
    triggers = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'suppliers'::regclass"
    assert rows_of(empty_database, triggers) == [("move_version",)]
