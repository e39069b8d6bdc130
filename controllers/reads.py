"""Resolved routes: how the GET of one target is answered, for the route cache (`middleware.route_cache`).

They depend on the target alone, so that `middleware.edge` answers every later request of it without calling the route. The
response is as fresh each time as if the route had been called.
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
    """A response that is read from the database each time."""

    executor: Executor
    work: Work
    cache_control: bytes = PRIVATE

    def check(self) -> None:
        """Nothing to check: it is never cached."""

    def get_if_fresh(self, current: TagValues) -> None:
        """No copy: it is never cached."""

    async def get_or_load(self, current: SharedFuture[TagValues] | None = None) -> tuple[RenderedResponse, bool | None]:
        return await self.executor.read(self.work), None


@dataclass(slots=True)
class CachedRead:
    """A response that is cached under `entry`."""

    executor: Executor
    entry: Entry
    work: Work
    cache_control: bytes = PRIVATE

    def check(self) -> SharedFuture[TagValues] | None:
        return self.executor.cache.check(self.entry)

    def get_if_fresh(self, current: TagValues) -> RenderedResponse | None:
        return self.executor.cache.get_if_fresh(self.entry, current)

    async def get_or_load(self, current: SharedFuture[TagValues] | None = None) -> tuple[RenderedResponse, bool | None]:
        return await self.executor.read_cached(self.entry, self.work, current)


@dataclass(slots=True)
class CachedPage:
    """A page of all rows, of two responses that are cached by themselves: the rows of the page, and the number of all.

    A new row changes the number, but leaves most pages as they are. `complete` joins the two. The joined response lives
    only as long as this worker's copy of the rows, because the copies are bounded by bytes.
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

    def get_if_fresh(self, current: TagValues) -> RenderedResponse | None:
        rows, size = self.rows.get_if_fresh(current), self.size.get_if_fresh(current)
        return None if rows is None or size is None else self._whole_of(rows, size)

    async def get_or_load(self, current: SharedFuture[TagValues] | None = None) -> tuple[RenderedResponse, bool | None]:
        rows, rows_hit = await self.rows.get_or_load(current)
        size, size_hit = await self.size.get_or_load(current)
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
