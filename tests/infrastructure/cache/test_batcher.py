"""Batches of a turn of the event loop: one load for all who join, and its result or error for each of them."""

import asyncio

import pytest

from infrastructure.cache.batcher import Batcher, settled

pytestmark = [pytest.mark.anyio, pytest.mark.unit]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Doubled:
    """Doubles numbers, a batch at a time; `loaded` are the batches so far. No batch is done before `released` is set."""

    def __init__(self) -> None:
        self.loaded: list[list[int]] = []
        self.begun, self.released = asyncio.Event(), asyncio.Event()
        self.released.set()
        self.batches: Batcher[list[int], list[int]] = Batcher(list, self._load)

    async def result(self, number: int) -> int:
        batch, results = self.batches.join()
        position = len(batch)
        batch.append(number)
        return (await results)[position]

    async def _load(self, batch: list[int]) -> list[int]:
        self.loaded.append(batch)
        self.begun.set()
        await self.released.wait()
        if 0 in batch:
            raise ZeroDivisionError
        return [2 * number for number in batch]


async def test_all_who_join_in_one_turn_are_one_batch() -> None:
    doubled = Doubled()
    assert await asyncio.gather(*map(doubled.result, (1, 2, 3))) == [2, 4, 6]
    assert await doubled.result(4) == 8
    assert doubled.loaded == [[1, 2, 3], [4]]


async def test_a_batch_that_is_loaded_is_not_joined_any_more() -> None:
    doubled = Doubled()
    doubled.released.clear()
    first = asyncio.ensure_future(doubled.result(1))
    await doubled.begun.wait()
    second = asyncio.ensure_future(doubled.result(2))
    await asyncio.sleep(0)
    doubled.released.set()
    assert [await first, await second] == [2, 4]
    assert doubled.loaded == [[1], [2]]


async def test_an_error_goes_to_all_of_the_batch() -> None:
    doubled = Doubled()
    results = await asyncio.gather(*map(doubled.result, (1, 0)), return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError] * 2
    assert await doubled.result(1) == 2


async def test_one_who_is_cancelled_does_not_fail_the_others() -> None:
    doubled = Doubled()
    first, second = (asyncio.ensure_future(doubled.result(number)) for number in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 4
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_an_error_that_nobody_waits_for_any_more_is_not_reported() -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    doubled = Doubled()
    batch, result = doubled.batches.join()
    batch.append(0)
    await settled([result])
    del result
    await asyncio.sleep(0)
    assert reported == []


@pytest.mark.parametrize("has_begun", [True, False])
async def test_closing_ends_what_is_under_way(has_begun: bool) -> None:
    doubled = Doubled()
    doubled.released.clear()
    waiting = asyncio.ensure_future(doubled.result(1))
    await (doubled.begun.wait() if has_begun else asyncio.sleep(0))
    await doubled.batches.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
