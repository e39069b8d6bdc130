"""Single flight: work that many ask for at the same time is done once for all of them."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar, cast

T = TypeVar("T")


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
