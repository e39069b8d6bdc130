"""Connection guard: limits the connections per address, and the time that a connection keeps a worker waiting.

One timer per worker checks all connections four times a second. It does not slow requests down: the protocol has the
data that it needs anyway.
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
# A longer sweep counts as this: while the worker itself was blocked, it could not read from clients.
_LONGEST_SWEEP_SECONDS = 1.0
# A response may wait longer than a request: clients may read it in steps, and it holds nothing in the worker.
_RESPONSE_SECONDS = 60.0
# For the application to refuse a body that comes too slowly, before its connection is closed.
_REFUSAL_SECONDS = 1.0
_LOG_SECONDS = 60.0


class Awaited(Enum):
    """What a connection waits for: the head or the body of a request, or that the client reads a response."""

    HEAD = "head"
    BODY = "body"
    RESPONSE = "response"


class Closed(Enum):
    """Why the guard closed a connection."""

    TOO_MANY = "too_many"
    CROWDED_OUT = "crowded_out"
    TOO_SLOW = "too_slow"


_MESSAGES = {
    Closed.TOO_MANY: (
        logging.WARNING,
        "Connections: %d refused, beyond MAX_CONNECTIONS_PER_ADDRESS, the last from %s",
    ),
    Closed.CROWDED_OUT: (
        logging.WARNING,
        "Connections: %d closed that had sent no request, to make room, the last from %s",
    ),
    Closed.TOO_SLOW: (logging.INFO, "Connections: %d closed that kept the shop waiting, the last from %s"),
}


@dataclass(slots=True)
class Wait:
    """How long one connection has kept the worker waiting, in seconds, and for which request or response."""

    subject: object = None
    progress: int = 0
    seconds: float = 0.0


class Connection(Protocol):
    """What the guard needs of a connection."""

    wait: Wait

    @property
    def peer(self) -> str | None:
        """The address of the client; None for one that has none, as through a Unix socket."""

    def awaits(self) -> tuple[Awaited, object, int] | None:
        """What it waits for, of which request or response, and a number of bytes that changes with the progress."""

    def has_sent_a_head(self) -> bool: ...

    def refuse(self) -> None:
        """Refuse a new connection."""

    def give_up(self, awaited: Awaited) -> bool:
        """Stop waiting, and close; False when that takes another moment."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds; `body_rate` in bytes per second. Addresses in `uncounted` have no limit of connections."""

    head_seconds: float
    body_seconds: float
    body_rate: int
    per_address: int
    uncounted: tuple[Network, ...] = ()


class ConnectionGuard:
    """Limits the connections of one worker. `counts` are shared by all workers."""

    def __init__(self, limits: Limits, counts: ConnectionCounts | None = None) -> None:
        self._limits = limits
        self.counts = counts or ConnectionCounts()
        self._time_limits = {
            Awaited.HEAD: limits.head_seconds,
            Awaited.BODY: limits.body_seconds,
            Awaited.RESPONSE: _RESPONSE_SECONDS,
        }
        self._open: set[Connection] = set()
        # Connections without a head so far, by the last sweep; the oldest first.
        self._silent: dict[Connection, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._swept = 0.0
        self._unreported: dict[Closed, int] = dict.fromkeys(Closed, 0)
        self._reported_at: dict[Closed, float] = {}
        self._last_peer: dict[Closed, str | None] = {}
        # Called for every connection that the guard closes.
        self.on_closed: Callable[[Closed], None] = _ignore

    def add(self, connection: Connection, limit: int | None, loop: asyncio.AbstractEventLoop) -> None:
        """Count a new connection, and refuse it if its address has too many.

        When nearly `limit` are open, the one that has been silent for longest is closed.
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
        # Before the limit is reached: it takes a moment until a connection is closed.
        if limit is not None and len(self._open) >= limit - limit // 100:
            self._make_room(loop)
        self._silent[connection] = None

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection that has ended."""
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
            # A head has a fixed time. A body or a response may take longer, as long as it keeps a minimum rate.
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
        """Log one line a minute at most for each reason."""
        for reason in (reason for reason, count in self._unreported.items() if count):
            if now - self._reported_at.get(reason, -_LOG_SECONDS) >= _LOG_SECONDS:
                level, text = _MESSAGES[reason]
                log.log(level, text, self._unreported[reason], self._last_peer[reason])
                self._reported_at[reason], self._unreported[reason] = now, 0


def guard_of(settings: Settings) -> ConnectionGuard:
    """The guard with these settings, for this process and the workers forked from it."""
    limits = Limits(
        head_seconds=settings.timeout_head,
        body_seconds=settings.timeout_body,
        body_rate=settings.min_body_rate,
        per_address=settings.max_connections_per_address,
        uncounted=(*settings.trusted_proxies, *(settings.rate_limit_exempt or ())),
    )
    # One worker more while one that has served enough requests is relieved.
    return ConnectionGuard(limits, ConnectionCounts(settings.uvicorn_workers + 1))


def unsent_bytes(transport: asyncio.Transport) -> int:
    """The bytes that the client has not read yet: in the transport and, on Linux, in the kernel."""
    unsent = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    if sys.platform == "linux" and connection is not None:
        with suppress(OSError, ValueError):  # It has just been closed.
            result = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
            unsent += int.from_bytes(result, sys.byteorder)
    return unsent


def _ignore(reason: Closed) -> None:
    """The default of `on_closed`."""
