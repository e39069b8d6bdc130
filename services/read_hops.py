"""Shared hops: reads that are asked for in the same turn of the event loop go to a database thread together.

One that has to wait, for a lock, holds up none of the others for long: those behind it get a hop of their own.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from sqlalchemy.orm import Session

from infrastructure.cache.batcher import Batcher, SharedFuture

# So many reads share a hop at most: the slowest of them holds up the others.
_READS_PER_HOP = 4
# But not for longer than this.
_PATIENCE_SECONDS = 0.2

Read = Callable[[Session], Any]


class Run(Protocol):
    """What runs work in a database thread for a request that has waited since a moment of the monotonic clock."""

    def __call__(self, work: Callable[[], None], since: float) -> Coroutine[Any, Any, None]: ...


@dataclass(slots=True, eq=False)
class _SharedRead:
    """A read, for all who ask for it in one turn, with the context of whoever asked first."""

    work: Read
    context: Context
    since: float
    answer: SharedFuture[Any]

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            # Retrieved here: whoever asked may be gone, and asyncio would report it as never retrieved.
            self.answer.exception()


class _Hop:
    """The reads that one thread reads, one after the other."""

    def __init__(self, reads: Sequence[_SharedRead]) -> None:
        self._number = len(reads)
        self._unread = deque(reads)
        self._begun: list[_SharedRead] = []
        self._outcomes: deque[tuple[_SharedRead, Any, Exception | None]] = deque()
        self.since = reads[0].since

    def read_all(self, attempt: Callable[[Read], Any]) -> None:
        """In the thread."""
        with suppress(IndexError):
            while True:
                read = self._unread.popleft()
                self._begun.append(read)
                try:
                    self._outcomes.append((read, read.context.run(attempt, read.work), None))
                except Exception as error:
                    self._outcomes.append((read, None, error))

    @property
    def is_waiting(self) -> bool:
        """Whether it has no thread yet."""
        return len(self._unread) == self._number

    def take_unread(self) -> Iterator[_SharedRead]:
        """Those that have not begun, which are no longer part of the hop."""
        with suppress(IndexError):
            while True:
                yield self._unread.popleft()

    def deliver(self) -> None:
        """Give what was read to those who wait for it."""
        while self._outcomes:
            read, result, error = self._outcomes.popleft()
            if error is not None:
                read.fail(error)
            elif not read.answer.done():
                read.answer.set_result(result)

    def fail(self, error: Exception) -> None:
        """Give the error to those who still wait."""
        for read in (*self._begun, *self.take_unread()):
            read.fail(error)


class ReadHops:
    """The hops of one worker. `attempt` reads, in a database thread."""

    def __init__(self, run: Run, attempt: Callable[[Read], Any]) -> None:
        self._run, self._attempt = run, attempt
        self._reads: Batcher[dict[Read, _SharedRead], None] = Batcher(dict, self._read_all)
        # The hops of reads that were not to wait any longer for the one before them.
        self._divided: set[asyncio.Task[None]] = set()

    async def read(self, work: Read, since: float) -> Any:
        """What `work` reads. Raises what it raises, or what `run` does."""
        reads, _ = self._reads.join()
        shared = reads.get(work)
        if shared is None:
            shared = reads[work] = _SharedRead(work, copy_context(), since, SharedFuture())
        return await shared.answer

    async def _read_all(self, reads: dict[Read, _SharedRead]) -> None:
        wanted = list(reads.values())
        hops = [wanted[start : start + _READS_PER_HOP] for start in range(0, len(wanted), _READS_PER_HOP)]
        await asyncio.gather(*map(self._read_some, hops))

    async def _read_some(self, reads: Sequence[_SharedRead]) -> None:
        hop, loop = _Hop(reads), asyncio.get_running_loop()
        timer = None

        def divide() -> None:
            nonlocal timer
            if hop.is_waiting:
                timer = loop.call_later(_PATIENCE_SECONDS, divide)
                return
            hop.deliver()
            for read in hop.take_unread():
                task = loop.create_task(self._read_some([read]))
                self._divided.add(task)
                task.add_done_callback(self._divided.discard)

        if len(reads) > 1:
            timer = loop.call_later(_PATIENCE_SECONDS, divide)
        try:
            await self._run(partial(hop.read_all, self._attempt), hop.since)
            hop.deliver()
        except Exception as error:
            hop.deliver()
            hop.fail(error)
        finally:
            if timer is not None:
                timer.cancel()
