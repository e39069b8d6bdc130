"""Metrics: the counters of the workers for requests, their times and cache hits, and the state of each worker.

A worker counts in a block of memory that it alone writes: without a lock, in about a microsecond per request. With
METRICS_DIR, which the launcher sets, the blocks are files there that the workers map, so that each worker can read the
sum of all. A block is locked while its worker runs. A new worker takes over the block of one that has ended, for
whatever reason, and counts on from there: no count is lost, none is added twice, and there are never more blocks than
there were workers at once.
"""

import ctypes
import itertools
import logging
import mmap
import os
import shutil
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from infrastructure.embedded.file_lock import FileLock
from infrastructure.server import http_methods
from infrastructure.server.connection_guard import Closed

log = logging.getLogger("shop.metrics")

# All unknown methods and routes are counted as this one, so that clients cannot add counters without bound.
OTHER = "other"
METHODS = (*http_methods.METHODS, OTHER)
STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
CLOSED = tuple(reason.value for reason in Closed)
# The upper bounds of the histogram's buckets, in seconds. Longer times are in one more bucket.
TIME_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_NANOSECONDS = 1_000_000_000
# A block has room for this number of routes, OTHER included.
_MAX_ROUTES = 64
_CELLS_PER_ROUTE = len(METHODS) * len(STATUS_CLASSES)
_METHOD_OFFSETS = {method: row * len(STATUS_CLASSES) for row, method in enumerate(METHODS)}
_OTHER_METHOD_OFFSET = _METHOD_OFFSETS[OTHER]
_TOO_MANY_REQUESTS = 429
# A file system in memory, where a write never waits for a disk.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (nothing is expected there: a new folder is made)
_FOLDER = "shop-metrics-"
_LAUNCHER = "launcher"


class Counts(ctypes.Structure):
    """Counters: `requests` by route, method and status class, `times` by bucket, `closed` by reason."""

    requests: "ctypes.Array[ctypes.c_int64]"
    times: "ctypes.Array[ctypes.c_int64]"
    closed: "ctypes.Array[ctypes.c_int64]"
    nanoseconds: int
    cache_hits: int
    cache_misses: int
    rate_limited: int

    _fields_ = [
        ("requests", ctypes.c_int64 * (_MAX_ROUTES * _CELLS_PER_ROUTE)),
        ("times", ctypes.c_int64 * (len(TIME_BOUNDS) + 1)),
        ("closed", ctypes.c_int64 * len(CLOSED)),
        ("nanoseconds", ctypes.c_int64),
        ("cache_hits", ctypes.c_int64),
        ("cache_misses", ctypes.c_int64),
        ("rate_limited", ctypes.c_int64),
    ]


class WorkerMetrics(ctypes.Structure):
    """The counters of one worker, and its last recorded state."""

    counts: Counts
    resident_bytes: int
    db_pool_size: int
    db_pool_checked_out: int

    _fields_ = [
        ("counts", Counts),
        ("resident_bytes", ctypes.c_int64),
        ("db_pool_size", ctypes.c_int64),
        ("db_pool_checked_out", ctypes.c_int64),
    ]


BLOCK_BYTES = ctypes.sizeof(WorkerMetrics)


class Metrics:
    """The counters of one worker, and of all workers inside `shared`.

    `routes` are the first parts of the paths below `prefix` that are counted by name; all workers have the same.
    """

    def __init__(self, routes: Sequence[str] = (), prefix: str = "") -> None:
        self.routes = (*routes, OTHER)
        if len(self.routes) > _MAX_ROUTES:
            raise ValueError(f"{len(routes)} routes cannot be counted: there is room for {_MAX_ROUTES - 1}")
        self._route_offsets = {route: row * _CELLS_PER_ROUTE for row, route in enumerate(self.routes)}
        self._other_route_offset = self._route_offsets[OTHER]
        self._route_start = len(prefix) + 1
        # The number of this worker; no other running worker has the same in the folder.
        self.number = 0
        self._folder: Path | None = None
        self._write_to(WorkerMetrics())

    def _write_to(self, block: WorkerMetrics) -> None:
        self._block, self._counts = block, block.counts
        # Views of the same memory: to look them up for every request would cost as much as counting.
        self._requests, self._times = block.counts.requests, block.counts.times

    def count_request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request with its status and its duration."""
        route = path[self._route_start :].partition("/")[0]
        of_route = self._route_offsets.get(route, self._other_route_offset)
        self._requests[of_route + _METHOD_OFFSETS.get(method, _OTHER_METHOD_OFFSET) + status // 100 - 1] += 1
        self._times[bisect_left(TIME_BOUNDS, seconds)] += 1
        self._counts.nanoseconds += int(seconds * _NANOSECONDS)
        if status == _TOO_MANY_REQUESTS:
            self._counts.rate_limited += 1

    def count_read(self, *, hit: bool) -> None:
        """Count a cache hit, or a miss."""
        if hit:
            self._counts.cache_hits += 1
        else:
            self._counts.cache_misses += 1

    def count_closed(self, reason: Closed) -> None:
        """Count a connection that the guard has closed."""
        self._counts.closed[CLOSED.index(reason.value)] += 1

    def record_state(self, *, db_pool_size: int, db_pool_checked_out: int) -> None:
        """Write the state of this worker, which the other workers read."""
        self._block.resident_bytes = resident_bytes()
        self._block.db_pool_size = db_pool_size
        self._block.db_pool_checked_out = db_pool_checked_out

    @property
    def folder(self) -> Path | None:
        """Where all processes of the launcher note what they tell each other; None for one that is alone."""
        return self._folder

    def totals(self) -> Counts:
        """The sums over all workers, including those that have ended."""
        blocks = [self._block] if self._folder is None else [block for _, block in _read_blocks(self._folder)]
        numbers = (memoryview(block.counts).cast("B").cast("q") for block in blocks)
        return Counts.from_buffer(array("q", map(sum, zip(*numbers, strict=True))))

    def workers(self) -> dict[int, WorkerMetrics]:
        """The metrics of the running workers by their numbers, which start at 0."""
        if self._folder is None:
            return {0: self._block}
        return {
            _number_of(path): block for path, block in sorted(_read_blocks(self._folder)) if not _is_abandoned(path)
        }

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
                self._write_to(WorkerMetrics.from_buffer_copy(self._block))
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


@contextmanager
def metrics_folder(given: Path | None) -> Iterator[Path | None]:
    """The folder for the blocks of the workers: `given`, or a new one, which is removed at the end.

    None when no new one can be made.
    """
    if given is not None:
        yield given
        return
    try:
        folder, lock = _new_folder(
            _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
        )
    except OSError as error:
        log.warning("Nowhere can a folder be made, so /metrics speaks for one worker only: %s", error)
        yield None
        return
    try:
        yield folder
    finally:
        # A worker that ends later keeps its mapped memory.
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _new_folder(parent: Path) -> tuple[Path, FileLock]:
    """A folder that is locked while its launcher runs; the folders of killed launchers are removed."""
    for left in parent.glob(f"{_FOLDER}*"):
        # Folders of other users are not removed, and another launcher may be removing the same one.
        with suppress(OSError):
            if left.stat().st_uid == os.getuid():
                _remove_abandoned(left)
    # It gets its name when it is locked: so no other launcher takes it for abandoned.
    unnamed = Path(tempfile.mkdtemp(prefix=f".{_FOLDER}", dir=parent))
    lock = FileLock(unnamed / _LAUNCHER)
    lock.acquire()
    return unnamed.rename(parent / unnamed.name.removeprefix(".")), lock


def _remove_abandoned(folder: Path) -> None:
    lock = FileLock(folder / _LAUNCHER)
    try:
        if lock.acquire():
            shutil.rmtree(folder)
    finally:
        lock.close()


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


def _mapped(path: Path) -> WorkerMetrics:
    if path.stat().st_size != BLOCK_BYTES:
        # Written, not only extended: a full file system raises here, and does not kill the process at its first count.
        path.write_bytes(bytes(BLOCK_BYTES))
    with path.open("r+b") as file:
        return WorkerMetrics.from_buffer(mmap.mmap(file.fileno(), BLOCK_BYTES))


def _read_blocks(folder: Path) -> Iterator[tuple[Path, WorkerMetrics]]:
    for path in folder.glob("worker.*"):
        content = path.read_bytes()
        # A new block is empty for a moment.
        if len(content) == BLOCK_BYTES:
            yield path, WorkerMetrics.from_buffer_copy(content)


def _is_abandoned(path: Path) -> bool:
    lock = FileLock(path)
    try:
        return lock.acquire(shared=True)
    finally:
        lock.close()
