"""Metrics: what the workers count and measure, and the state of each of them.

A worker counts in a block of memory that it alone writes: without a lock, in about two microseconds per request. With
METRICS_DIR, which the launcher sets, the blocks are files there that the workers map, so that each worker can read the
sum of all. A block is locked while its worker runs. A new worker takes over the block of one that has ended, for
whatever reason, and counts on from there: no count is lost, none is added twice, and there are never more blocks than
there were workers at once.
"""

import itertools
import logging
import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import add, itemgetter
from pathlib import Path
from typing import NamedTuple

from infrastructure.embedded.file_lock import FileLock
from infrastructure.observability.cells import BLOCK_BYTES, Cells, Name
from infrastructure.observability.metric_families import (
    CACHE_HITS,
    CACHE_MISSES,
    CONNECTIONS_CLOSED,
    GAUGES,
    HTTP_DURATION,
    HTTP_IN_FLIGHT,
    HTTP_REQUESTS,
    RESIDENT_MEMORY,
    TIME_BOUNDS,
    Family,
)
from infrastructure.observability.route_templates import OTHER
from infrastructure.server.http_methods import METHODS

log = logging.getLogger("shop.metrics")

_NANOSECONDS = 1_000_000_000
# The numbers of a histogram: one for each bucket, one for what is longer, and the sum in nanoseconds.
HISTOGRAM_LENGTH = len(TIME_BOUNDS) + 2
_SUM = HISTOGRAM_LENGTH - 1
_METHODS = frozenset(METHODS)


class Snapshot(NamedTuple):
    """`totals` are the sums over all workers, including those that have ended, by the name of the family and its labels;
    `workers` what the running ones say of themselves, by their numbers, which start at 0."""

    totals: dict[Name, list[int]]
    workers: dict[int, dict[Name, int]]


class Metrics:
    """The metrics of one worker, and of all workers inside `shared`."""

    def __init__(self) -> None:
        # The number of this worker; no other running worker has the same in the folder.
        self.number = 0
        self._folder: Path | None = None
        self._write_to(bytearray(BLOCK_BYTES))

    def _write_to(self, block: "bytearray | mmap.mmap") -> None:
        self._cells = Cells(block)
        self._numbers = self._cells.numbers
        self._of_requests: dict[tuple[str, str, int], tuple[int, int]] = {}
        # What the worker before it said of itself.
        for name in _states(self._cells):
            self._numbers[self._cells.place(name)] = 0
        self._in_flight = self._cells.place((HTTP_IN_FLIGHT.name,))

    def count(self, family: Family, *labels: str, by: int = 1) -> None:
        """Add to a counter."""
        self._numbers[self._cells.place((family.name, *labels))] += by

    def observe(self, family: Family, *labels: str, seconds: float) -> None:
        """Add a time to a histogram."""
        self._add_time(self._cells.place((family.name, *labels), HISTOGRAM_LENGTH), seconds)

    def record(self, family: Family, value: int, *labels: str) -> None:
        """Set what a gauge says of this worker."""
        self._numbers[self._cells.place((family.name, *labels))] = value

    def begin_request(self) -> None:
        """One more request is under way."""
        self._numbers[self._in_flight] += 1

    def end_request(self) -> None:
        """One less."""
        self._numbers[self._in_flight] -= 1

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request with its status and its duration. `route` is the template of its path."""
        key = (method, route, status)
        cells = self._of_requests.get(key)
        if cells is None:
            cells = self._cells_of_request(*key)
        self._numbers[cells[0]] += 1
        self._add_time(cells[1], seconds)

    def _cells_of_request(self, method: str, route: str, status: int) -> tuple[int, int]:
        known = method if method in _METHODS else OTHER
        cells = (
            self._cells.place((HTTP_REQUESTS.name, route, known, str(status))),
            self._cells.place((HTTP_DURATION.name, route), HISTOGRAM_LENGTH),
        )
        if known == method:
            self._of_requests[method, route, status] = cells
        return cells

    def _add_time(self, place: int, seconds: float) -> None:
        self._numbers[place + bisect_left(TIME_BOUNDS, seconds)] += 1
        self._numbers[place + _SUM] += int(seconds * _NANOSECONDS)

    def count_read(self, *, hit: bool) -> None:
        """Count a cache hit, or a miss."""
        self.count(CACHE_HITS if hit else CACHE_MISSES)

    def count_closed(self, reason: str) -> None:
        """Count a connection that the guard has closed."""
        self.count(CONNECTIONS_CLOSED, reason)

    def record_memory(self) -> None:
        """Write how much memory this process has now."""
        self.record(RESIDENT_MEMORY, resident_bytes())

    @property
    def folder(self) -> Path | None:
        """Where all processes of the launcher note what they tell each other; None for one that is alone."""
        return self._folder

    def snapshot(self) -> "Snapshot":
        """What all workers have counted until now."""
        if self._folder is None:
            return Snapshot(_sums([self._cells]), {0: _states(self._cells)})
        blocks = sorted(_read_blocks(self._folder), key=itemgetter(0))
        running = {_number_of(path): _states(cells) for path, cells in blocks if not _is_abandoned(path)}
        return Snapshot(_sums([cells for _, cells in blocks]), running)

    @contextmanager
    def shared(self, folder: Path | None) -> Iterator[None]:
        """For the duration of a `with` block, count in `folder`, which all workers read; without a folder, alone."""
        lock = None if folder is None else self._join(folder)
        try:
            yield
        finally:
            if lock is not None:
                # Another worker may take over the block from now on.
                self._folder = None
                self._write_to(bytearray(self._cells.content()))
                lock.close()

    def _join(self, folder: Path) -> FileLock | None:
        """Count in a block in `folder`; its lock, or None when the folder cannot be used."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path, lock = _free_block(folder)
            self._write_to(_mapped(path))
        except OSError as error:
            log.warning("METRICS_DIR cannot be used, so /metrics speaks for one worker only: %s", error)
            return None
        self._folder, self.number = folder, _number_of(path)
        return lock


def _sums(blocks: Iterable[Cells]) -> dict[Name, list[int]]:
    sums: dict[Name, list[int]] = {}
    for cells in blocks:
        for name, numbers in cells.items():
            before = sums.get(name)
            sums[name] = numbers if before is None else [*map(add, before, numbers)]
    return sums


def _states(cells: Cells) -> dict[Name, int]:
    gauges = {family.name for family in GAUGES}
    return {name: numbers[0] for name, numbers in cells.items() if name[0] in gauges}


def resident_bytes() -> int:
    """The resident memory of this process; 0 on systems without /proc."""
    try:
        fields = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 0
    return int(fields[1]) * mmap.PAGESIZE


def _free_block(folder: Path) -> tuple[Path, FileLock]:
    for number in itertools.count():
        path = folder / f"worker.{number}"
        lock = FileLock(path)
        if lock.acquire():
            return path, lock
        lock.close()
    raise AssertionError("unreachable")


def _number_of(path: Path) -> int:
    return int(path.suffix[1:])


def _mapped(path: Path) -> mmap.mmap:
    if path.stat().st_size != BLOCK_BYTES:
        # Written, not only extended: a full file system raises here, and does not kill the process at its first count.
        path.write_bytes(bytes(BLOCK_BYTES))
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), BLOCK_BYTES)


def _read_blocks(folder: Path) -> Iterator[tuple[Path, Cells]]:
    for path in folder.glob("worker.*"):
        content = path.read_bytes()
        # A new block is empty for a moment.
        if len(content) == BLOCK_BYTES:
            yield path, Cells(content)


def _is_abandoned(path: Path) -> bool:
    lock = FileLock(path)
    try:
        return lock.acquire(shared=True)
    finally:
        lock.close()
