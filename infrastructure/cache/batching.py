"""What many requests ask at the same time, asked once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar, cast

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")


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


class SingleFlight:
    """Works under names, each done once for all who ask for its name meanwhile."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def result(self, name: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns or raises, or what somebody else's does that is under way under `name`.

        It runs in a task of its own, so that whoever came first may leave without failing the others.
        """
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.create_task(work())
            task.add_done_callback(partial(self._forget, name))
        return cast(T, await asyncio.shield(task))

    def detach(self, name: Hashable) -> None:
        """Let nobody join the work under `name` any more; those who have still get its result."""
        self._tasks.pop(name, None)

    async def wait(self) -> None:
        """Return when all that can be joined now is done."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _forget(self, name: Hashable, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
        # All who waited may have gone; an error that nobody collects would be reported as lost.
        if not task.cancelled():
            task.exception()
