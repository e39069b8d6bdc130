"""Connection: to RabbitMQ, with limits of time of our own, and one kind of error for whatever is wrong with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from yarl import URL

# So long a broker may take for an answer: to a new connection, a declaration, or a message that it has to confirm.
ANSWER_SECONDS = 10.0
# A connection on which nothing is heard for some three times as long is gone.
_HEARTBEAT_SECONDS = 10
_CLOSING_SECONDS = 3.0

# What the libraries say of every attempt, the shop says once.
for _name in ("aio_pika", "aiormq"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class BrokerUnavailable(Exception):
    """The broker is away, does not answer in time, or refuses what it was asked for; the message says which."""


@contextmanager
def broker_errors() -> Iterator[None]:
    """Raise `BrokerUnavailable` for whatever the library raises."""
    try:
        yield
    except TimeoutError as error:
        raise BrokerUnavailable(f"no answer within {ANSWER_SECONDS:.0f} s") from error
    except CONNECTION_EXCEPTIONS as error:
        raise BrokerUnavailable(str(error).partition("\n")[0] or type(error).__name__) from error
    except asyncio.CancelledError as error:
        # The library cancels what waits on a connection that ends.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailable("the connection has ended") from error


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[tuple[AbstractConnection, asyncio.Event]]:
    """A connection, which the broker shows under this name, and what tells that it has ended. Raises `BrokerUnavailable`."""
    address = URL(url)
    address = address.update_query({"heartbeat": str(_HEARTBEAT_SECONDS), "name": name} | dict(address.query))
    with broker_errors():
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = await aio_pika.connect(address)
    ended = asyncio.Event()
    connection.close_callbacks.add(lambda *_: ended.set())
    try:
        yield connection, ended
    finally:
        # A broker that is frozen does not say goodbye.
        with suppress(BrokerUnavailable), broker_errors():
            async with asyncio.timeout(_CLOSING_SECONDS):
                await connection.close()
