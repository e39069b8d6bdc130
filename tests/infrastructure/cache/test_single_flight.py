"""Work under a name: done once for all who want it at the same time, whoever of them is cancelled."""

import asyncio

import pytest

from infrastructure.cache.single_flight import SingleFlight

pytestmark = [pytest.mark.anyio, pytest.mark.unit]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Work:
    """Work that returns how often it was started, once `released` is set."""

    def __init__(self) -> None:
        self.started = 0
        self.released = asyncio.Event()

    async def __call__(self) -> int:
        self.started += 1
        started = self.started
        await self.released.wait()
        return started


async def test_calls_while_work_is_under_way_share_it() -> None:
    flights, work = SingleFlight(), Work()
    calls = [asyncio.ensure_future(flights.result("name", work)) for _ in range(3)]
    other = asyncio.ensure_future(flights.result("other name", work))
    await asyncio.sleep(0)
    work.released.set()
    assert await asyncio.gather(*calls, other) == [1, 1, 1, 2]
    assert await flights.result("name", work) == 3


async def test_detached_work_is_not_joined_any_more() -> None:
    flights, work = SingleFlight(), Work()
    first = asyncio.ensure_future(flights.result("name", work))
    await asyncio.sleep(0)
    flights.detach("name")
    second = asyncio.ensure_future(flights.result("name", work))
    await asyncio.sleep(0)
    work.released.set()
    assert [await first, await second] == [1, 2]


async def test_the_first_caller_may_be_cancelled_without_failing_the_others() -> None:
    flights, work = SingleFlight(), Work()
    first, second = (asyncio.ensure_future(flights.result("name", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    work.released.set()
    assert await second == 1
    assert first.cancelled()


async def test_an_error_goes_to_all_and_is_not_kept() -> None:
    async def broken() -> int:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    flights, work = SingleFlight(), Work()
    results = await asyncio.gather(*(flights.result("name", broken) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError] * 3
    work.released.set()
    assert await flights.result("name", work) == 1


async def test_waiting_ends_with_the_work() -> None:
    flights, work = SingleFlight(), Work()
    call = asyncio.ensure_future(flights.result("name", work))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(work.released.set)
    await flights.wait()
    assert await call == 1
