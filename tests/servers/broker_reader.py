"""A reader of the shop's messages, as other programs are: it leaves out what it has had, by the id of the event."""

import asyncio
import json
import threading
from collections import defaultdict
from contextlib import suppress
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from infrastructure.broker.connection import BrokerUnavailable, broker_errors, connected
from tests.infrastructure.processes import wait_for


class BrokerReader:
    """Reads all that the exchange gets from now on into a durable queue of its own, also across failures of the broker."""

    def __init__(self, url: str, *patterns: str, exchange: str = "order_events", queue: str = "reader") -> None:
        self._url, self._exchange, self._queue = url, exchange, queue
        self._patterns = patterns or ("#",)
        self.messages: list[AbstractIncomingMessage] = []
        # By the ids, in the order in which they came first.
        self.events: dict[str, dict[str, Any]] = {}
        self._stopping = threading.Event()
        self._reads = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def doubled(self) -> int:
        """How many messages were repeats."""
        return len(self.messages) - len(self.events)

    def by_resource(self) -> dict[str, list[int]]:
        """The sequences of each resource, in the order in which they came."""
        found = defaultdict(list)
        for event in list(self.events.values()):
            found[event["subject"]].append(int(event["sequence"]))
        return found

    def wait_for_all(self, ids: set[str], seconds: float = 120) -> None:
        """Wait until these events have come; nothing else may have."""
        wait_for(lambda: ids <= set(self.events), f"{len(ids - set(self.events))} events of {len(ids)}", seconds)
        assert set(self.events) == ids

    def require_order(self) -> None:
        """Every resource's events came in the order in which they happened."""
        for subject, sequences in self.by_resource().items():
            assert sequences == sorted(sequences), subject

    async def _run(self) -> None:
        stopped = asyncio.create_task(asyncio.to_thread(self._stopping.wait))
        while not stopped.done():
            with suppress(BrokerUnavailable):
                async with connected(self._url, "reader") as (connection, ended):
                    with broker_errors():
                        await self._read(connection)
                    closed = asyncio.create_task(ended.wait())
                    await asyncio.wait({stopped, closed}, return_when=asyncio.FIRST_COMPLETED)
                    closed.cancel()
            await asyncio.wait({stopped}, timeout=0.2)

    async def _read(self, connection: aio_pika.abc.AbstractConnection) -> None:
        channel = await connection.channel()
        await channel.set_qos(200)
        exchange = await channel.declare_exchange(self._exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(self._queue, durable=True, arguments={"x-queue-type": "quorum"})
        for pattern in self._patterns:
            await queue.bind(exchange, pattern)
        await queue.consume(self._take)
        self._reads.set()

    async def _take(self, message: AbstractIncomingMessage) -> None:
        event = json.loads(message.body)
        self.messages.append(message)
        self.events.setdefault(event["id"], event)
        with suppress(Exception):
            await message.ack()

    def __enter__(self) -> "BrokerReader":
        self._thread.start()
        assert self._reads.wait(60), "the reader did not begin"
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)
