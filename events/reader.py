"""Reader: the next events for one who goes on from the last that they saw."""

from collections.abc import Sequence

from events.sequencer import Sequencer
from infrastructure.cache.single_flight import SingleFlight
from infrastructure.database.sqlstate import DatabaseUnavailable
from services.errors import Unavailable
from services.event import Change, EventPage, EventService, Selection
from services.executor import Executor


class EventReader:
    """Reads the events of one worker's database."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._pages = SingleFlight()
        self._sequencer = Sequencer(executor.database.write_pool.execute)

    async def read(self, selection: Selection, after: int, limit: int) -> EventPage:
        """The first events after this sequence, of all that were committed before the call. Raises `Unavailable`."""
        await self.number()
        return await self._executor.read(EventService.page(selection, after, limit))

    async def read_on(self, selection: Selection, after: int, limit: int) -> EventPage:
        """As `read`, of the events that have their sequences. Calls for the same share one query. Raises `Unavailable`."""

        async def page() -> EventPage:
            return await self._executor.read(EventService.page(selection, after, limit))

        return await self._pages.result((selection, after, limit), page)

    async def changes(self, after: int) -> Sequence[Change]:
        """All events after this sequence that were committed before the call, up to `MOST_CHANGES`. Raises `Unavailable`."""
        await self.number()
        return await self._executor.read(EventService.changes(after))

    async def newest(self) -> int:
        """The sequence of the last event that was committed before the call. Raises `Unavailable`."""
        await self.number()
        return await self._executor.read(EventService.newest())

    async def number(self) -> None:
        """Give sequences to what was committed. Raises `Unavailable`."""
        try:
            await self._sequencer.run()
        except DatabaseUnavailable as error:
            raise Unavailable from error
