"""What PostgreSQL tells: of whose changes, after which failures, and how often."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from config.settings import read_settings
from infrastructure.database import change_listener as notices_module
from infrastructure.database.change_listener import CATALOG, ChangeListener
from infrastructure.database.engine import Database
from infrastructure.embedded.servers import ServerUrls
from tests.alembic_migrations.history import OLD_ROWS
from tests.faults.black_hole import BlackHole
from tests.race.databases import execute, new_database, rows_of

pytestmark = pytest.mark.integration

LISTENERS = "FROM pg_stat_activity WHERE application_name = 'shop notices' AND datname = current_database()"


@pytest.fixture(scope="module")
def url(servers: ServerUrls) -> str:
    """A shop with some rows, to which nobody else listens."""
    url = new_database(servers.database_url)
    execute(url, OLD_ROWS)
    return url


class Ear:
    """Counts what was heard."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Condition()

    async def hear(self) -> None:
        async with self._changed:
            self.count += 1
            self._changed.notify_all()

    async def heard(self, count: int) -> None:
        """Return when so much was heard."""
        async with self._changed:
            async with asyncio.timeout(60):
                await self._changed.wait_for(lambda: self.count >= count)


def listening(url: str, scenario: Callable[[Ear], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        ear = Ear()
        task = asyncio.create_task(ChangeListener(url, {CATALOG: ear.hear}).listen())
        try:
            await ear.heard(1)
            await scenario(ear)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE products SET price = price + 1",
        "UPDATE products SET stock = stock + 1, updated_at = clock_timestamp()",
        "UPDATE categories SET name = name || '.'",
        "INSERT INTO categories (name) VALUES (gen_random_uuid())",
        "DELETE FROM products WHERE id_key = 3",
        "BEGIN; TRUNCATE products CASCADE; COMMIT",
    ],
)
def test_changes_of_the_catalog_are_heard(url: str, statement: str) -> None:
    async def scenario(ear: Ear) -> None:
        await asyncio.to_thread(execute, url, statement)
        await ear.heard(2)

    listening(url, scenario)


def test_what_the_shop_does_itself_and_what_is_rolled_back_is_not_told(url: str) -> None:
    database = Database(url, read_settings({}))

    async def scenario(ear: Ear) -> None:
        def change() -> None:
            with database.engine.begin() as connection:
                connection.exec_driver_sql("INSERT INTO categories (name) VALUES (gen_random_uuid())")
            execute(url, "BEGIN; INSERT INTO categories (name) VALUES ('never'); ROLLBACK")
            # Notices come in the order of the commits.
            execute(url, "INSERT INTO categories (name) VALUES (gen_random_uuid())")

        await asyncio.to_thread(change)
        await ear.heard(2)
        await asyncio.sleep(0)
        assert ear.count == 2

    try:
        listening(url, scenario)
    finally:
        database.close()


def test_a_connection_that_broke_is_replaced_and_something_may_have_been_missed(url: str) -> None:
    async def scenario(ear: Ear) -> None:
        before = rows_of(url, f"SELECT pid {LISTENERS}")
        await asyncio.to_thread(execute, url, f"SELECT pg_terminate_backend(pid, 60000) {LISTENERS}")
        await ear.heard(2)
        assert set(rows_of(url, f"SELECT pid {LISTENERS}")).isdisjoint(before)
        await asyncio.to_thread(execute, url, "UPDATE categories SET name = name || '.'")
        await ear.heard(3)

    listening(url, scenario)


def test_a_connection_at_rest_is_kept_while_it_answers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices_module, "_CHECK_SECONDS", 0.05)
    last = f"SELECT pid, query_start {LISTENERS}"

    async def scenario(ear: Ear) -> None:
        ((pid, start),) = rows_of(url, last)
        while rows_of(url, last) == [(pid, start)]:  # noqa: ASYNC110  (what changes is in PostgreSQL)
            await asyncio.sleep(0.01)
        assert rows_of(url, f"SELECT pid {LISTENERS}") == [(pid,)]
        assert ear.count == 1

    listening(url, scenario)


def test_a_connection_that_does_not_answer_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices_module, "_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(notices_module, "_ANSWER_SECONDS", 0.5)

    async def scenario(ear: Ear) -> None:
        assert link.swallow()
        await ear.heard(2)

    with BlackHole(url) as link:
        listening(link.url, scenario)


def test_a_failure_to_pass_it_on_does_not_end_the_listening(url: str) -> None:
    async def run() -> None:
        ear = Ear()

        async def fail_first() -> None:
            await ear.hear()
            if ear.count == 1:
                raise RuntimeError("nobody there")

        hear: Callable[[], Awaitable[None]] = fail_first
        task = asyncio.create_task(ChangeListener(url, {CATALOG: hear}).listen())
        await ear.heard(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_each_channel_has_its_own_ear(url: str) -> None:
    async def run() -> None:
        catalog, mails = Ear(), Ear()
        task = asyncio.create_task(ChangeListener(url, {CATALOG: catalog.hear, "shop_mails": mails.hear}).listen())
        try:
            await catalog.heard(1)
            await mails.heard(1)
            await asyncio.to_thread(execute, url, "SELECT pg_notify('shop_mails', '')")
            await mails.heard(2)
            assert catalog.count == 1
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
