"""The memory of background processes, which each notes in a file for whichever worker is asked for /metrics."""

import os
import time
from contextlib import suppress
from pathlib import Path

from infrastructure.observability.metrics import resident_bytes

# A process notes its memory each second or so; a file that is older was left by one that has died.
_STALE_SECONDS = 30.0
_PREFIX = "background."


def note_memory(folder: Path | None) -> None:
    """Note the memory of this process in the folder of the launcher, if there is one."""
    if folder is not None:
        with suppress(OSError):
            (folder / f"{_PREFIX}{os.getpid()}").write_text(str(resident_bytes()))


def background_memory(folder: Path | None) -> list[int]:
    """The bytes of each background process beside this worker."""
    found = []
    for path in sorted(folder.glob(f"{_PREFIX}*")) if folder is not None else ():
        with suppress(OSError, ValueError):
            if time.time() - path.stat().st_mtime < _STALE_SECONDS:
                found.append(int(path.read_text()))
            else:
                path.unlink()
    return found
