"""The unit of work on a real PostgreSQL: what is kept, what is tried again, and what no request waits for."""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from config.settings import read_settings
from infrastructure.database import statement_limits as guards
from infrastructure.database.engine import Database
from infrastructure.database.pool_usage import PoolUsage
from infrastructure.database.sqlstate import DatabaseUnavailable, NoAnswer, sqlstate
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import end_connections, execute, new_database, rows_of

pytestmark = pytest.mark.integration

T = TypeVar("T")

SLEEP = "SELECT pg_sleep(20)"
SLEEPERS = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"

# What waits for others must not be given up on a busy machine.
PATIENT = {"DB_POOL_TIMEOUT": "60", "DB_STATEMENT_TIMEOUT": "60"}

who: ContextVar[str] = ContextVar("who")


@pytest.fixture(scope="module")
def url(servers: ServerUrls) -> str:
    """A database with one table of notes."""
    url = new_database(servers.database_url)
    execute(url, "CREATE TABLE notes (note text)")
    return url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = opened_database(url)
    yield opened
    opened.close()
    # A statement that was given up goes on in PostgreSQL, and has its locks.
    end_connections(url, "application_name = 'shop'")
    execute(url, "TRUNCATE notes")


@pytest.fixture
def impatient(url: str) -> Iterator[Database]:
    """A database whose connections nobody waits for longer than a second."""
    opened = opened_database(url, DB_POOL_TIMEOUT="1")
    yield opened
    opened.close()


def run(database: Database, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the work in an event loop, with the connections that belong to the loop."""

    async def with_pools() -> T:
        try:
            return await work()
        finally:
            # Whoever waits for long has the database asked, by a connection of its own.
            database.close_pools()

    return asyncio.run(with_pools())


def opened_database(url: str, **settings: str) -> Database:
    return Database(url, read_settings({"DB_POOL_SIZE": "2", **PATIENT, **settings}))


def write_note(session: Session, note: str = "kept") -> str:
    session.execute(text("INSERT INTO notes VALUES (:note)"), {"note": note})
    return note


def notes(url: str) -> list[str]:
    return [note for (note,) in rows_of(url, "SELECT note FROM notes ORDER BY note")]


def raise_in_database(session: Session, code: str) -> None:
    session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'no'; END $$"))


def break_connection(session: Session) -> None:
    """End the session's own connection, as an administrator or a restart would."""
    session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


class Failing:
    """A work that does `harm` the first so many times, and writes a note every time."""

    def __init__(self, times: int, harm: Callable[[Session], None]) -> None:
        self.times, self.harm, self.attempts = times, harm, 0

    def __call__(self, session: Session) -> str:
        self.attempts += 1
        note = write_note(session, f"attempt {self.attempts}")
        if self.attempts <= self.times:
            self.harm(session)
        return note


# -- transactions ----------------------------------------------------------------------------------


def test_every_connection_is_guarded(url: str) -> None:
    settings = {"DB_STATEMENT_TIMEOUT": "4.5", "DB_LOCK_TIMEOUT": "2500ms"}
    database = opened_database(url, **settings)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone", "application_name")

    def shown(session: Session) -> list[str]:
        return [session.execute(text(f"SHOW {name}")).scalar_one() for name in names]

    expected = ["4500ms", "2500ms", "1min", "UTC", "shop"]
    assert [database.transact(shown), database.read(shown)] == [expected, expected]
    database.close()


def test_what_only_locks_takes_no_longer_than_a_lock_may(url: str) -> None:
    database = opened_database(url, DB_STATEMENT_TIMEOUT="4.5", DB_LOCK_TIMEOUT="2500ms")
    show = text("SHOW statement_timeout")
    lock = show.execution_options(**guards.ONLY_LOCKS)

    def shown(session: Session) -> list[str]:
        return [session.execute(statement).scalar_one() for statement in (lock, show, lock, lock)]

    # The last one was bounded when the transaction ended; the next transaction begins as usual.
    assert [database.transact(shown), database.transact(shown)] == [["2500ms", "4500ms", "2500ms", "2500ms"]] * 2
    assert database.read(lambda session: session.execute(show).scalar_one()) == "4500ms"
    database.close()


def test_a_savepoint_takes_back_a_failure_also_of_a_request_that_has_waited(database: Database) -> None:
    def work(session: Session) -> list[str]:
        with pytest.raises(DBAPIError), session.begin_nested():
            session.execute(text("SELECT 1 / 0"))
        locked = [session.execute(text("SHOW lock_timeout"), execution_options=guards.ONLY_LOCKS).scalar_one()]
        with pytest.raises(DBAPIError), session.begin_nested():
            session.execute(text("SELECT 1 / 0"))
        return [*locked, session.execute(text("SHOW lock_timeout")).scalar_one()]

    async def waited() -> list[str]:
        return await database.run(lambda: database.transact(work), since=time.monotonic() - 1)

    usual = database.settings.db_lock_timeout * 1000
    for shown in run(database, waited):
        assert int(shown.removesuffix("ms")) < usual


def test_nothing_is_opened_before_the_first_use() -> None:
    opened_database("postgresql+psycopg2://nobody@127.0.0.1:1/nowhere").close()


def test_what_was_done_is_committed_before_it_returns(database: Database, url: str) -> None:
    assert database.transact(write_note) == "kept"
    assert notes(url) == ["kept"]


def test_whatever_is_raised_takes_everything_back(database: Database, url: str) -> None:
    def refused(session: Session) -> None:
        write_note(session)
        raise ValueError("a rule")

    with pytest.raises(ValueError, match="a rule"):
        database.transact(refused)
    assert notes(url) == []
    assert database.usage()["threads"].in_use == 0


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_three_repetitions_and_no_more(database: Database, url: str, code: str) -> None:
    helped = Failing(3, lambda session: raise_in_database(session, code))
    assert database.transact(helped) == "attempt 4"
    assert notes(url) == ["attempt 4"]
    hopeless = Failing(99, lambda session: raise_in_database(session, code))
    with pytest.raises(DatabaseUnavailable):
        database.transact(hopeless)
    assert hopeless.attempts == 4
    assert notes(url) == ["attempt 4"]


@pytest.mark.parametrize("code", ["55P03", "57014", "53100", "53300", "57P01", "58030", "25006", "XX000"])
def test_busy_and_broken_servers_are_unavailable_at_once(database: Database, code: str) -> None:
    work = Failing(99, lambda session: raise_in_database(session, code))
    with pytest.raises(DatabaseUnavailable):
        database.transact(work)
    assert work.attempts == 1


@pytest.mark.parametrize("code", ["22003", "23505", "42P01"])
def test_other_errors_are_for_the_layers_above(database: Database, code: str) -> None:
    with pytest.raises(DBAPIError) as raised:
        database.transact(lambda session: raise_in_database(session, code))
    assert sqlstate(raised.value) == code


def test_a_connection_that_breaks_before_commit_is_replaced(database: Database, url: str) -> None:
    assert database.transact(Failing(1, break_connection)) == "attempt 2"
    assert notes(url) == ["attempt 2"]


def test_reading_is_repeated_on_a_new_connection(database: Database) -> None:
    assert database.read(Failing(3, break_connection)) == "attempt 4"
    with pytest.raises(DatabaseUnavailable):
        database.read(Failing(99, break_connection))


def test_readers_see_what_was_committed_between_their_statements(database: Database, url: str) -> None:
    def read(session: Session) -> int:
        write_note(session)
        execute(url, "INSERT INTO notes VALUES ('another')")
        return int(session.execute(text("SELECT count(*) FROM notes")).scalar_one())

    assert database.read(read) == 2


def test_a_slow_statement_is_published_without_its_values(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guards, "SLOW_STATEMENT_SECONDS", 0.05)
    with caplog.at_level(logging.WARNING, logger="shop.database"):
        database.read(lambda session: session.execute(text("SELECT pg_sleep(0.1), :secret"), {"secret": "hunter2"}))
    # On a busy machine those before and after it may be slow, too.
    said = [record.getMessage() for record in caplog.records if record.name == "shop.database"]
    (message,) = [message for message in said if "pg_sleep" in message]
    assert re.match(r"Slow statement \([1-9]\d\d+ ms\): SELECT pg_sleep\(0\.1\), %\(secret\)s", message), message
    assert "hunter2" not in caplog.text


# -- threads ---------------------------------------------------------------------------------------


def test_work_runs_in_a_thread_that_knows_the_request(database: Database) -> None:
    async def ask() -> tuple[str, bool]:
        who.set("request 7")
        return await database.run(lambda: (who.get(), threading.current_thread() is threading.main_thread()))

    assert run(database, ask) == ("request 7", False)


def test_nobody_waits_longer_for_a_thread_than_the_pool_timeout(impatient: Database) -> None:
    free = threading.Event()

    async def ask() -> None:
        busy = [asyncio.create_task(impatient.run(lambda: free.wait(60))) for _ in range(2)]
        await asyncio.sleep(0.05)
        start = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await impatient.run(str)
        # The time of the event loop is that at which its turn began.
        assert time.monotonic() - start >= 0.5
        assert not any(task.done() for task in busy)
        free.set()
        await asyncio.gather(*busy)
        assert await impatient.run(lambda: "served") == "served"

    run(impatient, ask)


def test_a_thread_is_not_given_back_before_its_work_ends(impatient: Database) -> None:
    """Whoever waited may have gone long ago; its work still has the connection."""
    free = threading.Event()

    def work() -> None:
        free.wait(60)
        raise ValueError("nobody will see this, and nobody must complain about it")

    async def ask() -> None:
        gone = [asyncio.create_task(impatient.run(work)) for _ in range(2)]
        await asyncio.sleep(0.05)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        with pytest.raises(DatabaseUnavailable):
            await impatient.run(str)
        free.set()
        assert await impatient.run(lambda: "served") == "served"

    run(impatient, ask)


def test_work_that_is_given_up_frees_its_thread(database: Database) -> None:
    async def ask() -> None:
        sleeping = [
            asyncio.create_task(database.run(lambda: database.read(lambda session: session.execute(text(SLEEP)))))
            for _ in range(2)
        ]
        while database.threads.oldest() is None or not rows_of(database.url, SLEEPERS):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        database.threads.give_up()
        assert [type(answer) for answer in await asyncio.gather(*sleeping, return_exceptions=True)] == [NoAnswer] * 2
        while database.usage()["threads"].in_use:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    run(database, ask)


def test_a_statement_whose_connection_is_cut_is_tried_again(database: Database, url: str) -> None:
    attempts: list[str] = []

    def work(session: Session) -> str:
        attempts.append(write_note(session))
        if len(attempts) == 1:
            session.execute(text(SLEEP))
        return "done"

    async def ask() -> None:
        writing = asyncio.create_task(database.run(lambda: database.transact(work)))
        assert not database.threads.cut(time.monotonic() - 20)
        while not (attempts and database.threads.cut(time.monotonic())):  # noqa: ASYNC110  (what changes is in a thread)
            await asyncio.sleep(0.01)
        assert await writing == "done"

    run(database, ask)
    assert notes(url) == ["kept"]


def test_a_database_that_takes_no_writes_is_noticed(url: str) -> None:
    read_only = make_url(url).update_query_dict({"options": "-cdefault_transaction_read_only=on"})

    async def found(url: str) -> bool:
        database = opened_database(url)
        try:
            return (await database.state())[1]
        finally:
            database.close_pools()
            database.close()

    assert asyncio.run(found(read_only.render_as_string(hide_password=False)))
    assert not asyncio.run(found(url))


def test_the_use_of_the_pool(database: Database) -> None:
    assert database.usage() == {name: PoolUsage(2, 0, 0, 0) for name in ("threads", "lanes", "read_lanes")}

    def look(session: Session) -> PoolUsage:
        session.execute(text("SELECT 1"))
        return database.usage()["threads"]

    assert database.transact(look) == PoolUsage(2, 1, 0, 1)
    assert database.transact(look).percent == 50
    assert database.usage()["threads"] == PoolUsage(2, 0, 0, 0)


def test_threads_that_are_blocked_and_who_waits_for_one_are_counted(database: Database) -> None:
    free = threading.Event()

    async def ask() -> None:
        asked = [asyncio.create_task(database.run(lambda: free.wait(60))) for _ in range(3)]
        while database.usage()["threads"] != PoolUsage(2, 2, 1, 2):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        free.set()
        await asyncio.gather(*asked)
        assert database.usage()["threads"] == PoolUsage(2, 0, 0, 0)

    run(database, ask)


def test_health_does_not_need_the_pool(database: Database) -> None:
    free = threading.Event()

    async def ask() -> None:
        busy = [asyncio.create_task(database.run(lambda: free.wait(60))) for _ in range(2)]
        assert await database.ping() > 0
        schema, is_read_only = await database.state()
        assert schema is not None
        assert (schema.has_every_migration, is_read_only) == (True, False)
        free.set()
        await asyncio.gather(*busy)

    run(database, ask)


# -- for people and scripts ------------------------------------------------------------------------
