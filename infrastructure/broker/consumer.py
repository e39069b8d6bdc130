"""Consumer: reads a queue, many messages at a time; each stays there until it is acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aio_pika.abc import AbstractIncomingMessage

from infrastructure.broker.connection import ANSWER_SECONDS, BrokerUnavailable, broker_errors, connected
from infrastructure.broker.topology import Subscription, declare_exchange, declare_queue

# So many are given to one consumer before it acknowledges the first.
PREFETCH = 100


class Consumer:
    """What has come of one queue over one connection."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended
        self._come: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Keep the message until somebody asks for the next ones."""
        self._come.put_nowait(message)

    async def next(self) -> Sequence[AbstractIncomingMessage]:
        """The messages that have come; waits for one at least. Raises `BrokerUnavailable` when there will be none."""
        coming, ending = asyncio.create_task(self._come.get()), asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({coming, ending}, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.is_set():
                # What has come over this connection cannot be acknowledged any more: it comes again.
                raise BrokerUnavailable("the connection has ended")
            messages = [coming.result()]
        finally:
            coming.cancel()
            ending.cancel()
        while not self._come.empty():
            messages.append(self._come.get_nowait())
        return messages


async def acknowledge(messages: Sequence[AbstractIncomingMessage]) -> None:
    """These are dealt with. Raises `BrokerUnavailable`."""
    await _settle([message.ack() for message in messages])


async def give_back(message: AbstractIncomingMessage) -> None:
    """Have it come again, and be a dead letter in the end. Raises `BrokerUnavailable`."""
    await _settle([message.reject(requeue=True)])


async def refuse(message: AbstractIncomingMessage) -> None:
    """It is a dead letter. Raises `BrokerUnavailable`."""
    await _settle([message.reject(requeue=False)])


async def _settle(settling: Sequence[Coroutine[Any, Any, None]]) -> None:
    with broker_errors():
        async with asyncio.timeout(ANSWER_SECONDS):
            for result in await asyncio.gather(*settling, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result


@asynccontextmanager
async def consumer(url: str, exchange: str, subscription: Subscription, name: str) -> AsyncIterator[Consumer]:
    """A consumer of the queue, which is declared. Raises `BrokerUnavailable`."""
    async with connected(url, name) as (connection, ended):
        one = Consumer(ended)
        with broker_errors():
            async with asyncio.timeout(ANSWER_SECONDS):
                channel = await connection.channel()
                await channel.set_qos(PREFETCH)
                queue = await declare_queue(channel, await declare_exchange(channel, exchange), subscription)
                # A queue that is deleted, or whose leader is lost, cancels its consumers; and channels end alone.
                channel.close_callbacks.add(lambda *_: ended.set())
                underlay = await channel.get_underlay_channel()
                underlay.on_consumer_cancel_callbacks.add(lambda _: ended.set())
                await queue.consume(one.take)
        yield one
