"""Password threads: two threads that do nothing but hash passwords, so that a storm of logins does not slow the shop.

Few hashes wait for a thread, because each takes some 30 ms; what comes beyond is refused at once. The first thread runs
on one half of the cores, when nobody else wants them, and so keeps no request waiting. On a machine that is always busy
that may be never: a hash that has not been made for a while is left to the second thread, which has its share of the
time, if a small one.
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

# Those under way together with those that wait.
MOST_AT_ONCE = 10
_RETRY_SECONDS = 2
# Longer than the hashes of two full queues take on one core that is free.
_PATIENCE_SECONDS = 1.0
# Of the second thread: the scheduler prefers the threads that answer requests.
_NICENESS = 10


class PasswordThreads:
    """The hashes of one worker. Every method raises `Unavailable` when too many wait already."""

    def __init__(self) -> None:
        self._passwords = Passwords()
        self._spare_time = ThreadPoolExecutor(1, thread_name_prefix="passwords", initializer=_take_spare_time)
        self._share = ThreadPoolExecutor(1, thread_name_prefix="passwords-late", initializer=_give_way)
        self._under_way: set[asyncio.Task[object]] = set()

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
        for pool in (self._spare_time, self._share):
            pool.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *arguments: str | None) -> T:
        if len(self._under_way) >= MOST_AT_ONCE:
            raise Unavailable("Too many passwords are being checked, try again later", _RETRY_SECONDS)
        # Counted until it is done: a client that goes takes no hash out of a thread.
        task = asyncio.create_task(self._result(work, *arguments))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _result(self, work: Callable[..., T], *arguments: str | None) -> T:
        result = asyncio.wrap_future(self._spare_time.submit(work, *arguments))
        await asyncio.wait({result}, timeout=_PATIENCE_SECONDS)
        if result.done():
            return result.result()
        # Not begun any more, if it was not.
        result.cancel()
        return await asyncio.wrap_future(self._share.submit(work, *arguments))


def _take_spare_time() -> None:
    _give_way()
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        with suppress(OSError):
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
            os.sched_setaffinity(threading.get_native_id(), cores[(len(cores) + 1) // 2 :] or cores)


def _give_way() -> None:
    # On Linux every thread has a niceness of its own; elsewhere it would be that of the whole worker.
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
