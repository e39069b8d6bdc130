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
from infrastructure.server.startup_banner import (
    HEALTH_PATH,
    reachable,
    say,
    seen_from_elsewhere,
    startup_banner,
    startup_line,
    web_address,
)

_GOOD_NEWS = b"HTTP/1.1 200"
# On this machine connecting takes a moment, unless too many do.
_CONNECT_SECONDS = 0.2
_ANSWER_SECONDS = 3.0


class StartupProbe:
    """Waits beside a block for the first healthy answer, then prints the URLs, or one line without `banner`.

    Whoever is inside calls `look` many times a second. There is no thread for it, because workers are forked.
    """

    def __init__(self, settings: Settings, listener: socket.socket, *, demo: bool, banner: bool) -> None:
        host, port = listener.getsockname()[:2]
        self._address = web_address(str(settings.api_host), port)
        self._elsewhere = seen_from_elsewhere(host, port)
        self._listening_on = reachable(host), port
        self._settings, self._demo, self._banner = settings, demo, banner
        self._question: socket.socket | None = None
        self._asked = 0.0
        self._said = False
        self._loader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        if self._loader is not None and self._loader.poll() is None:
            self._loader.terminate()
            self._loader.wait()

    def look(self) -> None:
        """Ask whether the shop is healthy, or see what it answered; neither takes long."""
        if self._said:
            return
        if self._question is None:
            self._question = self._ask()
        elif select.select([self._question], [], [], 0)[0]:
            if _is_good_news(self._question):
                self._say()
            self._forget()
        elif time.monotonic() - self._asked > _ANSWER_SECONDS:
            self._forget()

    def _ask(self) -> socket.socket | None:
        """A connection on which the question is on its way; None when nobody takes it."""
        self._asked = time.monotonic()
        request = f"GET {HEALTH_PATH} HTTP/1.1\r\nHost: {self._address}\r\nConnection: close\r\n\r\n"
        try:
            question = socket.create_connection(self._listening_on, _CONNECT_SECONDS)
        except OSError:
            return None
        try:
            question.sendall(request.encode())
        except OSError:
            question.close()
            return None
        return question

    def _forget(self) -> None:
        if self._question is not None:
            self._question.close()
            self._question = None

    def _say(self) -> None:
        self._said = True
        text = startup_banner if self._banner else startup_line
        say(text(self._settings, self._address, self._elsewhere))
        if self._demo:
            self._load_demo()

    def _load_demo(self) -> None:
        url = f"http://{self._address}{self._settings.api_prefix}"
        self._loader = subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-P", "-m", "scripts.load_demo", "--base-url", url],
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
            stdin=subprocess.DEVNULL,
        )


def _is_good_news(question: socket.socket) -> bool:
    try:
        return question.recv(len(_GOOD_NEWS)) == _GOOD_NEWS
    except OSError:
        return False
