"""Bounds what connections may take without being of use: their number per address, and the time they keep a worker waiting.

One timer per worker looks at all connections four times a second. Requests are not slowed down by it: what the guard
needs to know, the protocol has noted anyway.
"""

import asyncio
import fcntl
import logging
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from config.settings import Network, Settings
from infrastructure.server.connection_counts import ConnectionCounts
from infrastructure.server.ip_addresses import belongs_to, parse_address

log = logging.getLogger("shop.connections")

_SWEEP_SECONDS = 0.25
# More time is not counted at once: while the worker itself was held up, nobody could have been heard.
_LONGEST_SWEEP_SECONDS = 1.0
# An answer may wait longer than a request: people page through what they fetch, and nothing of it has to be held.
_RESPONSE_SECONDS = 60.0
# For an application that was told that a body comes too slowly: to answer, before its connection is closed.
_REFUSAL_SECONDS = 1.0
_LOG_SECONDS = 60.0


class Awaited(Enum):
    """What a connection waits for its client to do."""

    HEAD = "head"
    BODY = "body"
    RESPONSE = "response"


class Closed(Enum):
    """Why a connection was closed that its client would have kept open."""

    TOO_MANY = "too_many"
    CROWDED_OUT = "crowded_out"
    TOO_SLOW = "too_slow"


_MESSAGES = {
    Closed.TOO_MANY: (
        logging.WARNING,
        "Connections: %d refused, beyond LIMIT_CONNECTIONS_PER_ADDRESS, the last from %s",
    ),
    Closed.CROWDED_OUT: (
        logging.WARNING,
        "Connections: %d closed that had sent no request, to make room, the last from %s",
    ),
    Closed.TOO_SLOW: (logging.INFO, "Connections: %d closed that kept the shop waiting, the last from %s"),
}


@dataclass(slots=True)
class Wait:
    """How long one connection has kept the worker waiting, in seconds, and for what."""

    subject: object = None
    progress: int = 0
    seconds: float = 0.0


class Connection(Protocol):
    """What the guard asks of a connection."""

    wait: Wait

    @property
    def peer(self) -> str | None:
        """The address of the client; None for one that has none, as through a Unix socket."""

    def awaits(self) -> tuple[Awaited, object, int] | None:
        """What the client is waited for: to do what, which one of these, and a number of bytes that grows with it."""

    def has_sent_a_head(self) -> bool: ...

    def refuse(self) -> None:
        """Refuse a connection that has just come."""

    def give_up(self, awaited: Awaited) -> bool:
        """End the waiting; False when that takes another moment."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds; `body_rate` in bytes per second. Addresses of `uncounted` have no limit of connections."""

    head_seconds: float
    body_seconds: float
    body_rate: int
    per_address: int
    uncounted: tuple[Network, ...] = ()


class ConnectionGuard:
    """Looks after the connections of one worker. `counts` are shared by all of them."""

    def __init__(self, limits: Limits, counts: ConnectionCounts | None = None) -> None:
        self._limits = limits
        self.counts = counts or ConnectionCounts()
        self._time_limits = {
            Awaited.HEAD: limits.head_seconds,
            Awaited.BODY: limits.body_seconds,
            Awaited.RESPONSE: _RESPONSE_SECONDS,
        }
        self._open: set[Connection] = set()
        # Those that have not sent a head yet, as far as was seen; the oldest first.
        self._silent: dict[Connection, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._swept = 0.0
        self._unreported: dict[Closed, int] = dict.fromkeys(Closed, 0)
        self._reported_at: dict[Closed, float] = {}
        self._last_peer: dict[Closed, str | None] = {}
        # Told of every connection that is closed.
        self.on_closed: Callable[[Closed], None] = _ignore

    def add(self, connection: Connection, limit: int | None, loop: asyncio.AbstractEventLoop) -> None:
        """Count a new connection, and turn it away if it is one too many of its address.

        Where there are `limit` already, one that has been silent for longest makes room.
        """
        self._open.add(connection)
        if self._timer is None:
            self._swept = loop.time()
            self._timer = loop.call_later(_SWEEP_SECONDS, self._sweep, loop)
        address = connection.peer
        if address is not None and self.counts.add(address) > self._limits.per_address and self._is_counted(address):
            self._count(Closed.TOO_MANY, connection, loop)
            connection.refuse()
            return
        # It takes a moment until the one that has to go is gone.
        if limit is not None and len(self._open) >= limit - limit // 100:
            self._make_room(loop)
        self._silent[connection] = None

    def remove(self, connection: Connection) -> None:
        """Count a connection no more, which has ended."""
        self._open.discard(connection)
        self._silent.pop(connection, None)
        if connection.peer is not None:
            self.counts.remove(connection.peer)

    def _is_counted(self, address: str) -> bool:
        return not belongs_to(parse_address(address) or address, self._limits.uncounted)

    def _make_room(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._silent:
            oldest = next(iter(self._silent))
            del self._silent[oldest]
            if not oldest.has_sent_a_head():
                self._count(Closed.CROWDED_OUT, oldest, loop)
                oldest.give_up(Awaited.HEAD)
                return

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        elapsed, self._swept = min(now - self._swept, _LONGEST_SWEEP_SECONDS), now
        self._timer = None
        if self._open or any(self._unreported.values()):
            self._timer = loop.call_later(_SWEEP_SECONDS, self._sweep, loop)
        for connection in tuple(self._open):
            if connection in self._silent and connection.has_sent_a_head():
                del self._silent[connection]
            self._check(connection, elapsed, loop)
        self._report(now)

    def _check(self, connection: Connection, elapsed: float, loop: asyncio.AbstractEventLoop) -> None:
        wait, awaits = connection.wait, connection.awaits()
        if awaits is None:
            wait.subject, wait.seconds = None, 0.0
            return
        awaited, subject, progress = awaits
        if subject is not wait.subject:
            wait.subject, wait.progress, wait.seconds = subject, progress, 0.0
        wait.seconds += elapsed
        if awaited is not Awaited.HEAD and progress != wait.progress:
            # A head is whole in its time or not. Everything else may take as long as it goes on at some rate.
            wait.seconds = max(0.0, wait.seconds - abs(progress - wait.progress) / self._limits.body_rate)
            wait.progress = progress
        if wait.seconds >= self._time_limits[awaited]:
            if connection.give_up(awaited):
                self._count(Closed.TOO_SLOW, connection, loop)
            else:
                wait.seconds -= _REFUSAL_SECONDS

    def _count(self, reason: Closed, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self.on_closed(reason)
        self._unreported[reason] += 1
        self._last_peer[reason] = connection.peer
        self._report(loop.time())

    def _report(self, now: float) -> None:
        """One line a minute at most, however many there were."""
        for reason in (reason for reason, count in self._unreported.items() if count):
            if now - self._reported_at.get(reason, -_LOG_SECONDS) >= _LOG_SECONDS:
                level, text = _MESSAGES[reason]
                log.log(level, text, self._unreported[reason], self._last_peer[reason])
                self._reported_at[reason], self._unreported[reason] = now, 0


def guard_of(settings: Settings) -> ConnectionGuard:
    """The guard with these settings, for the process that makes it and for the workers that are its forks."""
    limits = Limits(
        head_seconds=settings.timeout_head,
        body_seconds=settings.timeout_body,
        body_rate=settings.min_body_rate,
        per_address=settings.limit_connections_per_address,
        uncounted=(*settings.trusted_proxies, *(settings.rate_limit_exempt or ())),
    )
    return ConnectionGuard(limits, ConnectionCounts(settings.uvicorn_workers))


def unsent_bytes(transport: asyncio.Transport) -> int:
    """What the client has still to take: in the transport and, where Linux tells, in the kernel."""
    unsent = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if sys.platform == "linux" and connection is not None:
        with suppress(OSError, ValueError):  # It was closed this moment.
            answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
            unsent += int.from_bytes(answer, sys.byteorder)
    return unsent


def _ignore(reason: Closed) -> None:
    """Nobody is told."""
