"""Reloader (RELOAD=true): one worker that uvicorn restarts whenever a source file of the project changes."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from uvicorn import Config

from config.settings import PROJECT_ROOT, Settings
from infrastructure.server.uvicorn_internals import StatReload
from infrastructure.server.worker import serve_reloaded, uvicorn_config


class _SourceReload(StatReload):
    """Watches the project's own files, not those of a virtual environment inside its folder."""

    def __init__(
        self,
        config: Config,
        listener: socket.socket,
        meanwhile: Callable[[], None],
        before_restart: Callable[[], None],
    ) -> None:
        super().__init__(config, target=serve_reloaded, sockets=[listener])
        self._meanwhile, self._before_restart = meanwhile, before_restart

    def pause(self) -> None:
        self._meanwhile()
        super().pause()

    def restart(self) -> None:
        self._before_restart()
        super().restart()

    def iter_py_files(self) -> Iterator[Path]:
        yield from PROJECT_ROOT.glob("*.py")
        for folder in PROJECT_ROOT.iterdir():
            if folder.is_dir() and not folder.name.startswith("."):
                yield from folder.rglob("*.py")


def serve_with_reload(
    settings: Settings,
    listener: socket.socket,
    meanwhile: Callable[[], None],
    before_restart: Callable[[], None],
) -> None:
    """Serve on `listener` until a signal ends it; `meanwhile` is called several times a second.

    `before_restart` is called when sources have changed.
    """
    _SourceReload(uvicorn_config(settings), listener, meanwhile, before_restart).run()
