"""Password threads: few, with few that wait, and none for clients beyond."""

import asyncio
import threading

import pytest

from services.errors import Unavailable
from services.identity.password_threads import MOST_WAITING, THREADS, PasswordThreads

pytestmark = pytest.mark.unit


def test_what_comes_beyond_the_queue_is_refused_and_the_rest_is_done() -> None:
    async def storm() -> list[bool | BaseException]:
        threads = PasswordThreads()
        try:
            stored = await threads.hashed("correct horse")
            checks = (threads.is_right("correct horse", stored) for _ in range(THREADS + MOST_WAITING + 5))
            results = await asyncio.gather(*checks, return_exceptions=True)
            # There is room again afterwards.
            assert await threads.is_right("correct horse", stored)
            return results
        finally:
            threads.close()

    results = asyncio.run(storm())
    refused = [result for result in results if isinstance(result, Unavailable)]
    assert len(refused) == 5
    assert refused[0].headers["Retry-After"]
    assert results.count(True) == THREADS + MOST_WAITING


def test_a_client_that_goes_leaves_its_place_when_its_hash_is_done() -> None:
    async def leave() -> int:
        threads = PasswordThreads()
        try:
            tasks = [asyncio.create_task(threads.hashed("correct horse")) for _ in range(THREADS + MOST_WAITING)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            while True:
                try:
                    return len(await threads.hashed("correct horse"))
                except Unavailable:
                    await asyncio.sleep(0.01)
        finally:
            threads.close()

    assert asyncio.run(asyncio.wait_for(leave(), 30))


def test_hashes_run_in_threads_of_their_own() -> None:
    async def names() -> set[str]:
        threads = PasswordThreads()
        try:
            await threads.hashed("correct horse")
            return {thread.name for thread in threading.enumerate()}
        finally:
            threads.close()

    assert any(name.startswith("passwords") for name in asyncio.run(names()))
