"""Publisher: messages to a topic exchange, which count as sent when the broker has confirmed them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractExchange

from infrastructure.broker.connection import ANSWER_SECONDS, broker_errors, connected
from infrastructure.broker.topology import Subscription, declare_exchange, declare_queue


@dataclass(frozen=True, slots=True)
class Letter:
    """A message: its id stays the same however often it is sent; `topic` is what queues are bound by."""

    id: str
    topic: str
    content_type: str
    written_at: datetime
    body: bytes

    def message(self) -> Message:
        """The message of the library, which survives a restart of the broker."""
        return Message(
            self.body,
            message_id=self.id,
            type=self.topic,
            content_type=self.content_type,
            timestamp=self.written_at,
            delivery_mode=DeliveryMode.PERSISTENT,
        )


class Publisher:
    """Sends to one exchange over one connection."""

    def __init__(self, exchange: AbstractExchange) -> None:
        self._exchange = exchange

    async def send(self, letters: Sequence[Letter]) -> None:
        """Return when the broker has confirmed all of them. Raises `BrokerUnavailable`: any may have been sent then.

        One that no queue is bound for is confirmed, too.
        """
        with broker_errors():
            async with asyncio.timeout(ANSWER_SECONDS):
                sent = [self._exchange.publish(one.message(), one.topic, mandatory=False) for one in letters]
                # All have an end before this one has.
                for result in await asyncio.gather(*sent, return_exceptions=True):
                    if isinstance(result, BaseException):
                        raise result


@asynccontextmanager
async def publisher(
    url: str, exchange: str, name: str, subscriptions: Sequence[Subscription] = ()
) -> AsyncIterator[Publisher]:
    """A publisher to the durable topic exchange, which is declared, and queues of the shop's own for it.

    Raises `BrokerUnavailable`.
    """
    async with connected(url, name) as (connection, _):
        with broker_errors():
            async with asyncio.timeout(ANSWER_SECONDS):
                channel = await connection.channel(publisher_confirms=True)
                declared = await declare_exchange(channel, exchange)
                for subscription in subscriptions:
                    await declare_queue(channel, declared, subscription)
        yield Publisher(declared)
