"""Pages that new rows do not change, on a real Valkey: they outlive a new row, and no row that belongs on them is missed."""

import pytest

from infrastructure.cache.entries import Entry, page_entry
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import Invalidation, size_tag, tag_key
from tests.services.cached_worker import Worker

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PAGE = page_entry("products:list:skip:0:limit:2", "products", None)
LAST = page_entry("products:list:skip:2:limit:2", "products", None)
SIZE = Entry("products:size", (size_tag("products"),))


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


def by(transaction: int | None, row_id: int = 7) -> Invalidation:
    """A new row of this transaction."""
    invalidation = Invalidation()
    invalidation.row_added("products", row_id, None if transaction is None else str(transaction))
    return invalidation


async def ten() -> RenderedResponse:
    """A count before transactions 731 and from 740 on, while 735 and 737 were under way."""
    return RenderedResponse(b"", "", {"X-Total-Count": "10"}, snapshot="731:740:735,737")


async def size_on(worker: Worker) -> tuple[str, bool]:
    """The number of all rows, and whether it was cached."""
    response, hit = await worker.cache.get_or_load(SIZE, ten)
    return response.headers["X-Total-Count"], hit


async def test_a_count_grows_by_new_rows(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    assert await size_on(worker) == ("10", False)
    for transaction, total in [(740, "11"), (735, "12"), (900, "13"), (10**15, "14")]:
        await other.cache.invalidate(by(transaction))
        assert await size_on(worker) == await size_on(other) == (total, True)


async def test_a_row_that_the_count_has_seen_is_not_added_again(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    await size_on(worker)
    for seen in (730, 736, 739):
        await other.cache.invalidate(by(seen))
    assert await size_on(worker) == await size_on(other) == ("10", True)


async def test_an_invalidation_that_came_twice_is_one_row(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    await size_on(worker)
    await other.cache.invalidate(by(740))
    await other.cache.invalidate(by(740))
    assert await size_on(worker) == ("11", True)


async def test_a_row_that_comes_while_the_others_are_counted_is_added(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers

    async def overtaken() -> RenderedResponse:
        await other.cache.invalidate(by(737))
        await other.cache.invalidate(by(739))
        return await ten()

    response, _ = await worker.cache.get_or_load(SIZE, overtaken)
    assert response.headers["X-Total-Count"] == "10"
    assert await size_on(worker) == await size_on(other) == ("11", True)


@pytest.mark.parametrize("change", ["row_removed", "row_of_nobody", "two_rows"])
async def test_whatever_else_changes_the_number_has_the_rows_counted(
    workers: tuple[Worker, Worker], change: str
) -> None:
    worker, other = workers
    await size_on(worker)
    invalidation = by(None if change == "row_of_nobody" else 740)
    if change == "two_rows":
        invalidation.row_added("products", 8, "741")
    if change == "row_removed":
        invalidation.row_removed("products", 1)
    await other.cache.invalidate(invalidation)
    assert await size_on(worker) == ("10", False)


async def test_a_count_loaded_before_a_removal_is_not_stored_after_it(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers

    async def overtaken() -> RenderedResponse:
        invalidation = Invalidation()
        invalidation.row_removed("products", 1)
        await other.cache.invalidate(invalidation)
        return await ten()

    await worker.cache.get_or_load(SIZE, overtaken)
    assert await size_on(worker) == ("10", False)


async def test_after_very_many_new_rows_they_are_counted_again(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    await size_on(worker)
    counted_again = 0
    for transaction in range(10**9, 10**9 + 200):
        await other.cache.invalidate(by(transaction))
        counted_again += not (await size_on(worker))[1]
    assert 2 <= counted_again <= 5


async def test_without_a_snapshot_a_new_row_makes_a_count_old(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers

    async def estimate() -> RenderedResponse:
        return RenderedResponse(b"", "", {"X-Total-Count": "12000", "X-Total-Count-Estimated": "true"})

    await worker.cache.get_or_load(SIZE, estimate)
    await other.cache.invalidate(by(740))
    assert (await worker.cache.get_or_load(SIZE, estimate))[1] is False
