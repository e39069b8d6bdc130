"""The folder in memory in which the workers of one launcher keep the blocks of their metrics."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infrastructure.embedded.file_lock import FileLock

log = logging.getLogger("shop.metrics")

# A file system in memory, where a write never waits for a disk.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (nothing is expected there: a new folder is made)
_FOLDER = "shop-metrics-"
_LAUNCHER = "launcher"


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
