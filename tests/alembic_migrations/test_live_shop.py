"""Migrations beside a shop that is read meanwhile: they wait without making others wait, and end when they are stopped."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from config.settings import PROJECT_ROOT
from infrastructure.database.migration_steps import MIGRATION_LOCK, resuming
from infrastructure.database.migrations import migrate
from tests.alembic_migrations.history import REVISIONS, fill, move, revision_of
from tests.infrastructure.processes import PATIENCE_SECONDS, free_port, wait_for
from tests.log_records import records_of
from tests.race.databases import WAITING, connected, execute, rows_of

BEFORE = "0008"
# Of a session that waits, or whose program has gone.
MIGRATING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND state <> 'idle in transaction'"
)
PROGRAMS = {
    "alembic": (sys.executable, "-m", "alembic", "upgrade", "head"),
    "launcher": (sys.executable, "main.py"),
}


@contextmanager
def backup_of(url: str) -> Iterator[None]:
    """A session that reads the products in one long transaction."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; SELECT count(*) FROM products")
        yield


@pytest.fixture
def old_database(empty_database: str) -> str:
    """The URL of a database before a migration that locks the products."""
    move(empty_database, BEFORE)
    fill(empty_database)
    return empty_database


@contextmanager
def started(program: str, url: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        PROGRAMS[program],
        cwd=PROJECT_ROOT,
        env={**os.environ, "DATABASE_URL": url, "REDIS_ENABLED": "false", "API_PORT": str(free_port())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.integration
@pytest.mark.slow
def test_a_lock_of_others_is_waited_for_while_reads_go_on(
    old_database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Alembic's own loggers switch others off where a test before has configured them.
    monkeypatch.setattr(logging.getLogger("shop.migrations"), "disabled", False)
    with caplog.at_level("WARNING", "shop.migrations"), backup_of(old_database):
        migration = threading.Thread(target=migrate, args=(old_database,), daemon=True)
        migration.start()
        for _ in range(4):
            wait_for(lambda: rows_of(old_database, WAITING), "the migration to wait for the table")
            with connected(old_database) as connection, connection.cursor() as reader:
                reader.execute("SET lock_timeout = '30s'")
                reader.execute("SELECT count(*) FROM products")
                assert reader.fetchone() == (3,)
        assert revision_of(old_database) == BEFORE
    migration.join(PATIENCE_SECONDS)
    assert revision_of(old_database) == REVISIONS[-1]
    said = [record.getMessage() for record in records_of(caplog, "shop.migrations")]
    assert sum("waits for a lock that another session holds" in line for line in said) == 1
    assert "has got its locks" in said[-1]


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stop_ends_the_waiting_in_postgresql_too(old_database: str, program: str, number: signal.Signals) -> None:
    with backup_of(old_database), started(program, old_database) as process:
        wait_for(lambda: rows_of(old_database, WAITING), "the migration to wait for the table")
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        wait_for(lambda: not rows_of(old_database, MIGRATING), "its session to end")
        assert "Traceback" not in output + errors
        if number != signal.SIGKILL:
            assert (process.returncode == 0) == (program == "launcher")
        execute(old_database, "SELECT count(*) FROM products")
    assert revision_of(old_database) == BEFORE


@pytest.mark.integration
@pytest.mark.slow
def test_two_at_a_prompt_and_a_start_migrate_one_after_the_other(old_database: str) -> None:
    with ExitStack() as stack:
        with connected(old_database) as first, first.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
            prompts = [stack.enter_context(started("alembic", old_database)) for _ in range(2)]
            thread = threading.Thread(target=migrate, args=(old_database,), daemon=True)
            thread.start()
            wait_for(lambda: len(rows_of(old_database, WAITING)) == 3, "all of them to wait for their turn")
            assert revision_of(old_database) == BEFORE
        outputs = [prompt.communicate(timeout=PATIENCE_SECONDS) for prompt in prompts]
        thread.join(PATIENCE_SECONDS)
    assert [prompt.returncode for prompt in prompts] == [0, 0], outputs
    assert all("Another process migrates this database" in output for output, _ in outputs)
    assert revision_of(old_database) == REVISIONS[-1]


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("command", [("current",), ("check",), ("history",)], ids=lambda command: command[0])
def test_who_only_looks_waits_for_no_migration(database_url: str, command: tuple[str, ...]) -> None:
    with connected(database_url) as first, first.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *command],
            cwd=PROJECT_ROOT,
            env={**os.environ, "DATABASE_URL": database_url},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    assert done.returncode == 0, done.stderr


@pytest.mark.unit
def test_an_attempt_goes_on_where_the_one_before_has_ended() -> None:
    def three_more(revisions: int, context: None) -> list[int]:
        return [revisions + 1, revisions + 2, revisions + 3]

    steps = resuming(three_more)
    assert steps.__name__ == "three_more"
    first = iter(steps(0, None))
    assert [next(first), next(first)] == [1, 2]
    assert list(steps(1, None)) == [2, 3]
    assert list(steps(3, None)) == []
