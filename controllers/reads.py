"""How a GET is answered: what a route finds out about its target once, kept so that it can be answered again.

A read depends on nothing but the target, so that `middleware.edge` may ask it for every later request of the
same target without asking the routes. What it answers is as fresh each time as if the route had been asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import ref

from sqlalchemy.orm import Session

from infrastructure.cache.batcher import SharedFuture
from infrastructure.cache.entries import Entry
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import TagValues
from middleware.cache_control import PRIVATE
from services.executor import Executor

Work = Callable[[Session], RenderedResponse]


@dataclass(slots=True)
class FreshRead:
    """An answer that is read from the database each time."""

    executor: Executor
    work: Work
    cache_control: bytes = PRIVATE

    def check(self) -> None:
        """There is nothing to look for."""

    def get_if_fresh(self, found: TagValues) -> None:
        """Nothing is kept."""

    async def answer(self, found: SharedFuture[TagValues] | None = None) -> tuple[RenderedResponse, bool | None]:
        return await self.executor.read(self.work), None


@dataclass(slots=True)
class CachedRead:
    """An answer that is kept in the cache under `entry`."""

    executor: Executor
    entry: Entry
    work: Work
    cache_control: bytes = PRIVATE

    def check(self) -> SharedFuture[TagValues] | None:
        return self.executor.cache.check(self.entry)

    def get_if_fresh(self, found: TagValues) -> RenderedResponse | None:
        return self.executor.cache.get_if_fresh(self.entry, found)

    async def answer(self, found: SharedFuture[TagValues] | None = None) -> tuple[RenderedResponse, bool | None]:
        return await self.executor.read_cached(self.entry, self.work, found)


@dataclass(slots=True)
class CachedPage:
    """A page of all rows, of two answers that are cached by themselves: the rows, and how many there are in all.

    Most pages outlive a new row, which changes how many there are. `complete` puts the two together. The whole is
    kept only while the cache of this worker keeps its rows: there, what is remembered is bound by bytes.
    """

    rows: CachedRead
    size: CachedRead
    complete: Callable[[RenderedResponse, RenderedResponse], RenderedResponse]
    _parts: tuple[ref[RenderedResponse], ref[RenderedResponse]] | None = None
    _whole: list[RenderedResponse] = field(default_factory=list)

    @property
    def cache_control(self) -> bytes:
        return self.rows.cache_control

    def check(self) -> SharedFuture[TagValues] | None:
        return self.rows.executor.cache.check(self.rows.entry, self.size.entry)

    def get_if_fresh(self, found: TagValues) -> RenderedResponse | None:
        rows, size = self.rows.get_if_fresh(found), self.size.get_if_fresh(found)
        return None if rows is None or size is None else self._whole_of(rows, size)

    async def answer(self, found: SharedFuture[TagValues] | None = None) -> tuple[RenderedResponse, bool | None]:
        rows, rows_hit = await self.rows.answer(found)
        size, size_hit = await self.size.answer(found)
        return self._whole_of(rows, size), bool(rows_hit and size_hit)

    def _whole_of(self, rows: RenderedResponse, size: RenderedResponse) -> RenderedResponse:
        if self._parts is None or self._parts[0]() is not rows or self._parts[1]() is not size:
            self._put_together(rows, size)
        return self._whole[0]

    def _put_together(self, rows: RenderedResponse, size: RenderedResponse) -> None:
        whole = self._whole = [self.complete(rows, size)]

        def forget(_: ref[RenderedResponse]) -> None:
            whole.clear()

        self._parts = ref(rows, forget), ref(size)


AnyRead = FreshRead | CachedRead | CachedPage
