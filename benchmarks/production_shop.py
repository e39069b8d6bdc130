"""A production server with embedded servers, for one benchmark run."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.settings import PROJECT_ROOT, read_settings
from infrastructure.embedded.servers import embedded_urls
from infrastructure.server.background import PROCESS_NAME

START_SECONDS = 60
# Settings as in production: every request is logged and counted.
LIKE_PRODUCTION = {"LOG_LEVEL": "INFO", "ACCESS_LOG": "true", "RATE_LIMIT_EXEMPT": ""}


@dataclass(frozen=True, slots=True)
class Shop:
    """A running shop."""

    host: str
    port: int
    launcher: subprocess.Popen[bytes]
    database_url: str

    def workers(self) -> list[int]:
        """The pids of its workers."""
        return [child.pid for child in self._forks() if child.name() != PROCESS_NAME]

    def background_processes(self) -> list[int]:
        """The pids of its background processes."""
        return [child.pid for child in self._forks() if child.name() == PROCESS_NAME]

    def _forks(self) -> list[psutil.Process]:
        # With the launcher's command line; embedded servers have others.
        launcher = psutil.Process(self.launcher.pid)
        return [child for child in launcher.children() if child.cmdline() == launcher.cmdline()]

    def kill_a_worker(self) -> None:
        """Kill one worker."""
        os.kill(self.workers()[0], signal.SIGKILL)

    def kill_a_background_process(self) -> None:
        """Kill one background process, if there is one now: it may have been killed before, and not yet be back."""
        for pid in self.background_processes()[:1]:
            os.kill(pid, signal.SIGKILL)


@contextmanager
def production_shop(workers: int, output: int | None = None, **variables: str) -> Iterator[Shop]:
    """The shop with `workers` processes on an empty database in a temporary folder; it ends with the block.

    `variables` are settings of its environment, `output` is its standard output.
    """
    with tempfile.TemporaryDirectory(prefix="shop-benchmark-") as folder:
        port = free_port()
        settings = {
            "EMBEDDED": "true",
            "DATA_DIR": str(Path(folder) / "data"),
            "LOG_DIR": str(Path(folder) / "logs"),
            "LOG_LEVEL": "WARNING",
            "API_HOST": "127.0.0.1",
            "API_PORT": str(port),
            "UVICORN_WORKERS": str(workers),
            "RATE_LIMIT_CALLS": "1000000000",
            "RATE_LIMIT_CALLS_AUTHENTICATED": "1000000000",
            # Most figures are of the shop itself; `benchmarks.http --auth` tells what credentials cost.
            "AUTH": "off",
            **variables,
        }
        launcher = subprocess.Popen(
            [sys.executable, str(PROJECT_ROOT / "run_production.py")], env={**os.environ, **settings}, stdout=output
        )
        try:
            wait_for_answer(launcher, f"http://127.0.0.1:{port}/health/ready")
            yield Shop("127.0.0.1", port, launcher, embedded_urls(read_settings(settings)).database_url)
        finally:
            launcher.terminate()
            launcher.wait(60)


def free_port() -> int:
    """A free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_answer(server: subprocess.Popen[bytes], url: str) -> None:
    """Wait until `url` answers 200. Raises `SystemExit` when the server ends instead, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit("the server ended at its start")
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  (our own loopback server)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the server was not ready within {START_SECONDS} s")
