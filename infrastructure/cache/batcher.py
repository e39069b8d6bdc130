"""Batcher: what is asked for in one turn of the event loop is loaded together, as by a DataLoader."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class SharedFuture(asyncio.Future[A]):
    """The answer that all askers of a turn wait for. One of them that is cancelled does not take it from the others.

    The cancelled one learns of it when the answer is there.
    """

    def cancel(self, msg: Any = None) -> bool:
        return False


async def settled(answers: Iterable[SharedFuture[Any]]) -> None:
    """Return when the answers are there, whatever they are: their `result()` tells."""
    awaited = {answer for answer in answers if not answer.done()}
    if awaited:
        await asyncio.wait(awaited)


class Batcher(Generic[Q, A]):
    """Batcher, as in DataLoader: collects a batch from all who `join` in one turn of the event loop, and then loads it.

    `empty` makes a batch that nobody has added to yet. `load` gets the whole batch; what it returns
    or raises goes to everybody who joined.
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
            # It takes its first step after this turn, and then takes along what was asked until then.
            task = loop.create_task(self._close())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return self._open

    async def _close(self) -> None:
        assert self._open is not None
        (batch, answer), self._open = self._open, None
        try:
            answer.set_result(await self._load(batch))
        except Exception as error:
            answer.set_exception(error)
            # Looked at, because all who asked may have gone, and asyncio would report it as lost.
            answer.exception()
        except asyncio.CancelledError as error:
            answer.set_exception(error)
            answer.exception()
            raise
