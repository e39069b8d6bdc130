"""Hub: looks for new events once for all of a worker's readers that wait, and wakes those whom one is for.

A reader that is woken reads for itself, from where it is, so that nothing is kept for a slow one, and nobody waits for
it. While nobody waits the hub does nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from events.news import News
from events.reader import EventReader
from services.errors import Unavailable
from services.event import MOST_CHANGES, Change, Selection

log = logging.getLogger("shop.events")

# So long the hub rests between two looks, in which further events may come.
_REST_SECONDS = 0.05


@dataclass(slots=True, eq=False)
class _Waiting:
    """A reader that has read up to `after`."""

    selection: Selection
    after: int
    woken: asyncio.Future[None]

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class Slots:
    """So many readers may wait at a time."""

    def __init__(self, number: int, what: str) -> None:
        self._free, self._what = number, what

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A slot for one reader. Raises `Unavailable` if there is none."""
        if not self._free:
            raise Unavailable(f"Too many {self._what}, try again later")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class EventHub:
    """The waiting readers of one worker, on one event loop. `news` makes what tells of commits."""

    def __init__(self, reader: EventReader, news: Callable[[], News], *, streams: int, waits: int) -> None:
        self._reader, self._news = reader, news
        self.streams = Slots(streams, "streams of events are open")
        self.waits = Slots(waits, "requests wait for events")
        self._waiting: set[_Waiting] = set()
        self._looking: asyncio.Task[None] | None = None
        # Up to here the hub has looked, as long as it looks.
        self._position = 0
        self.is_draining = False

    def drain(self) -> None:
        """Wake all who wait, and let nobody wait any more."""
        self.is_draining = True
        for waiting in self._waiting:
            waiting.wake()

    async def close(self) -> None:
        """Stop looking."""
        self.drain()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def wait(self, selection: Selection, after: int, seconds: float, gone: asyncio.Future[None]) -> bool:
        """Wait until there may be a selected event behind `after`; whether there may be one.

        Not if so many seconds are over, the client is gone, or the hub drains.
        """
        if self.is_draining or gone.done() or seconds <= 0:
            return False
        is_looking = self._looking is not None and not self._looking.done()
        if is_looking and self._position > after:
            # Once: the position may be too far, by a reader who waits for what is far ahead, or because what was there
            # has been removed.
            self._position = after
            return True
        waiting = _Waiting(selection, after, asyncio.get_running_loop().create_future())
        self._waiting.add(waiting)
        try:
            if not is_looking:
                self._position = after
                self._looking = asyncio.create_task(self._look_on())
            await asyncio.wait({waiting.woken, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return waiting.woken.done() and not self.is_draining
        finally:
            self._waiting.discard(waiting)

    async def _look_on(self) -> None:
        """Look as long as somebody waits."""
        # Somebody may come while what tells of news is closed.
        while self._waiting:
            async with self._news() as news:
                while self._waiting:
                    if not await self._look():
                        await news.wait()
                    await asyncio.sleep(_REST_SECONDS)

    async def _look(self) -> bool:
        """Wake those whom new events are for; whether there may be more of them already."""
        try:
            changes = await self._reader.changes(self._position)
        except Unavailable as error:
            log.debug("No look for events: %s", error)
            return False
        except Exception:
            log.exception("No look for events")
            return False
        if changes:
            self._position = changes[-1].sequence
            for waiting in self._waiting:
                if _concerns(waiting, changes):
                    waiting.wake()
        return len(changes) == MOST_CHANGES


def _concerns(waiting: _Waiting, changes: Sequence[Change]) -> bool:
    return any(change.sequence > waiting.after and change.is_of(waiting.selection) for change in changes)
