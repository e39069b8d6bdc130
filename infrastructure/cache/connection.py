"""Connections to Redis: how they are opened, and what is sent on them."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ResponseError
from redis.maint_notifications import MaintNotificationsConfig

# Closing a connection may wait for its last bytes to leave; a frozen server must not hold that up.
_CLOSE_SECONDS = 1.0

Argument = str | bytes | int


async def reply_on(connection: AbstractConnection) -> Any:
    """The next reply; an error that Redis replies with is returned."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def packed(command: Sequence[Argument]) -> bytes:
    """`command` as it is sent. A text that is not UTF-8 raises here, in its own caller."""
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def pool_of(url: str, max_connections: int) -> ConnectionPool:
    """A pool that refuses when it is exhausted, retries nothing and sends nothing that is not needed.

    The time of a call is bounded once, by the exchange; the library's own timeouts would start one more task for each
    command.
    """
    return ConnectionPool.from_url(
        url,
        max_connections=max_connections,
        socket_timeout=None,
        # The library also waits so long for a connection to close. Connecting is bounded earlier, by the exchange.
        socket_connect_timeout=_CLOSE_SECONDS,
        protocol=2,
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
