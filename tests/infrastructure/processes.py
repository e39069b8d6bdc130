"""Real processes for the tests of the embedded servers and of the launcher, and a look at what is left of them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from config.settings import PROJECT_ROOT

# For a very busy machine; how long something may take is for the test to say.
PATIENCE_SECONDS = 90.0

_HOLD_SERVERS = """
import sys
from infrastructure.embedded.servers import running_servers
from config.settings import read_settings

settings = read_settings({"DATA_DIR": sys.argv[1]})
with running_servers(settings, owner=sys.argv[2] == "owner", durable=False):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def processes_of(data_dir: Path) -> dict[int, str]:
    """The live processes that have to do with `data_dir`: named in their command line or environment."""
    mark, found = os.fsencode(data_dir), {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:  # It ended meanwhile.
            continue
        if mark in command or b"DATA_DIR=" + mark + b"\0" in environment:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def end_everything(data_dir: Path) -> None:
    """Kill what a failed test left running."""
    for pid in processes_of(data_dir):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_for(lambda: not processes_of(data_dir), "killed processes to be gone")


def postgres_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def valkey_pid(data_dir: Path) -> int:
    return int((data_dir / "valkey" / "valkey.pid").read_text())


class Holder:
    """A process that has the servers of `data_dir` running, as "owner" or "guest", until it is let go."""

    def __init__(self, data_dir: Path, role: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLD_SERVERS, str(data_dir), role],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def until_ready(self) -> "Holder":
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "ready\n", line + self.process.stdout.read()
        return self

    def let_go(self) -> None:
        output, _ = self.process.communicate("\n", timeout=PATIENCE_SECONDS)
        assert self.process.returncode == 0, output

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class Shop:
    """main.py or run_production.py as a process of its own, started by the command `under` where one is given."""

    def __init__(self, program: str, data_dir: Path, *, under: Sequence[str] = (), **settings: str) -> None:
        self.port = int(settings.setdefault("API_PORT", str(free_port())))
        self.data_dir = data_dir
        self._program = str(PROJECT_ROOT / program)
        self._output = data_dir.with_name(f"{data_dir.name}.output")
        environment = {
            **os.environ,
            "DATA_DIR": str(data_dir),
            "LOG_DIR": str(data_dir.with_name("logs")),
            "UVICORN_WORKERS": "1",
            "DRAIN_SECONDS": "0.1",
            # Tests that are about them ask for them.
            "BACKGROUND_WORKERS": "0",
            "SECRET_KEYS": "only-for-tests-0123456789abcdef0123456789",
            "PYTHONWARNINGS": "default",
            **settings,
        }
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*under, sys.executable, self._program],
                env=environment,
                cwd=data_dir.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health_check")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def until_it_answers(self) -> "Shop":
        def answers_or_ended() -> bool:
            assert self.process.poll() is None, self.output
            return self.answers()

        wait_for(answers_or_ended, "the shop to answer")
        return self

    def until_it_says(self, text: str) -> None:
        wait_for(lambda: text in self.output, text)

    def workers(self) -> set[int]:
        """The forks of the launcher, which show its command line."""
        forks = {pid for pid, command in processes_of(self.data_dir).items() if self._program in command}
        return forks - {self.process.pid}

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
