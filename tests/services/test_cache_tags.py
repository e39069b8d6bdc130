"""Pages that new rows do not change, on a real Valkey: they outlive a new row, and no row that belongs on them is missed."""

import pytest

from infrastructure.cache.entries import page_entry
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import Invalidation, tag_key
from tests.services.cached_worker import Worker

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PAGE = page_entry("products:list:skip:0:limit:2", "products", None)
LAST = page_entry("products:list:skip:2:limit:2", "products", None)


def added(*row_ids: int) -> Invalidation:
    invalidation = Invalidation()
    for row_id in row_ids:
        invalidation.row_added("products", row_id)
    return invalidation


async def full() -> RenderedResponse:
    return RenderedResponse(b"[1,5]", "", complete_to=5)


async def partial() -> RenderedResponse:
    return RenderedResponse(b"[6]", "")


async def hits(worker: Worker) -> tuple[bool, bool]:
    """Whether the full page and the last one are still fresh."""
    return (await worker.cache.get_or_load(PAGE, full))[1], (await worker.cache.get_or_load(LAST, partial))[1]


async def test_a_new_row_does_not_invalidate_full_pages_before_it(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    await hits(worker)
    await other.cache.invalidate(added(7))

    assert await hits(worker) == (True, False)
    assert await hits(other) == (True, True)


async def test_a_row_that_was_overtaken_invalidates_the_pages_behind_it(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    await hits(worker)
    await other.cache.invalidate(added(9, 4))

    assert await hits(worker) == (False, False)


@pytest.mark.parametrize("change", ["row_changed", "row_removed"])
async def test_any_other_change_invalidates_every_page(workers: tuple[Worker, Worker], change: str) -> None:
    worker, other = workers
    await hits(worker)
    invalidation = Invalidation()
    getattr(invalidation, change)("products", 1)
    await other.cache.invalidate(invalidation)

    assert await hits(worker) == (False, False)


async def test_a_page_loaded_before_a_new_row_is_not_stored_after_it(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers

    async def overtaken() -> RenderedResponse:
        # Row 4 is committed and invalidates while this page, which should have it, is being loaded.
        await other.cache.invalidate(added(4))
        return await full()

    await worker.cache.get_or_load(PAGE, overtaken)

    assert (await worker.cache.get_or_load(PAGE, full))[1] is False


async def test_the_frontier_is_that_of_the_furthest_page(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers

    async def far() -> RenderedResponse:
        return RenderedResponse(b"[8,9]", "", complete_to=9)

    await worker.cache.get_or_load(LAST, far)
    await worker.cache.get_or_load(PAGE, full)
    await other.cache.invalidate(added(8))

    assert (await worker.cache.get_or_load(LAST, far))[1] is False


async def test_a_tag_value_that_was_evicted_takes_its_frontier_along(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    await hits(worker)
    await other.gateway.call("DEL", other.gateway.key(tag_key("products:rows")))
    await other.cache.invalidate(added(7))

    assert await hits(worker) == (False, False)
