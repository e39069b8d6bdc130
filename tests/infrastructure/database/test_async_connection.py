"""Connections of the event loop: where they lead, what they read, and what is prepared on them."""

import asyncio
import datetime as dt
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from config.settings import read_settings
from infrastructure.database.async_connection import MOST_PREPARED, PreparedConnection, connect
from infrastructure.database.async_pool import AsyncPool
from infrastructure.database.datetimes import FarDatetime
from infrastructure.database.prepared import Prepared, Row
from infrastructure.embedded.servers import ServerUrls
from tests.infrastructure.database.test_datetimes import FAR, NEAR
from tests.race.databases import execute, new_database

pytestmark = pytest.mark.integration


def answered(url: str, text: str) -> Sequence[Row] | None:
    """The rows of the statement on a connection of a pool."""

    async def rows() -> Sequence[Row] | None:
        pool = AsyncPool(url, read_settings({}), number=1)
        try:
            return await pool.run(Prepared("asked", text), {})
        finally:
            pool.close()

    return asyncio.run(rows())


def name_of_database(url: str) -> str:
    async def name() -> str:
        async with await connect(url, "SELECT 1") as connection:
            return connection.info.dbname

    return asyncio.run(name())


def test_a_service_leads_further_than_the_environment(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(database_url)
    file = tmp_path / "services"
    file.write_text(f"[shop]\nhost={url.query['host']}\nport={url.port}\nuser={url.username}\ndbname={url.database}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGHOST", "localhost")
    monkeypatch.setenv("PGPORT", "1")
    assert name_of_database("postgresql+psycopg2://?service=shop") == url.database
    monkeypatch.setenv("PGSERVICE", "shop")
    assert name_of_database("postgresql+psycopg2://") == url.database


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg2://nobody@127.0.0.1:{silent.getsockname()[1]}/nowhere"
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            asyncio.run(connect(url, "SELECT 1"))


def test_every_date_and_time_is_read_beside_others(database_url: str) -> None:
    expressions = [expression for expression, _ in (*FAR, *NEAR)]
    rows = answered(database_url, f"SELECT {', '.join(expressions)}")
    assert rows == [tuple(value for _, value in (*FAR, *NEAR))]
    assert [type(value) for value in rows[0][: len(FAR)]] == [FarDatetime] * len(FAR)


def test_times_are_read_whatever_a_database_prefers(servers: ServerUrls) -> None:
    url = new_database(servers.database_url)
    for preference in ("datestyle = German", "timezone = Singapore"):
        execute(url, f"ALTER DATABASE {make_url(url).database} SET {preference}")
    assert answered(url, "SELECT timestamptz '2026-11-28 10:00:00Z'") == [
        (dt.datetime(2026, 11, 28, 10, tzinfo=dt.UTC),)
    ]


def test_statements_are_prepared_and_closed_by_messages_of_the_protocol(database_url: str, tmp_path: Path) -> None:
    """As a pooler that hands out another connection for each transaction has to see it."""

    async def sent() -> list[str]:
        connection = await connect(database_url, "SELECT 1")
        prepared, readable = PreparedConnection(connection), asyncio.Event()
        asyncio.get_running_loop().add_reader(prepared.descriptor, readable.set)
        trace = tmp_path / "trace"
        with trace.open("w") as file:
            connection.pgconn.trace(file.fileno())
            for number in range(MOST_PREPARED + 1):
                await executed(prepared, readable, Prepared(f"number_{number}", f"SELECT {number}"))
            connection.pgconn.untrace()
        prepared.close()
        return [line.split("\t")[3] for line in trace.read_text().splitlines() if line.split("\t")[1] == "F"]

    async def executed(prepared: PreparedConnection, readable: asyncio.Event, statement: Prepared) -> None:
        while not prepared.has_prepared(statement):
            prepared.prepare(statement)
            await received(prepared, readable)
        prepared.execute(statement, {})
        await received(prepared, readable)

    async def received(prepared: PreparedConnection, readable: asyncio.Event) -> None:
        assert prepared.flush()
        while prepared.receive() is None:
            await readable.wait()
            readable.clear()

    counts = Counter(asyncio.run(sent()))
    assert (counts["Parse"], counts["Close"], counts["Bind"]) == (MOST_PREPARED + 1, 1, MOST_PREPARED + 1)
    assert counts["Query"] == 0
