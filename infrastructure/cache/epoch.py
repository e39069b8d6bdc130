"""Epoch: a number that all workers of a launcher share, and that changes when an invalidation did not reach Redis.

A worker whose invalidation fails changes the number before the write is acknowledged. A worker uses the cache only in
an epoch that it has settled: since the number changed, it has itself made everything in Redis stale. So the others need
not know which worker could not reach Redis, nor wait for it to come back. The numbers are random: two workers may change
them at once, without a lock.
"""

import logging
import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("shop.cache")

_BYTES = 8
_NAME = "cache-epoch"


class CacheEpoch:
    """The epoch as one worker sees it: of this worker alone, and inside `shared` of all who share the folder."""

    def __init__(self) -> None:
        self._cell = _alone()
        self._here = 0

    def current(self) -> int:
        """The number of the epoch. One read of memory, because every cached response asks for it."""
        return self._cell[0] ^ self._here

    def renew(self) -> None:
        """Begin a new epoch for all workers. They see it from now on."""
        self._cell[0] = secrets.randbits(8 * _BYTES)

    def renew_here(self) -> None:
        """Begin a new epoch for this worker only: for what every worker learns by itself."""
        self._here = secrets.randbits(8 * _BYTES)

    @contextmanager
    def shared(self, folder: Path | None) -> Iterator[None]:
        """For the duration of a `with` block, share the epoch with all workers in `folder`; without a folder, be alone."""
        if folder is not None:
            try:
                self._cell = _mapped(folder)
            except OSError as error:
                log.warning("The workers share no memory, and tell each other over PostgreSQL only: %s", error)
        try:
            yield
        finally:
            self._cell = _alone()


def _alone() -> memoryview:
    return memoryview(bytearray(_BYTES)).cast("Q")


def _mapped(folder: Path) -> memoryview:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size < _BYTES:
            # Written and not only extended, so that a full file system raises here. Two workers may do so at once: to
            # the others that is a new epoch.
            os.pwrite(descriptor, secrets.token_bytes(_BYTES), 0)
        return memoryview(mmap.mmap(descriptor, _BYTES)).cast("Q")
    finally:
        os.close(descriptor)
