"""Single flight: work that many ask for at the same time is done once for all of them."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar, cast

T = TypeVar("T")


class SingleFlight:
    """Runs work under names: a call while work of the same name is under way gets the result of that."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def result(self, name: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns or raises, or the work that is under way as `name`.

        It runs in a task of its own, so that the first caller may be cancelled without failing the others.
        """
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.create_task(work())
            task.add_done_callback(partial(self._remove, name))
        return cast(T, await asyncio.shield(task))

    def detach(self, name: Hashable) -> None:
        """Let later calls not join the work under way as `name`; those that have joined still get its result."""
        self._tasks.pop(name, None)

    async def wait(self) -> None:
        """Return when all work that can be joined now is done."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _remove(self, name: Hashable, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
        # Retrieved here, because all callers may be gone, and asyncio would report the error as never retrieved.
        if not task.cancelled():
            task.exception()
