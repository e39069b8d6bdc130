"""The services' way to the database and the cache: committed, told to every reader, and only then answered."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Select, func, literal_column, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from config.settings import read_settings
from infrastructure.cache.entries import Entry
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import Invalidation
from infrastructure.database.async_pool import READ_CONNECTIONS
from infrastructure.database.engine import Database
from infrastructure.database.prepared import Prepared
from infrastructure.embedded.servers import ServerUrls
from infrastructure.observability.log_lines import request_id
from infrastructure.observability.metrics import Metrics
from repositories.query.bound_query import BoundQuery, Query, Steps
from services.base import invalidation_of
from services.cache_service import CacheService
from services.errors import AmountTooLarge, NotFound, Unavailable
from services.executor import Executor
from services.idempotency import KeyedRequest, Reply
from services.single_statement import SingleStatement
from tests.infrastructure.processes import free_port
from tests.race.databases import end_connections, execute, new_database, rows_of
from tests.valkey import Valkey

pytestmark = pytest.mark.integration

DONE = Reply(201, b"done")
# What waits for others must not be given up on a busy machine.
PATIENT = {"DB_POOL_TIMEOUT": "60", "DB_STATEMENT_TIMEOUT": "60", "DB_LOCK_TIMEOUT": "60"}


@pytest.fixture(scope="module")
def url(servers: ServerUrls) -> str:
    url = new_database(servers.database_url)
    execute(
        url,
        "CREATE TABLE notes (note text); CREATE TABLE gate ();"
        "CREATE FUNCTION until_open() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN"
        " WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN 0; END $$",
    )
    return url


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[Executor]:
    """An executor with a Valkey of its own, so that whatever it has cached is this test's."""
    with Valkey(folder) as valkey:
        database = Database(url, read_settings({"DB_POOL_SIZE": "2", **PATIENT}))
        gateway = RedisGateway(valkey.url, timeout=5)
        cache = CacheService(gateway)
        try:
            yield Executor(database, cache, Metrics())
        finally:
            await cache.close()
            await gateway.close()
            database.close_pools()
            await asyncio.to_thread(database.close)
            execute(url, "TRUNCATE notes, gate, idempotency_keys")


def run(url: str, folder: Path, scenario: Callable[[Executor], Coroutine[Any, Any, None]]) -> None:
    async def with_executor() -> None:
        async with opened(url, folder) as executor:
            await scenario(executor)

    asyncio.run(with_executor())


def count(session: Session) -> RenderedResponse:
    number = session.execute(text("SELECT count(*) FROM notes")).scalar_one()
    return RenderedResponse(b"%d" % number, '"tag"')


async def cached(executor: Executor) -> tuple[bytes, bool]:
    answer, hit = await executor.read_cached(Entry("notes", ["notes"]), count)
    return answer.body, hit


def add(session: Session) -> Reply:
    session.execute(text("INSERT INTO notes VALUES ('x')"))
    invalidation_of(session).tags.add("notes")
    return DONE


def keyed(key: str = "key") -> KeyedRequest:
    return KeyedRequest(key, b"fingerprint", "/things", "request-1")


def test_a_write_makes_cached_answers_old(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        assert [await cached(executor), await cached(executor)] == [(b"0", False), (b"0", True)]
        assert await executor.write(add) == DONE
        assert [await cached(executor), await cached(executor)] == [(b"1", False), (b"1", True)]

    run(url, tmp_path, scenario)


def test_a_refused_write_changes_nothing(url: str, tmp_path: Path) -> None:
    def refused(session: Session) -> Reply:
        add(session)
        raise NotFound("Thing", 7)

    async def scenario(executor: Executor) -> None:
        with pytest.raises(NotFound):
            await executor.write(refused)
        assert await executor.read(count) == RenderedResponse(b"0", '"tag"')

    run(url, tmp_path, scenario)


def test_reads_of_a_turn_share_hops_and_what_is_asked_for_twice_is_read_once(url: str, tmp_path: Path) -> None:
    read: list[tuple[int, str | None, int]] = []

    def reader(number: int) -> Callable[[Session], int]:
        def work(session: Session) -> int:
            read.append((number, request_id.get(), threading.get_ident()))
            return number + int(session.execute(text("SELECT 100")).scalar_one())

        return work

    async def asked(executor: Executor, work: Callable[[Session], int], identity: str) -> int:
        request_id.set(identity)
        return await executor.read(work)

    async def scenario(executor: Executor) -> None:
        works = [reader(number) for number in range(4)]
        results = await asyncio.gather(
            *(asked(executor, work, f"{turn}-{number}") for turn in "ab" for number, work in enumerate(works))
        )
        assert results == [100, 101, 102, 103] * 2
        assert [(number, identity) for number, identity, _ in read] == [(n, f"a-{n}") for n in range(4)]
        assert len({thread for _, _, thread in read}) == 1
        # A later turn may see what was committed since, so it reads again.
        assert await executor.read(works[0]) == 100
        assert len(read) == 5

    run(url, tmp_path, scenario)


NOTES = select(func.count()).select_from(table("notes"))


def query(
    statement: Select[Any] = NOTES, seen: Callable[[Any], object] = int, is_light: bool = True, statements: int = 1
) -> Query[tuple[str, Any]]:
    """Reads one value, by as many statements, and says where: "pool" or "thread". `seen` is told the value."""

    def bind(database: Engine) -> Steps[tuple[str, Any]]:
        for _ in range(statements):
            rows = yield BoundQuery(statement, {})
        (value,) = rows[0]
        seen(value)
        return "pool" if threading.current_thread() is threading.main_thread() else "thread", value

    return Query(bind, is_light)


def asleep(seconds: float, text_column: str = "count(*)") -> Select[Any]:
    """Reads after some time what was there before it."""
    return select(literal_column(f"(SELECT {text_column} FROM notes)")).select_from(func.pg_sleep(seconds))


async def until_somebody_sleeps(url: str) -> None:
    sleepers = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    while not await asyncio.to_thread(rows_of, url, sleepers):  # noqa: ASYNC110  (what changes is in PostgreSQL)
        await asyncio.sleep(0.01)


def test_a_query_takes_the_pool_if_it_is_light(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        assert await executor.read(query()) == ("pool", 0)
        assert await executor.read(query(is_light=False)) == ("thread", 0)

    run(url, tmp_path, scenario)


def test_what_the_pool_cannot_read_is_read_in_a_thread(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        assert await executor.read(query(statements=2)) == ("thread", 0)
        with pytest.raises(DBAPIError, match="division by zero"):
            await executor.read(query(select(literal_column("1 / (SELECT count(*) FROM notes)"))))

    run(url, tmp_path, scenario)


def test_who_asks_before_a_query_is_sent_joins_it_and_who_asks_after_does_not(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        read: list[int] = []
        slow = query(asleep(0.5), read.append)
        sent = [asyncio.create_task(executor.read(slow)) for _ in range(3)]
        await until_somebody_sleeps(url)
        await executor.write(add)
        # The other of the two pool connections is taken by the second of these, so that the third has to wait.
        other = asyncio.create_task(executor.read(query(asleep(0.5, "min(note)"), print)))
        assert await executor.read(slow) == ("pool", 1), "an answer from before the write"
        assert [await task for task in sent] == [("pool", 0)] * 3
        assert (await other)[0] == "pool"
        assert read == [0, 1]

    run(url, tmp_path, scenario)


def test_who_waits_for_the_pool_can_still_be_joined(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        read: list[int] = []
        wanted = query(seen=read.append)
        held: Select[Any] = select(literal_column("until_open()"))
        busy = [asyncio.create_task(executor.read(query(held))) for _ in range(READ_CONNECTIONS)]
        await until_somebody_sleeps(url)
        first = asyncio.create_task(executor.read(wanted))
        await asyncio.sleep(0.05)
        await executor.write(add)
        second = asyncio.create_task(executor.read(wanted))
        await asyncio.sleep(0.05)
        assert not first.done()
        execute(url, "INSERT INTO gate DEFAULT VALUES")
        assert [await first, await second] == [("pool", 1)] * 2
        assert read == [1]
        await asyncio.gather(*busy)

    run(url, tmp_path, scenario)


def test_whoever_asked_first_may_leave_without_failing_the_others(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        wanted = query(asleep(0.2))
        first = asyncio.create_task(executor.read(wanted))
        second = asyncio.create_task(executor.read(wanted))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == ("pool", 0)
        assert first.cancelled()

    run(url, tmp_path, scenario)


def test_a_read_that_fails_fails_alone(url: str, tmp_path: Path) -> None:
    def missing(session: Session) -> None:
        raise NotFound("Thing", 7)

    def broken(session: Session) -> None:
        session.execute(text("SELECT 1 / 0"))

    async def scenario(executor: Executor) -> None:
        results = await asyncio.gather(*map(executor.read, (count, missing, broken, count)), return_exceptions=True)
        first, second, third, fourth = results
        assert first is fourth
        assert first == RenderedResponse(b"0", '"tag"')
        assert isinstance(second, NotFound)
        assert isinstance(third, DBAPIError)

    run(url, tmp_path, scenario)


def test_without_a_database_every_read_of_a_turn_is_published(tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        works: list[Callable[[Session], object]] = [
            count,
            lambda session: session.execute(text("SELECT 1")),
            query(),
            query(),
        ]
        results = await asyncio.gather(*map(executor.read, works), return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable] * 4

    async def away() -> None:
        settings = read_settings({"DB_POOL_SIZE": "2"})
        database = Database(f"postgresql+psycopg2://u:p@127.0.0.1:{free_port()}/shop", settings)
        await scenario(Executor(database, CacheService(RedisGateway(None)), Metrics()))
        database.close_pools()
        await asyncio.to_thread(database.close)

    asyncio.run(away())


def test_a_write_whose_client_has_gone_is_published_all_the_same(url: str, tmp_path: Path) -> None:
    begun, free = threading.Event(), threading.Event()

    def slow(session: Session) -> Reply:
        begun.set()
        free.wait(60)
        return add(session)

    async def scenario(executor: Executor) -> None:
        assert await cached(executor) == (b"0", False)
        writing = asyncio.create_task(executor.write(slow))
        await asyncio.to_thread(begun.wait, 60)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        free.set()
        for _ in range(1000):
            if await cached(executor) == (b"1", True):
                return
            await asyncio.sleep(0.01)
        pytest.fail("the write is not seen")

    run(url, tmp_path, scenario)


@pytest.mark.parametrize(
    ("statement", "error"),
    [("SELECT 1e300::numeric(12,2)", AmountTooLarge), ("SELECT pg_sleep(60)", Unavailable)],
)
def test_what_the_database_says_in_the_words_of_the_shop(url: str, statement: str, error: type[Exception]) -> None:
    async def scenario() -> None:
        database = Database(url, read_settings({"DB_STATEMENT_TIMEOUT": "1"}))
        executor = Executor(database, CacheService(RedisGateway(None)), Metrics())
        with pytest.raises(error):
            await executor.read(lambda session: session.execute(text(statement)))
        database.close_pools()
        await asyncio.to_thread(database.close)

    asyncio.run(scenario())


ADD = Prepared("add", "INSERT INTO notes SELECT $1::text WHERE $1 <> '' RETURNING note", ("note",))
WAIT = Prepared("wait", "SELECT 'waited' FROM pg_sleep($1)", ("seconds",))
HELD = Prepared("held", "SELECT until_open()")


def single_statement(statement: Prepared, **parameters: object) -> SingleStatement[str]:
    """A work that makes what is known of the notes old, and comes back with the statement's first value."""
    return SingleStatement(statement, parameters, lambda row: str(row[0]), lambda text: Invalidation({"notes"}))


def test_one_statement_is_published_to_the_cache_where_it_did_something(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        assert await cached(executor) == (b"0", False)
        assert await executor.single_statement(single_statement(ADD, note="")) is None
        assert await cached(executor) == (b"0", True)
        assert await executor.single_statement(single_statement(ADD, note="kept")) == "kept"
        assert await cached(executor) == (b"1", False)

    run(url, tmp_path, scenario)


def test_one_statement_whose_client_has_gone_is_published_all_the_same(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        assert await cached(executor) == (b"0", False)
        writing = asyncio.create_task(executor.single_statement(single_statement(ADD, note="kept")))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        async with asyncio.timeout(60):
            while await cached(executor) != (b"1", True):  # noqa: ASYNC110  (what changes is in Redis)
                await asyncio.sleep(0.01)

    run(url, tmp_path, scenario)


def test_one_statement_that_may_have_been_committed_is_published(url: str, tmp_path: Path) -> None:
    """Its connection broke before it answered; and nobody knows how far it came."""

    async def scenario(executor: Executor) -> None:
        await executor.single_statement(single_statement(WAIT, seconds=0))
        assert await cached(executor) == (b"0", False)
        writing = asyncio.create_task(executor.single_statement(single_statement(WAIT, seconds=30)))
        await until_somebody_sleeps(url)
        await asyncio.to_thread(end_connections, url, "wait_event = 'PgSleep'")
        with pytest.raises(Unavailable):
            await writing
        assert await cached(executor) == (b"0", False)

    run(url, tmp_path, scenario)


def test_one_statement_that_ends_after_it_was_given_up_is_published_again(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        assert await executor.single_statement(single_statement(WAIT, seconds=0)) == "waited"
        writing = asyncio.create_task(executor.single_statement(single_statement(HELD)))
        await until_somebody_sleeps(url)
        executor.database.write_pool.give_up()
        with pytest.raises(Unavailable):
            await writing
        assert [await cached(executor), await cached(executor)] == [(b"0", False), (b"0", True)]
        execute(url, "INSERT INTO gate DEFAULT VALUES")
        async with asyncio.timeout(60):
            while (await cached(executor))[1]:  # noqa: ASYNC110  (what changes is in Redis)
                await asyncio.sleep(0.01)

    run(url, tmp_path, scenario)


def test_a_keyed_write_is_done_once(url: str, tmp_path: Path) -> None:
    async def scenario(executor: Executor) -> None:
        assert await executor.write(add, keyed()) == DONE
        again = await executor.write(add, keyed())
        assert (again.status, again.body, again.headers) == (201, b"done", {"Idempotent-Replayed": "true"})
        assert await cached(executor) == (b"1", False)
        assert rows_of(url, "SELECT key, status FROM idempotency_keys") == [("key", 201)]

    run(url, tmp_path, scenario)


def test_what_commits_after_it_was_given_up_is_published_again(url: str, tmp_path: Path) -> None:
    async def load() -> RenderedResponse:
        return RenderedResponse(b"as it was", '"1"')

    async def scenario(executor: Executor) -> None:
        begun, thawed = threading.Event(), threading.Event()

        def work(session: Session) -> Reply:
            begun.set()
            invalidation_of(session).tags.add("notes")
            thawed.wait(60)
            return DONE

        writing = asyncio.create_task(executor.write(work))
        await asyncio.to_thread(begun.wait, 60)
        executor.database.threads.give_up()
        with pytest.raises(Unavailable):
            await writing
        await executor.cache.get_or_load(Entry("key", ["notes"]), load)
        assert (await executor.cache.get_or_load(Entry("key", ["notes"]), load))[1], "cached before the late commit"
        thawed.set()
        async with asyncio.timeout(60):
            while (await executor.cache.get_or_load(Entry("key", ["notes"]), load))[1]:  # noqa: ASYNC110  (what changes is in Redis)
                await asyncio.sleep(0.01)

    run(url, tmp_path, scenario)
