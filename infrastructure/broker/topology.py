"""What the shop declares at the broker: the exchange of its events, and queues that lose nothing."""

from dataclasses import dataclass

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

# A message that was given back so often is dead.
_MOST_DELIVERIES = 20


@dataclass(frozen=True, slots=True)
class Subscription:
    """A durable queue for the messages whose topics fit the pattern."""

    queue: str
    pattern: str

    @property
    def dead_letters(self) -> str:
        """The exchange, and its queue, for what the reader refuses, or gives back again and again."""
        return f"{self.queue}.dead"


async def declare_exchange(channel: AbstractChannel, name: str) -> AbstractExchange:
    """The durable topic exchange."""
    return await channel.declare_exchange(name, ExchangeType.TOPIC, durable=True)


async def declare_queue(
    channel: AbstractChannel, exchange: AbstractExchange, subscription: Subscription
) -> AbstractQueue:
    """The queue, which gets messages from now on; both it and its dead letters survive the loss of a node."""
    dead = subscription.dead_letters
    dead_exchange = await channel.declare_exchange(dead, ExchangeType.FANOUT, durable=True)
    dead_queue = await channel.declare_queue(dead, durable=True, arguments={"x-queue-type": "quorum"})
    await dead_queue.bind(dead_exchange)
    queue = await channel.declare_queue(
        subscription.queue,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": _MOST_DELIVERIES,
            "x-dead-letter-exchange": dead,
            # A dead letter is in its queue before it leaves this one, which asks for the other setting.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    await queue.bind(exchange, subscription.pattern)
    return queue
