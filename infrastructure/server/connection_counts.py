"""Count-min sketch: how many connections each address has open over all workers, in memory that forks share.

Each worker counts in a block of memory that it alone writes, so there is no lock. The replacement of a killed worker
clears its block. A count is the sum over all blocks. It is never too low, and too high only where other addresses share
all four cells of an address; a secret random key decides which do.
"""

import mmap
import os
from functools import lru_cache
from hashlib import blake2b

from infrastructure.server.ip_addresses import counted_as, parse_address

_ROWS, _COLUMNS = 4, 4096
_CELL_BYTES = 4
_BLOCK_BYTES = _ROWS * _COLUMNS * _CELL_BYTES


class ConnectionCounts:
    """Counts for `workers` processes, forked from the one that makes them. 64 KiB for each, for any number of addresses."""

    def __init__(self, workers: int = 1) -> None:
        self._memory = mmap.mmap(-1, workers * _BLOCK_BYTES)
        cells = memoryview(self._memory).cast("I")
        size = _ROWS * _COLUMNS
        self._blocks = [cells[worker * size : (worker + 1) * size] for worker in range(workers)]
        self._own = self._blocks[0]
        self._key = os.urandom(16)
        # Most clients come again.
        self._cells = lru_cache(maxsize=1024)(self._cells_of)

    def use_block(self, worker: int) -> None:
        """Count as the worker of this number from now on, and clear what a killed predecessor has counted."""
        self._own = self._blocks[worker]
        self._memory[worker * _BLOCK_BYTES : (worker + 1) * _BLOCK_BYTES] = bytes(_BLOCK_BYTES)

    def add(self, address: str) -> int:
        """Count one more connection of `address`; returns how many it has now, over all workers."""
        cells = self._cells(address)
        for cell in cells:
            self._own[cell] += 1
        return min(sum(block[cell] for block in self._blocks) for cell in cells)

    def remove(self, address: str) -> None:
        """Count one less of `address`, which this worker has added before."""
        for cell in self._cells(address):
            self._own[cell] -= 1

    def _cells_of(self, address: str) -> list[int]:
        client = counted_as(parse_address(address) or address).encode(errors="replace")
        digest = blake2b(client, digest_size=2 * _ROWS, key=self._key).digest()
        return [
            row * _COLUMNS + int.from_bytes(digest[2 * row : 2 * row + 2], "big") % _COLUMNS for row in range(_ROWS)
        ]
