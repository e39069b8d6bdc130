"""Batcher: what is asked for in one turn of the event loop is loaded together, as by a DataLoader."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class SharedFuture(asyncio.Future[A]):
    """A future that many tasks wait for: one of them that is cancelled does not take the result from the others.

    The cancelled one learns of it when the result is there.
    """

    def cancel(self, msg: Any = None) -> bool:
        return False


async def settled(futures: Iterable[SharedFuture[Any] | None]) -> None:
    """Return when all of them are done, with a result or an error. None stands for nothing to wait for."""
    awaited = {future for future in futures if future is not None and not future.done()}
    if awaited:
        await asyncio.wait(awaited)


class Batcher(Generic[Q, A]):
    """Collects a batch from all who `join` in one turn of the event loop, and then loads it in a task of its own.

    `empty` makes a batch that nobody has added to yet. `load` gets the whole batch; what it returns or raises goes to
    everybody who joined.
    """

    def __init__(self, empty: Callable[[], Q], load: Callable[[Q], Awaitable[A]]) -> None:
        self._empty, self._load = empty, load
        self._open: tuple[Q, SharedFuture[A]] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def join(self) -> tuple[Q, SharedFuture[A]]:
        """The batch of this turn, to be added to now, and its result to come."""
        if self._open is None:
            loop = asyncio.get_running_loop()
            self._open = (self._empty(), SharedFuture(loop=loop))
            # It takes its first step after this turn, and then takes along what was added until then.
            task = loop.create_task(self._load_batch())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return self._open

    async def close(self) -> None:
        """Cancel what is under way, until nobody joins any more."""
        while tasks := list(self._under_way):
            # A task that is cancelled before its first step would not take its batch along.
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _load_batch(self) -> None:
        assert self._open is not None
        (batch, result), self._open = self._open, None
        try:
            result.set_result(await self._load(batch))
        except Exception as error:
            result.set_exception(error)
            # Retrieved here, because all who joined may be gone, and asyncio would report it as never retrieved.
            result.exception()
        except asyncio.CancelledError as error:
            result.set_exception(error)
            result.exception()
            raise
