"""Migrations on the PostgreSQL of a distribution, while a backup holds every table as pg_dump does."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.alembic_migrations.history import REVISIONS, fill, move, revision_of
from tests.alembic_migrations.test_live_shop import BEFORE, MIGRATING, PROGRAMS, started
from tests.infrastructure.processes import PATIENCE_SECONDS, wait_for
from tests.race.databases import WAITING, connected, execute, rows_of
from tests.servers.debian_postgres import debian_postgres

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with debian_postgres() as url:
        yield url


@pytest.fixture
def old_database(server: str) -> Iterator[str]:
    move(server, BEFORE)
    fill(server)
    yield server
    execute(server, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@contextmanager
def backup(url: str) -> Iterator[None]:
    """What pg_dump does first: a snapshot, and a lock on each table."""
    tables = [
        name for (name,) in rows_of(url, "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
    ]
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE")
        yield


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_waits_on_when_it_is_stopped(old_database: str, program: str, number: signal.Signals) -> None:
    with backup(old_database), started(program, old_database) as process:
        wait_for(lambda: rows_of(old_database, WAITING), "the migration to wait for the backup")
        with connected(old_database) as connection, connection.cursor() as reader:
            reader.execute("SET lock_timeout = '30s'; SELECT count(*) FROM products")
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert "Traceback" not in output + errors
        wait_for(lambda: not rows_of(old_database, MIGRATING), "its session to end")
        assert rows_of(old_database, WAITING) == []
    assert revision_of(old_database) == BEFORE


def test_it_goes_on_after_the_backup(old_database: str) -> None:
    with ExitStack() as stack:
        with backup(old_database):
            process = stack.enter_context(started("alembic", old_database))
            wait_for(lambda: rows_of(old_database, WAITING), "the migration to wait for the backup")
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, output + errors
    assert revision_of(old_database) == REVISIONS[-1]
