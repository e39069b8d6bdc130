"""File lock: an advisory lock that the kernel drops when its process ends, however that happens. None is ever stale."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS = 0.01


class FileLock:
    """One handle on the lock of `path`, which many may hold shared, or one exclusively.

    Python's descriptors are closed on exec, so servers started by the holder do not keep the lock.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def acquire(self, *, shared: bool = False) -> bool:
        """Take the lock, or change between shared and exclusive, without waiting; False when another handle forbids it.

        A failed change from shared to exclusive loses the shared hold.
        """
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def wait(self, seconds: float, give_up: Callable[[], bool]) -> bool:
        """Wait for the lock; False when it is not free within `seconds`, or `give_up()` says so before."""
        deadline = time.monotonic() + seconds
        while not self.acquire():
            if give_up() or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def write(self, text: str) -> None:
        """Leave a note for processes that do not get the lock."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)

    def read(self) -> str:
        """The holder's note."""
        return os.pread(self._descriptor, 200, 0).decode(errors="replace")

    def close(self) -> None:
        os.close(self._descriptor)
