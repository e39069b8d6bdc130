"""What many requests ask in the same turn of the event loop, asked once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class SharedAnswer(asyncio.Future[A]):
    """The answer that all askers of a turn wait for. One of them that is cancelled does not take it from the others.

    The cancelled one learns of it when the answer is there.
    """

    def cancel(self, msg: Any = None) -> bool:
        return False


class AskedTogether(Generic[Q, A]):
    """Collects a question from all who `join` in one turn of the event loop, and then asks it.

    `empty` makes a question that nobody has added to yet. `ask` gets the whole question; what it returns
    or raises goes to everybody who joined.
    """

    def __init__(self, empty: Callable[[], Q], ask: Callable[[Q], Awaitable[A]]) -> None:
        self._empty, self._ask = empty, ask
        self._open: tuple[Q, SharedAnswer[A]] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def join(self) -> tuple[Q, SharedAnswer[A]]:
        """The question of this turn, to be added to now, and its answer to come."""
        if self._open is None:
            loop = asyncio.get_running_loop()
            self._open = (self._empty(), SharedAnswer(loop=loop))
            # It takes its first step after this turn, and then takes along what was asked until then.
            task = loop.create_task(self._close())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return self._open

    async def _close(self) -> None:
        assert self._open is not None
        (question, answer), self._open = self._open, None
        try:
            answer.set_result(await self._ask(question))
        except Exception as error:
            answer.set_exception(error)
            # Looked at, because all who asked may have gone, and asyncio would report it as lost.
            answer.exception()
        except asyncio.CancelledError as error:
            answer.set_exception(error)
            answer.exception()
            raise
