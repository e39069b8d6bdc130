"""Says where the shop is, at the moment it first answers, and loads the demo catalog then if asked to."""

import http.client
import ipaddress
import os
import socket
import subprocess
import sys
import threading
from types import TracebackType
from typing import Self

from config.settings import PROJECT_ROOT, Settings

_HEALTH_PATH = "/health_check"
_ANSWER_SECONDS = 3.0
_POLL_SECONDS = 0.05


def web_address(host: str, port: int) -> str:
    """`host` and `port` as they stand in a URL; an address that means "all" is shown as this machine's."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    if address.is_unspecified:
        return f"127.0.0.1:{port}" if address.version == 4 else f"[::1]:{port}"
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"


class FirstAnswer:
    """Waits beside a block for the first healthy answer, then prints the URLs, or one line without `banner`."""

    def __init__(self, settings: Settings, listener: socket.socket, *, demo: bool, banner: bool) -> None:
        self._address = web_address(str(settings.api_host), listener.getsockname()[1])
        self._settings, self._demo, self._banner = settings, demo, banner
        self._ended = threading.Event()
        self._loader: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._wait_and_say, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._loader is not None and self._loader.poll() is None:
            self._loader.terminate()
            self._loader.wait()

    def _wait_and_say(self) -> None:
        while not self._is_healthy():
            if self._ended.wait(_POLL_SECONDS):
                return
        if self._ended.is_set():
            return
        sys.stdout.write(self._text())
        sys.stdout.flush()
        if self._demo:
            self._load_demo()

    def _text(self) -> str:
        shop = f"http://{self._address}"
        if not self._banner:
            return f"The shop serves on {shop} with {self._settings.uvicorn_workers} workers\n"
        return f"API     {shop}{self._settings.api_prefix}\nDocs    {shop}/docs\nHealth  {shop}{_HEALTH_PATH}\n"

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(self._address, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", _HEALTH_PATH)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _load_demo(self) -> None:
        url = f"http://{self._address}{self._settings.api_prefix}"
        self._loader = subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-P", "-m", "scripts.load_demo", "--base-url", url],
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
            stdin=subprocess.DEVNULL,
        )
