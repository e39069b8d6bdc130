"""Adapter: procrastinate's statements go over one connection of the shop's own kind, and Valkey takes the place of NOTIFY."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, LiteralString

import psycopg
from procrastinate.connector import BaseAsyncConnector, Notify
from procrastinate.exceptions import ConnectorException, NoResult
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from infrastructure.database import async_connection
from infrastructure.database.prepared import Row

# No statement of the queue takes long; a server that says nothing for so long is away.
_ANSWER_SECONDS = 10.0
# Who has taken which job need not survive a crash of the server: then the job is queued again, as it has to be.
_FIRST = "SET synchronous_commit = off"
_LOOK = json.dumps({"type": "job_inserted", "job_id": 0})


class ShopConnector(BaseAsyncConnector):
    """The library's way to the database at `url`, for one event loop. It opens nothing before the first statement."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[Row] | None = None
        # One statement at a time.
        self._turn = asyncio.Lock()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Have the worker look for jobs at once."""
        self._woken.set()

    async def open_async(self, pool: Any | None = None) -> None:
        """There is nothing to open."""

    async def close_async(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        await self._rows(query, arguments)

    async def execute_query_one_async(self, query: LiteralString, **arguments: Any) -> dict[str, Any]:
        rows = await self._rows(query, arguments)
        if not rows:
            raise NoResult
        return rows[0]

    async def execute_query_all_async(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        return await self._rows(query, arguments)

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Tell the worker of a job whenever it was woken, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await on_notification(channel="", payload=_LOOK)

    async def _rows(self, query: LiteralString, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in arguments.items()}
        async with self._turn:
            try:
                return await self._answer(query, values)
            except BaseException as error:
                # Whatever it was, an answer may still come on this connection.
                await self.close_async()
                if isinstance(error, psycopg.Error | OSError):
                    raise ConnectorException(str(error)) from error
                raise

    async def _answer(self, query: LiteralString, values: dict[str, Any]) -> list[dict[str, Any]]:
        if self._connection is None:
            self._connection = await async_connection.connect(self._url, _FIRST, "shop jobs")
        with async_connection.cut_after(self._connection, _ANSWER_SECONDS, "no answer in time"):
            async with self._connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(query, values)
                return await cursor.fetchall() if cursor.description is not None else []
