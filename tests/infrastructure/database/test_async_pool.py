"""Statements that the event loop sends itself: answered, refused, tried again, given up, and never left half-known."""

import asyncio
import logging
import os
import re
import resource
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.adapt import Loader
from psycopg.pq import ConnStatus
from sqlalchemy.exc import ArgumentError

from config.settings import read_settings
from infrastructure.database import async_connection, pooled_connection
from infrastructure.database import async_pool as lanes_module
from infrastructure.database import statement_limits as guards
from infrastructure.database.async_connection import MOST_PREPARED
from infrastructure.database.async_pool import READ_CONNECTIONS, WRITE_CONNECTIONS, AsyncPool
from infrastructure.database.pool_usage import PoolUsage
from infrastructure.database.prepared import Prepared, Row
from infrastructure.database.sqlstate import DatabaseUnavailable, NoAnswer
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import connected, end_connections, execute, new_database, rows_of
from tests.waiting import until

pytestmark = pytest.mark.integration

ADD = Prepared("add", "INSERT INTO notes SELECT $1::text WHERE $1 <> '' RETURNING note", ("note",))
ASK = Prepared("ask", "SELECT $1::text", ("text",))
# Notes that it began in a sequence, which remembers through rollbacks, and then raises the error or waits.
FAIL = Prepared("fail", "SELECT fail($1, $2)", ("code", "times"))
WAIT = Prepared("wait", "SELECT wait($1)", ("seconds",))
HELD = Prepared("held", "SELECT until_open()")
COUNT = Prepared("count", "SELECT * FROM generate_series(1, $1::integer)", ("last",))
# Sleeps as long as there are no notes.
SLEEP = Prepared("sleep", "SELECT 'slept' FROM pg_sleep(CASE WHEN EXISTS (SELECT FROM notes) THEN 0 ELSE 30 END)")
PID = Prepared("pid", "SELECT pg_backend_pid()")
LOCK = Prepared("lock", "SELECT note FROM notes FOR UPDATE")

# What waits for others must not be given up on a busy machine.
PATIENT = {"DB_POOL_TIMEOUT": "60", "DB_STATEMENT_TIMEOUT": "60"}

Scenario = Callable[[AsyncPool], Coroutine[Any, Any, None]]
SLEEPERS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
OURS = "FROM pg_stat_activity WHERE application_name = 'shop' AND datname = current_database()"


@pytest.fixture(scope="module")
def server(servers: ServerUrls) -> str:
    url = new_database(servers.database_url)
    execute(
        url,
        "CREATE TABLE notes (note text); CREATE SEQUENCE begun;"
        "CREATE FUNCTION fail(code text, times integer) RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('begun') <= times THEN RAISE EXCEPTION USING ERRCODE = code; END IF; RETURN 'done'; END $$;"
        "CREATE FUNCTION wait(seconds float) RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM nextval('begun'), pg_sleep(seconds); RETURN 'waited'; END $$;"
        "CREATE TABLE gate (); CREATE FUNCTION until_open() RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM nextval('begun'); WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;"
        " RETURN 'open'; END $$",
    )
    return url


@pytest.fixture
def url(server: str) -> str:
    """A database with an empty table of notes, on which no statement has begun, and with a closed gate."""
    # A statement that was given up goes on in PostgreSQL, and has its locks.
    close_connections(server)
    execute(server, "TRUNCATE notes, gate")
    execute(server, "ALTER SEQUENCE begun RESTART")
    return server


def run(url: str, scenario: Scenario, read_only: bool = False, **settings: str) -> None:
    async def with_lanes() -> None:
        pool = AsyncPool(url, read_settings({**PATIENT, **settings}), read_only=read_only)
        try:
            await scenario(pool)
        finally:
            pool.close()

    asyncio.run(with_lanes())


async def asked(pool: AsyncPool, statement: Prepared, **parameters: object) -> Row | None:
    """The first row of the answer."""
    rows = await pool.run(statement, parameters)
    return rows[0] if rows else None


def begun(url: str) -> int:
    """How many statements have begun since the test did."""
    ((last, is_called),) = rows_of(url, "SELECT last_value, is_called FROM begun")
    return int(last) if is_called else 0


def close_connections(url: str) -> None:
    end_connections(url, "application_name = 'shop'")


def test_a_statement_is_committed_when_its_answer_is_there(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        assert await asked(pool, ADD, note="it's 100 %") == ("it's 100 %",)
        assert rows_of(url, "SELECT note FROM notes") == [("it's 100 %",)]
        assert await asked(pool, ADD, note="") is None

    run(url, scenario)


def test_all_rows_of_an_answer_are_there(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        assert await pool.run(COUNT, {"last": 1000}) == [(number,) for number in range(1, 1001)]
        assert await pool.run(COUNT, {"last": 0}) == []

    run(url, scenario)


def test_lanes_for_reads_change_nothing(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        assert await pool.run(ADD, {"note": "x"}) is None
        assert await asked(pool, ASK, text="served") == ("served",)

    run(url, scenario, read_only=True)
    assert rows_of(url, "SELECT note FROM notes") == []


def test_many_statements_share_few_connections_and_none_gets_the_answer_of_another(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        texts = [f"text {number}" for number in range(200)]
        assert await asyncio.gather(*(asked(pool, ASK, text=text) for text in texts)) == [(text,) for text in texts]
        # Those of other tests may still be ending.
        await until(lambda: rows_of(url, f"SELECT count(*) {OURS}") == [(WRITE_CONNECTIONS,)])

    run(url, scenario)


def test_a_large_statement_arrives_whole(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        text = "x" * 5_000_000
        assert await asked(pool, ASK, text=text) == (text,)

    run(url, scenario)


def test_connections_are_guarded(url: str) -> None:
    names = ("statement_timeout", "lock_timeout", "TimeZone", "plan_cache_mode", "enable_seqscan", "synchronous_commit")
    shown = ", ".join(f"current_setting('{name}')" for name in names)

    async def scenario(pool: AsyncPool) -> None:
        expected = ("4500ms", "15ms", "UTC", "force_generic_plan", "off", "on")
        assert await asked(pool, Prepared("shown", f"SELECT {shown}")) == expected

    run(url, scenario, DB_STATEMENT_TIMEOUT="4.5", DB_LOCK_TIMEOUT="0.15")


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_three_repetitions_and_no_more(url: str, code: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        assert await asked(pool, FAIL, code=code, times=3) == ("done",)
        assert begun(url) == 4
        with pytest.raises(DatabaseUnavailable):
            await asked(pool, FAIL, code=code, times=99)
        assert begun(url) == 8

    run(url, scenario)


@pytest.mark.parametrize("code", ["22003", "23503", "23505", "25006", "42P01"])
def test_what_a_statement_cannot_do_is_left_to_others(url: str, code: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        assert await asked(pool, FAIL, code=code, times=1) is None
        assert begun(url) == 1
        assert await asked(pool, ASK, text="served") == ("served",)

    run(url, scenario)


@pytest.mark.parametrize("code", ["53100", "53300", "57014", "57P01", "58030", "XX000"])
def test_busy_and_broken_servers_are_unavailable_at_once(url: str, code: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        with pytest.raises(DatabaseUnavailable):
            await asked(pool, FAIL, code=code, times=99)
        assert begun(url) == 1
        assert await asked(pool, ASK, text="served") == ("served",)

    run(url, scenario)


def test_a_locked_row_is_left_to_others_soon(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        await asked(pool, ADD, note="locked")
        with connected(url) as foreign, foreign.cursor() as cursor:
            cursor.execute("BEGIN; SELECT note FROM notes FOR UPDATE")
            start = time.monotonic()
            assert await asked(pool, LOCK) is None
            # And not when the other session lets it go, which is later.
            assert time.monotonic() - start >= 0.1
        assert await asked(pool, LOCK) == ("locked",)

    run(url, scenario)


def test_nobody_waits_longer_for_a_lane_than_the_pool_timeout(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        await asyncio.gather(*(asked(pool, WAIT, seconds=0.05) for _ in range(WRITE_CONNECTIONS)))
        busy = [asyncio.create_task(asked(pool, HELD)) for _ in range(WRITE_CONNECTIONS)]
        await asyncio.sleep(0.05)
        start = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await asked(pool, ADD, note="too late")
        # The time of the event loop is that at which its turn began.
        assert time.monotonic() - start >= 0.5
        assert not any(task.done() for task in busy)
        execute(url, "INSERT INTO gate DEFAULT VALUES")
        assert await asyncio.gather(*busy) == [("open",)] * WRITE_CONNECTIONS
        assert await asked(pool, ADD, note="served") == ("served",)
        assert rows_of(url, "SELECT note FROM notes") == [("served",)], "what was given up is not sent any more"

    run(url, scenario, DB_POOL_TIMEOUT="1")


@pytest.mark.parametrize("url_of_nobody", ["postgresql+psycopg2://nobody@127.0.0.1:1/nowhere"])
def test_a_server_that_is_away(url_of_nobody: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        for _ in range(WRITE_CONNECTIONS + 1):
            with pytest.raises(DatabaseUnavailable):
                await asked(pool, ASK, text="?")

    run(url_of_nobody, scenario)


@pytest.fixture
def many_open_files() -> Iterator[None]:
    """More descriptors than `select` knows, as a worker has them that serves a thousand clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for descriptor in opened:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_open_files")
def test_lanes_are_opened_beside_a_thousand_clients(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        assert await asked(pool, ASK, text="served") == ("served",)

    run(url, scenario)


def test_a_lane_that_cannot_even_try_to_connect_is_free_again() -> None:
    """Whatever the reason: it is told to whoever asked, and the next one has the connection."""

    async def scenario(pool: AsyncPool) -> None:
        for _ in range(WRITE_CONNECTIONS + 1):
            with pytest.raises(ArgumentError):
                await asked(pool, ASK, text="?")

    run("no address at all", scenario)


def test_a_connection_that_the_server_closed_at_rest_is_replaced(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        await asyncio.gather(*(asked(pool, WAIT, seconds=0.05) for _ in range(WRITE_CONNECTIONS)))
        close_connections(url)
        await asyncio.sleep(0.1)
        texts = [str(number) for number in range(WRITE_CONNECTIONS + 1)]
        assert await asyncio.gather(*(asked(pool, ASK, text=text) for text in texts)) == [(text,) for text in texts]

    run(url, scenario)


def test_a_statement_whose_connection_breaks_is_not_tried_again(url: str) -> None:
    """It may have been committed: only whoever sent it can find out."""

    async def scenario(pool: AsyncPool) -> None:
        breaking = asyncio.create_task(asked(pool, WAIT, seconds=30))
        while not begun(url):  # noqa: ASYNC110  (what changes is in PostgreSQL)
            await asyncio.sleep(0.01)
        close_connections(url)
        with pytest.raises(DatabaseUnavailable):
            await breaking
        assert begun(url) == 1
        assert await asked(pool, ASK, text="served") == ("served",)

    run(url, scenario)


def test_a_read_whose_connection_breaks_is_tried_again(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        breaking = asyncio.create_task(asked(pool, SLEEP))
        while not (pids := rows_of(url, SLEEPERS)):  # noqa: ASYNC110  (what changes is in PostgreSQL)
            await asyncio.sleep(0.01)
        execute(url, "INSERT INTO notes VALUES ('awake')")
        close_connections(url)
        assert await breaking == ("slept",)
        assert set(pids).isdisjoint({await asked(pool, PID)})

    run(url, scenario, read_only=True)


def test_who_waits_for_a_lane_is_published_when_the_statement_is_sent(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        busy = [asyncio.create_task(asked(pool, HELD)) for _ in range(WRITE_CONNECTIONS)]
        on_sent = asyncio.Event()
        waiting = asyncio.create_task(pool.run(ASK, {"text": "?"}, on_sent=on_sent.set))
        await asyncio.sleep(0.1)
        assert not on_sent.is_set()
        execute(url, "INSERT INTO gate DEFAULT VALUES")
        assert await asyncio.gather(*busy) == [("open",)] * WRITE_CONNECTIONS
        await asyncio.wait_for(on_sent.wait(), 60)
        assert await waiting == [("?",)]

    run(url, scenario)


def test_renewed_lanes_have_other_connections(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        first = await asked(pool, PID)
        assert await asked(pool, PID) == first
        await asyncio.to_thread(pool.renew)
        second = await asked(pool, PID)
        assert second != first
        assert await asked(pool, PID) == second

    run(url, scenario)


def test_a_failover_closes_all_connections(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        failed_over = asyncio.Event()
        pool.failed_over = failed_over.set

        async def pids() -> set[Row | None]:
            return set(await asyncio.gather(*(asked(pool, PID) for _ in range(20 * WRITE_CONNECTIONS))))

        before = await pids()
        assert await asked(pool, FAIL, code="25006", times=1) is None
        assert before.isdisjoint(await pids())
        assert failed_over.is_set()

    run(url, scenario)


def test_old_connections_are_replaced(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        first = await asked(pool, PID)
        await asyncio.sleep(1.1)
        assert await asked(pool, PID) != first

    run(url, scenario, DB_POOL_RECYCLE="1")


def test_what_is_given_up_frees_its_place_at_once(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        waiting = [asyncio.create_task(asked(pool, WAIT, seconds=30)) for _ in range(WRITE_CONNECTIONS + 1)]
        while begun(url) < WRITE_CONNECTIONS:  # noqa: ASYNC110  (what changes is in PostgreSQL)
            await asyncio.sleep(0.01)
        pool.give_up()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        # The last one had not been sent.
        assert [type(answer) for answer in answers] == [NoAnswer] * WRITE_CONNECTIONS + [DatabaseUnavailable]
        assert pool.usage() == PoolUsage(WRITE_CONNECTIONS, 0, 0, 0)
        assert await asked(pool, ASK, text="served") == ("served",)

    run(url, scenario)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_connection_that_is_cut_is_replaced_and_reads_are_sent_again(url: str, read_only: bool) -> None:
    async def scenario(pool: AsyncPool) -> None:
        waiting = asyncio.create_task(asked(pool, SLEEP))
        while not rows_of(url, SLEEPERS):  # noqa: ASYNC110  (what changes is in PostgreSQL)
            await asyncio.sleep(0.01)
        execute(url, "INSERT INTO notes VALUES ('awake')")
        assert not pool.cut(time.monotonic() - 20)
        assert pool.cut(time.monotonic())
        if read_only:
            assert await waiting == ("slept",)
        else:
            with pytest.raises(NoAnswer):
                await waiting
        assert await asked(pool, ASK, text="served") == ("served",)

    run(url, scenario, read_only)


def test_what_cannot_be_sent_is_an_error_of_its_sender_alone(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        with pytest.raises(psycopg.DataError, match="NUL"):
            await asked(pool, ASK, text="\0")
        assert await asked(pool, ASK, text="served") == ("served",)

    run(url, scenario)


def test_closing_leaves_nobody_waiting(url: str) -> None:
    async def scenario(pool: AsyncPool) -> None:
        waiting = [asyncio.create_task(asked(pool, WAIT, seconds=30)) for _ in range(WRITE_CONNECTIONS + 1)]
        while begun(url) < WRITE_CONNECTIONS:  # noqa: ASYNC110  (what changes is in PostgreSQL)
            await asyncio.sleep(0.01)
        pool.close()
        for answer in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(answer, DatabaseUnavailable)

    run(url, scenario)


def test_a_slow_statement_is_published_without_its_values(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guards, "SLOW_STATEMENT_SECONDS", 0.05)
    slow = Prepared("slow", "SELECT pg_sleep(0.1), $1::text", ("secret",))

    async def scenario(pool: AsyncPool) -> None:
        await asked(pool, slow, secret="hunter2")

    with caplog.at_level(logging.INFO, logger="shop.database"):
        run(url, scenario, DB_ECHO="true")
    echo, warning = [record.getMessage() for record in caplog.records if record.name == "shop.database"]
    assert echo == "slow (secret)"
    assert re.fullmatch(r"Slow statement \([1-9]\d\d+ ms\).*slow \(secret\)", warning), warning
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("error", [ValueError, OverflowError, MemoryError, RecursionError, psycopg.DataError])
@pytest.mark.parametrize("read_only", [True, False])
def test_an_answer_that_cannot_be_read_fails_its_statement_alone(
    url: str, error: type[Exception], read_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unreadable(Loader):
        def load(self, data: object) -> None:
            raise error("cannot be read")

    real = async_connection.connect

    async def with_unreadable_numbers(url: str, first: str, name: str) -> Any:
        connection = await real(url, first, name)
        connection.adapters.register_loader("int4", Unreadable)
        return connection

    monkeypatch.setattr(pooled_connection, "connect", with_unreadable_numbers)

    async def scenario(pool: AsyncPool) -> None:
        for _ in range(2 * READ_CONNECTIONS):
            with pytest.raises(error, match="cannot be read"):
                await pool.run(COUNT, {"last": 3})
        assert await asyncio.gather(*(asked(pool, ASK, text=str(n)) for n in range(9))) == [(str(n),) for n in range(9)]

    run(url, scenario, read_only)


def test_whatever_happens_while_an_answer_comes_fails_its_statement_alone(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(pool: AsyncPool) -> None:
        assert await asked(pool, ASK, text="connected") == ("connected",)
        (connection,) = [connection for connection in pool._connections if connection._connection is not None]
        old = connection._connection
        assert old is not None

        class Broken:
            def receive(self) -> None:
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

            def __getattr__(self, name: str) -> Any:
                return getattr(old, name)

        connection._connection = Broken()  # type: ignore[assignment]
        with pytest.raises(UnicodeDecodeError):
            await asked(pool, ASK, text="?")
        assert await asked(pool, ASK, text="served") == ("served",)
        assert old._pgconn.status == ConnStatus.BAD

    run(url, scenario)


def test_a_lane_whose_statement_takes_long_is_blocked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "SLOW_STATEMENT_SECONDS", 0.05)

    async def scenario(pool: AsyncPool) -> None:
        assert pool.usage() == PoolUsage(WRITE_CONNECTIONS, 0, 0, 0)
        waiting = [asyncio.create_task(asked(pool, HELD)) for _ in range(WRITE_CONNECTIONS + 1)]
        await until(lambda: pool.usage() == PoolUsage(WRITE_CONNECTIONS, WRITE_CONNECTIONS, 1, WRITE_CONNECTIONS))
        execute(url, "INSERT INTO gate DEFAULT VALUES")
        await asyncio.gather(*waiting)
        assert pool.usage() == PoolUsage(WRITE_CONNECTIONS, 0, 0, 0)

    run(url, scenario)


def test_a_connection_keeps_no_more_statements_than_it_may(url: str) -> None:
    def statement(number: int) -> Prepared:
        return Prepared(f"number_{number}", f"SELECT {number}")

    async def scenario(pool: AsyncPool) -> None:
        # By one at a time only one connection is used.
        for number in (*range(MOST_PREPARED + 20), 0, MOST_PREPARED + 19):
            assert await pool.run(statement(number), {}) == [(number,)]
        kept = Prepared("kept", "SELECT count(*), bool_or(from_sql) FROM pg_prepared_statements")
        assert await pool.run(kept, {}) == [(MOST_PREPARED, False)]

    run(url, scenario)
