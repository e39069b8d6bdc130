"""Temporary folder: packages look for one at their import, also where the root file system is read-only and has no /tmp."""

import os
import tempfile
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (files there get names of their own)


def find_temporary_folder(data_folder: Path | None = None) -> None:
    """Have this process and its children use /dev/shm or `data_folder`, if none of the usual folders can be written.

    Where these cannot be written either, the shop goes on: nothing of it needs the folder but the pages of /metrics,
    which say so.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        writable = (
            folder for folder in (_SHARED_MEMORY, data_folder) if folder is not None and _can_be_written(folder)
        )
        found = next(writable, None)
        if found is not None:
            os.environ["TMPDIR"] = str(found)
        tempfile.tempdir = str(found or Path(os.sep))


def _can_be_written(folder: Path) -> bool:
    try:
        # At the first start there is no data folder yet.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
