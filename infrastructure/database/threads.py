"""Thread pool: the database threads of one worker, and what ends the wait of one whose server says nothing.

A driver that waits for an answer cannot be told to stop. But its socket can be shut: then the wait ends with an error,
as if the server had gone.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Engine, event

from config.settings import Settings
from infrastructure.database.sqlstate import DatabaseUnavailable, NoAnswer
from infrastructure.database.waiting_pool import patience

T = TypeVar("T")

_PLUG = "plug"


class _OfThread(threading.local):
    hop: "Hop | None" = None


_of_thread = _OfThread()


class _Plug:
    """A second descriptor of a connection's socket. It stays valid whatever the driver does to its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)

    def pull(self) -> None:
        """End whatever waits for the socket."""
        shut = socket.socket(fileno=self._descriptor)
        with suppress(OSError):
            shut.shutdown(socket.SHUT_RDWR)
        shut.detach()

    def __del__(self) -> None:
        os.close(self._descriptor)


class Hop:
    """One work in a database thread. Times are by the monotonic clock.

    `since` is when its request began to wait; `statement_since` when the statement was sent that is on its way now.
    """

    __slots__ = ("answer", "given_up", "plug", "since", "statement_since")

    def __init__(self, answer: "asyncio.Future[Any]", since: float) -> None:
        self.answer, self.since = answer, since
        self.statement_since: float | None = None
        self.plug: _Plug | None = None
        self.given_up = False

    def cut(self) -> None:
        """Break the connection on which a statement is on its way, if one is: the thread is free soon."""
        plug = self.plug
        if plug is not None and self.statement_since is not None:
            plug.pull()

    def give_up(self) -> None:
        """Let nobody wait for it any longer. What has been sent may still take effect."""
        self.given_up = True
        if not self.answer.done():
            self.answer.set_exception(NoAnswer("the database does not answer"))
        self.cut()

    def settle(self, future: "asyncio.Future[Any]") -> None:
        # Fetched in any case, so that asyncio does not report the error of a request whose client has gone.
        error = None if future.cancelled() else future.exception()
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(future.result())


def current_hop() -> Hop | None:
    """The hop of this thread; None in a thread of somebody else."""
    return _of_thread.hop


class DatabaseThreads:
    """The threads of one worker. Who finds none free waits on the event loop, at most `db_pool_timeout` seconds.

    `on_wait` is called when a request begins to wait for a thread's answer.
    """

    def __init__(self, settings: Settings, on_wait: Callable[[], None]) -> None:
        self.number = settings.db_pool_size
        self.waiting = 0
        self._patience = settings.db_pool_timeout
        self._on_wait = on_wait
        self._threads = ThreadPoolExecutor(self.number, thread_name_prefix="database")
        self._free = asyncio.Semaphore(self.number)
        self._hops: set[Hop] = set()

    @property
    def busy(self) -> int:
        """How many threads are at work."""
        return len(self._hops)

    async def run(self, work: Callable[[], T], since: float | None = None) -> T:
        """The result of `work`, run in a thread with this task's context variables.

        `since` is when the request began to wait, by the monotonic clock, if not now. Raises `DatabaseUnavailable` when
        no thread is free in time. The thread is not given back before `work` ends, even when the waiting client has gone.
        """
        loop = asyncio.get_running_loop()
        since = time.monotonic() if since is None else since
        await self._acquire(since)
        hop = Hop(loop.create_future(), since)
        self._hops.add(hop)
        try:
            future = loop.run_in_executor(self._threads, copy_context().run, _as_hop, hop, self._patience, work)
        except BaseException:
            self._release(hop)
            raise
        future.add_done_callback(partial(self._end, hop))
        self._on_wait()
        result: T = await hop.answer
        return result

    async def _acquire(self, since: float) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        self.waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), since + self._patience - time.monotonic())
        except TimeoutError:
            raise DatabaseUnavailable("no database connection free in time") from None
        finally:
            self.waiting -= 1

    def _release(self, hop: Hop) -> None:
        self._hops.discard(hop)
        self._free.release()

    def _end(self, hop: Hop, future: "asyncio.Future[Any]") -> None:
        self._release(hop)
        hop.settle(future)

    def oldest(self) -> float | None:
        """Since when the request waits that has waited longest."""
        return min((hop.since for hop in self._hops), default=None)

    def cut(self, before: float) -> bool:
        """Break the connections whose statement was sent before this; whether there were any."""
        late = [hop for hop in self._hops if hop.statement_since is not None and hop.statement_since < before]
        for hop in late:
            hop.cut()
        return bool(late)

    def give_up(self) -> None:
        """Let nobody wait any longer for what is at work."""
        for hop in list(self._hops):
            hop.give_up()

    def close(self) -> None:
        """Wait for the work of all threads."""
        self._threads.shutdown(wait=True)


def _as_hop(hop: Hop, patience_seconds: float, work: Callable[[], T]) -> T:
    _of_thread.hop = hop
    patience.seconds = max(0.0, hop.since + patience_seconds - time.monotonic())
    try:
        return work()
    finally:
        _of_thread.hop = hop.plug = hop.statement_since = None


def follow(engine: Engine) -> None:
    """Let hops break the connections of `engine`."""
    event.listen(engine, "connect", _plug_in)


def _plug_in(connection: Any, record: Any) -> None:
    record.info[_PLUG] = _Plug(connection.fileno())


def note_sent(connection: MutableMapping[str, Any], now: float) -> None:
    """Tell the hop of this thread that a statement is sent on the connection with this `info`."""
    hop = _of_thread.hop
    if hop is not None:
        hop.plug, hop.statement_since = connection.get(_PLUG), now
        if hop.given_up:
            hop.cut()


def note_committing() -> None:
    """Tell the hop of this thread that it commits, on the connection of its last statement."""
    hop = _of_thread.hop
    if hop is not None:
        hop.statement_since = time.monotonic()


def note_answered() -> None:
    """Tell the hop of this thread that nothing is on its way any more."""
    hop = _of_thread.hop
    if hop is not None:
        hop.statement_since = None
