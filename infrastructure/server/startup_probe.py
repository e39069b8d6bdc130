"""Says where the shop is, at the moment it first answers, and loads the demo catalog then if asked to."""

import ipaddress
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from config.settings import PROJECT_ROOT, Settings

_HEALTH_PATH = "/health_check"
_GOOD_NEWS = b"HTTP/1.1 200"
# On this machine connecting takes a moment, unless too many do.
_CONNECT_SECONDS = 0.2
_ANSWER_SECONDS = 3.0


def web_address(host: str, port: int) -> str:
    """`host` and `port` as they stand in a URL; an address that means "all" is shown as this machine's."""
    try:
        host = reachable(host)
    except ValueError:
        return f"{host}:{port}"
    return f"[{ipaddress.ip_address(host)}]:{port}" if ":" in host else f"{ipaddress.ip_address(host)}:{port}"


def reachable(host: str) -> str:
    """The address to connect to for one that is listened on, which may mean "all"."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def seen_from_elsewhere(host: str, port: int) -> str | None:
    """`host` and `port` as other machines reach them, where all addresses are listened on and this machine has another."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return None
    family, anybody = (socket.AF_INET, "192.0.2.1") if address.version == 4 else (socket.AF_INET6, "2001:db8::1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the system only looks which of its addresses it would send from.
            probe.connect((anybody, 9))
        except OSError:
            return None
        own = str(probe.getsockname()[0])
    return None if ipaddress.ip_address(own).is_loopback else web_address(own, port)


def drain_notice(drain_seconds: float, grace_seconds: float) -> str:
    """The line for whoever has just asked the shop to stop."""
    accepted = f"requests are accepted for {drain_seconds:g} s more, and " if drain_seconds else ""
    return f"Stopping: {accepted}those under way may take {grace_seconds:g} s; Ctrl-C, or the signal, once more ends them now"


def say(text: str) -> None:
    """Write to standard output, if anybody reads it."""
    # The terminal is closed, or the reader of a pipe gone: that is no reason to stop or to stay.
    with suppress(OSError):
        sys.stdout.write(text)
        sys.stdout.flush()


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
        request = f"GET {_HEALTH_PATH} HTTP/1.1\r\nHost: {self._address}\r\nConnection: close\r\n\r\n"
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
        say(self._text())
        if self._demo:
            self._load_demo()

    def _text(self) -> str:
        shop, prefix = f"http://{self._address}", self._settings.api_prefix
        elsewhere = f"http://{self._elsewhere}{prefix}" if self._elsewhere else ""
        if not self._banner:
            others = f", for other machines on {elsewhere}," if elsewhere else ""
            return f"The shop serves on {shop}{prefix}{others} with {self._settings.uvicorn_workers} workers\n"
        lines = [f"API     {shop}{prefix}", f"Docs    {shop}/docs", f"Health  {shop}{_HEALTH_PATH}"]
        if elsewhere:
            lines.append(f"        {elsewhere} for other machines, if nothing is in the way")
        return "".join(f"{line}\n" for line in lines)

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
