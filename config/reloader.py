"""RELOAD=true: one worker that uvicorn starts anew whenever a source file of the project changes."""

import socket
from collections.abc import Iterator
from pathlib import Path

from uvicorn.supervisors.statreload import StatReload

from config.settings import PROJECT_ROOT, Settings
from config.worker import serve_reloaded, uvicorn_config


class _SourceReload(StatReload):
    """Watches the project's own files, not those of a virtual environment that lies in its folder."""

    def iter_py_files(self) -> Iterator[Path]:
        yield from PROJECT_ROOT.glob("*.py")
        for folder in PROJECT_ROOT.iterdir():
            if folder.is_dir() and not folder.name.startswith("."):
                yield from folder.rglob("*.py")


def serve_with_reload(settings: Settings, listener: socket.socket) -> None:
    """Serve on `listener` until a signal ends it."""
    _SourceReload(uvicorn_config(settings), target=serve_reloaded, sockets=[listener]).run()
