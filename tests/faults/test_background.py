"""Background processes whose database goes away, or that are frozen for as long as a process may be."""

import os
import signal
import time
from pathlib import Path

import pytest

from infrastructure.database.migrations import migrate
from infrastructure.embedded.servers import ServerUrls
from tests.faults.faulty import OwnPostgres
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import background
from tests.race.databases import execute, new_database, rows_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FROZEN_SECONDS = 90
TAKEN_OVER_SECONDS = 60


def test_one_waits_for_a_database_that_is_away_and_goes_on(tmp_path: Path) -> None:
    with OwnPostgres(tmp_path / "own") as server, background(server.url, tmp_path, DRAIN_SECONDS="1") as work:
        server.stop()
        process = work.start()
        wait_for(lambda: "Jobs wait: the database is away" in work.log(), "the process to notice")
        server.start()
        work.defer("add_many", name="step", count=20, seconds=0.1)
        wait_for(lambda: len(work.effects()) >= 2, "the first steps")
        # In the middle of a job, whose next step finds no database.
        server.stop()
        wait_for(lambda: work.log().count("the database is away") >= 2, "the process to notice again")
        server.start()
        work.wait_until_done()
        assert work.effects() == [f"step {number}" for number in range(20)]
        assert process.poll() is None
        server.stop()
        process.terminate()
        assert process.wait(60) == 0
        server.start()


def test_one_waits_for_migrations(servers: ServerUrls, tmp_path: Path) -> None:
    url = new_database(servers.database_url)
    execute(
        url,
        "CREATE TABLE kept AS SELECT version_num FROM alembic_version; UPDATE alembic_version SET version_num = '0017'",
    )
    with background(url, tmp_path) as work:
        work.defer("add_one", name="one")
        work.start()
        wait_for(lambda: "Jobs wait: the database lacks migrations" in work.log(), "the process to notice")
        assert work.effects() == []
        execute(url, "UPDATE alembic_version SET version_num = (SELECT version_num FROM kept)")
        work.wait_until_done()
        assert work.effects() == ["one"]


def test_one_that_is_frozen_inside_a_transaction_holds_nothing_for_long(servers: ServerUrls, tmp_path: Path) -> None:
    """E4, where the frozen process has changed rows that the next one needs."""
    with background(new_database(servers.database_url), tmp_path, DEAD_AFTER="3") as work:
        execute(work.url, "INSERT INTO effects (name) VALUES ('0')")
        first = work.start()
        work.defer("count_up")
        work.wait_until_waiting(first)
        os.kill(first.pid, signal.SIGSTOP)
        work.start()
        work.go()
        # PostgreSQL ends the transaction of the frozen one after 20 seconds.
        work.wait_until_done()
        os.kill(first.pid, signal.SIGCONT)
        work.defer("add_one", name="another")
        work.wait_until_done()
        assert "1" in work.effects()
        assert "2" not in work.effects()


def test_processes_work_in_another_schema(servers: ServerUrls, tmp_path: Path) -> None:
    plain = new_database(servers.database_url)
    execute(plain, "DROP SCHEMA public CASCADE; CREATE SCHEMA store")
    url = f"{plain}{'&' if '?' in plain else '?'}options=-csearch_path%3Dstore"
    migrate(url)
    with background(url, tmp_path) as work:
        execute(url, "INSERT INTO events (type, resource, data) VALUES ('order.created', 'orders', '{}')")
        work.start()
        work.defer("add_one", name="one")
        wait_for(lambda: len(work.effects()) == 2, "both jobs")
        assert rows_of(plain, "SELECT count(*) FROM store.effects") == [(2,)]


@pytest.mark.chaos
@pytest.mark.timeout(400)
def test_a_frozen_process_is_replaced_within_a_minute_and_changes_nothing(servers: ServerUrls, tmp_path: Path) -> None:
    """E4, with the times of a real shop."""
    with background(new_database(servers.database_url), tmp_path) as work:
        frozen = work.start()
        work.defer("add_when_told", name="once")
        work.wait_until_waiting(frozen)
        other = work.start()
        os.kill(frozen.pid, signal.SIGSTOP)
        since = time.monotonic()
        wait_for((work.folder / f"waits.{other.pid}").exists, "the other process", TAKEN_OVER_SECONDS)
        work.go()
        work.wait_until_done()
        time.sleep(max(0.0, FROZEN_SECONDS - (time.monotonic() - since)))
        os.kill(frozen.pid, signal.SIGCONT)
        # It is a worker again, under another number.
        other.kill()
        work.defer("add_one", name="afterwards")
        wait_for(lambda: "afterwards" in work.effects(), "the thawed process to work", TAKEN_OVER_SECONDS)
        assert rows_of(work.url, "SELECT pid FROM effects WHERE name = 'once'") == [(other.pid,)]
