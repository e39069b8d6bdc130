"""How many connections each address has open, over all workers: a count-min sketch in memory that forks share.

Each worker counts in a page that it alone writes, so there is no lock, and a worker that was killed takes nothing along
but its page, which its replacement clears. A count is the sum over all pages, never too low, and too high only where
other addresses share all four cells of one; which do is decided by a key that nobody outside knows.
"""

import mmap
import os
from functools import lru_cache
from hashlib import blake2b

from infrastructure.server.ip_addresses import counted_as, parse_address

_ROWS, _COLUMNS = 4, 4096
_CELL_BYTES = 4
_PAGE_BYTES = _ROWS * _COLUMNS * _CELL_BYTES


class ConnectionCounts:
    """Counts for `workers` processes, forks of the one that makes them. 64 KiB for each, however many addresses."""

    def __init__(self, workers: int = 1) -> None:
        self._memory = mmap.mmap(-1, workers * _PAGE_BYTES)
        cells = memoryview(self._memory).cast("I")
        size = _ROWS * _COLUMNS
        self._pages = [cells[worker * size : (worker + 1) * size] for worker in range(workers)]
        self._own = self._pages[0]
        self._key = os.urandom(16)
        # Most clients come again.
        self._cells = lru_cache(maxsize=1024)(self._cells_of)

    def use_page(self, worker: int) -> None:
        """Be the worker of this number from now on, in place of one that may have ended without taking leave."""
        self._own = self._pages[worker]
        self._memory[worker * _PAGE_BYTES : (worker + 1) * _PAGE_BYTES] = bytes(_PAGE_BYTES)

    def add(self, address: str) -> int:
        """Count one more connection of `address`; returns how many it has now, over all workers."""
        cells = self._cells(address)
        for cell in cells:
            self._own[cell] += 1
        return min(sum(page[cell] for page in self._pages) for cell in cells)

    def remove(self, address: str) -> None:
        """Count one less, which this worker had added."""
        for cell in self._cells(address):
            self._own[cell] -= 1

    def _cells_of(self, address: str) -> list[int]:
        client = counted_as(parse_address(address) or address).encode(errors="replace")
        digest = blake2b(client, digest_size=2 * _ROWS, key=self._key).digest()
        return [
            row * _COLUMNS + int.from_bytes(digest[2 * row : 2 * row + 2], "big") % _COLUMNS for row in range(_ROWS)
        ]
