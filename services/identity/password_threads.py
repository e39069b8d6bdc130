"""Password threads: a few threads that do nothing but hash passwords, so that a storm of logins does not slow the shop.

Few hashes wait for a thread, because each takes some 30 ms; what comes beyond is refused at once.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from security.passwords import Passwords
from services.errors import Unavailable

T = TypeVar("T")

THREADS, MOST_WAITING = 2, 8
_RETRY_SECONDS = 2
# The scheduler prefers the threads that answer requests.
_NICENESS = 10


class PasswordThreads:
    """The hashes of one worker. Every method raises `Unavailable` when too many wait already."""

    def __init__(self) -> None:
        self._passwords = Passwords()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords", initializer=_give_way)
        self._under_way = 0

    async def hashed(self, password: str) -> str:
        """What is stored of the password."""
        return await self._run(self._passwords.hashed, password)

    async def is_right(self, password: str, stored: str | None) -> bool:
        """Whether `stored` is the hash of the password. Without a hash it takes as long, and is false."""
        return await self._run(self._passwords.is_right, password, stored)

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than those of today."""
        return self._passwords.is_outdated(stored)

    def close(self) -> None:
        """End the threads, after the hashes that they are at."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *arguments: str | None) -> T:
        if self._under_way >= THREADS + MOST_WAITING:
            raise Unavailable("Too many passwords are being checked, try again later", _RETRY_SECONDS)
        self._under_way += 1
        future = self._pool.submit(work, *arguments)
        # Counted until it is done: a client that goes takes no hash out of a thread.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _in_loop(loop, self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._under_way -= 1


def _in_loop(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    # The loop may have ended meanwhile.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(work)


def _give_way() -> None:
    # On Linux every thread has a niceness of its own; elsewhere it would be that of the whole worker.
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
