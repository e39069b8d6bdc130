"""Startup probe: waits for the first healthy response, has the addresses printed, and loads the demo catalog if asked to."""

import os
import select
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from config.settings import PROJECT_ROOT, Settings
from infrastructure.server.health_paths import REPORT
from infrastructure.server.startup_banner import (
    connectable,
    external_address,
    say,
    startup_banner,
    startup_lines,
    web_address,
)

_HEALTHY = b"HTTP/1.1 200"
# To connect to this machine takes a moment, unless the queue is full.
_CONNECT_SECONDS = 0.2
_ANSWER_SECONDS = 3.0
_PATIENCE_SECONDS = 10.0


class StartupProbe:
    """Waits during a block for the first healthy response, then prints the URLs, or one line without `banner`.

    The block calls `poll` many times a second. There is no thread for it, because workers are forked.
    """

    def __init__(self, settings: Settings, listener: socket.socket, *, demo: bool, banner: bool) -> None:
        host, port = listener.getsockname()[:2]
        self._address = web_address(str(settings.api_host), port)
        self._external_address = external_address(host, port)
        self._listening_on = connectable(host), port
        self._settings, self._demo, self._banner = settings, demo, banner
        self._connection: socket.socket | None = None
        self._asked_at, self._began_at = 0.0, time.monotonic()
        self._done = False
        self._loader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if self._loader is not None and self._loader.poll() is None:
            self._loader.terminate()
            self._loader.wait()

    def poll(self) -> None:
        """Send the request, or read the response if it is there; neither waits for the shop."""
        if self._done:
            return
        if self._connection is None:
            self._connection = self._ask()
        elif select.select([self._connection], [], [], 0)[0]:
            if _is_healthy(self._connection):
                self._announce()
            self._close()
        elif time.monotonic() - self._asked_at > _ANSWER_SECONDS:
            self._close()

    @property
    def is_over(self) -> bool:
        """Whether the shop has answered, or has not for so long that nothing else waits for that."""
        return self._done or time.monotonic() - self._began_at > _PATIENCE_SECONDS

    def pids(self) -> list[int]:
        """The process that loads the demo catalog, if there is one."""
        return [] if self._loader is None else [self._loader.pid]

    def _ask(self) -> socket.socket | None:
        """A connection on which the request is sent; None if it is refused."""
        self._asked_at = time.monotonic()
        request = f"GET {REPORT} HTTP/1.1\r\nHost: {self._address}\r\nConnection: close\r\n\r\n"
        try:
            connection = socket.create_connection(self._listening_on, _CONNECT_SECONDS)
        except OSError:
            return None
        try:
            connection.sendall(request.encode())
        except OSError:
            connection.close()
            return None
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _announce(self) -> None:
        self._done = True
        text = startup_banner if self._banner else startup_lines
        say(text(self._settings, self._address, self._external_address))
        if self._demo:
            self._load_demo()

    def _load_demo(self) -> None:
        url = f"http://{self._address}{self._settings.api_prefix}"
        self._loader = subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-P", "-m", "scripts.load_demo", "--base-url", url],
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
            stdin=subprocess.DEVNULL,
        )


def _is_healthy(connection: socket.socket) -> bool:
    try:
        return connection.recv(len(_HEALTHY)) == _HEALTHY
    except OSError:
        return False
