"""Password threads: few, with few that wait, and none for clients beyond."""

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from services.errors import Unavailable
from services.identity.password_threads import MOST_AT_ONCE, PasswordThreads

pytestmark = pytest.mark.unit

R = TypeVar("R")


def with_threads(use: Callable[[PasswordThreads], Awaitable[R]]) -> R:
    """The result of `use`."""

    async def used() -> R:
        threads = PasswordThreads()
        try:
            return await asyncio.wait_for(use(threads), 60)
        finally:
            threads.close()

    return asyncio.run(used())


def test_what_comes_beyond_the_queue_is_refused_and_the_rest_is_done() -> None:
    async def storm(threads: PasswordThreads) -> list[bool | BaseException]:
        stored = await threads.hashed("correct horse")
        checks = (threads.is_right("correct horse", stored) for _ in range(MOST_AT_ONCE + 5))
        results = await asyncio.gather(*checks, return_exceptions=True)
        # There is room again afterwards.
        assert await threads.is_right("correct horse", stored)
        return results

    results = with_threads(storm)
    refused = [result for result in results if isinstance(result, Unavailable)]
    assert len(refused) == 5
    assert refused[0].headers["Retry-After"]
    assert results.count(True) == MOST_AT_ONCE


def test_a_client_that_goes_leaves_its_place_when_its_hash_is_done() -> None:
    async def leave(threads: PasswordThreads) -> int:
        tasks = [asyncio.create_task(threads.hashed("correct horse")) for _ in range(MOST_AT_ONCE)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while True:
            try:
                return len(await threads.hashed("correct horse"))
            except Unavailable:
                await asyncio.sleep(0.01)

    assert with_threads(leave)


def test_hashes_run_in_threads_of_their_own() -> None:
    async def names(threads: PasswordThreads) -> set[str]:
        await threads.hashed("correct horse")
        return {thread.name for thread in threading.enumerate()}

    assert any(name.startswith("passwords") for name in with_threads(names))


@pytest.mark.skipif(sys.platform != "linux", reason="needs the scheduling policies of Linux")
def test_a_hash_takes_only_time_that_nobody_else_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = os.sched_getaffinity(0)

    async def scheduled(threads: PasswordThreads) -> Any:
        monkeypatch.setattr(threads._passwords, "hashed", lambda _: (os.sched_getscheduler(0), os.sched_getaffinity(0)))
        return await threads.hashed("correct horse")

    policy, own_cores = with_threads(scheduled)
    assert policy == os.SCHED_IDLE
    assert len(own_cores) == max(1, len(cores) // 2)
    # Not the whole process.
    assert (os.sched_getscheduler(0), os.sched_getaffinity(0)) == (os.SCHED_OTHER, cores)


def test_where_there_is_no_such_time_another_thread_makes_the_hash() -> None:
    async def starve(threads: PasswordThreads) -> bool:
        released = threading.Event()
        first: ThreadPoolExecutor = threads._spare_time
        blocked = first.submit(released.wait, 50)
        stored = await threads.hashed("correct horse")
        checks = (threads.is_right("correct horse", stored) for _ in range(MOST_AT_ONCE))
        results = await asyncio.gather(*checks)
        assert not blocked.done()
        released.set()
        return all(results)

    assert with_threads(starve)
