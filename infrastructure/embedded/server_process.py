"""What the embedded PostgreSQL and Valkey have in common: they are found, taken over, started, awaited and stopped.

When the process that started a server is killed, the server lives on. The next process finds it by the server's own
pid file, and checks that the pid still is that server.
"""

import os
import re
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.folders import as_seen_inside, socket_folder
from infrastructure.embedded.privileges import Account, nobody, run_as

# Replaying the log after a crash counts as starting and may take a while.
START_SECONDS = 120.0
_TAKE_OVER_SECONDS = 3.0
_POLL_SECONDS = 0.01
_LOG_BYTES = 1024 * 1024


def is_running_with(pid: int, argument: str) -> bool:
    """Whether the process `pid` lives and was started with `argument`."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False  # It was our child, and has just been reaped.
        is_child = True
    except ChildProcessError:
        is_child = False
    if not Path("/proc/self").exists():
        return argument in _shown_by_ps(pid)
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    encoded = os.fsencode(argument)
    # A zombie has an empty command line, and so has a child between fork and exec.
    return any(word == encoded or word.endswith(b"=" + encoded) for word in words.split(b"\0")) or (
        is_child and not words
    )


def is_overprivileged(pid: int) -> bool:
    """Whether the process runs as root or as the shared `nobody`, or has capabilities, as far as the system shows it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return int(status["Uid"][1]) in (0, nobody().uid) or int(status["CapEff"][0], 16) != 0


def _shown_by_ps(pid: int) -> str:
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 (nothing foreign)


class ServerProcess(ABC):
    """One embedded server of one data folder. A subclass has its command, its check and its stop signals."""

    name: ClassVar[str]
    # Each signal with the seconds before the next one is sent. The first is a clean shutdown.
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]]
    # A message in the log which only means that processes of a killed predecessor are still ending.
    transient_error: ClassVar[str | None] = None

    def __init__(self, data_dir: Path, name: str) -> None:
        self.folder = data_dir / name
        self.socket_folder = socket_folder(self.folder)
        self.log_file = data_dir / f"{name}.log"
        self._log_start = 0
        # The user who runs the server; None is the current user.
        self.account: Account | None = None
        self._pid = 0  # of the server that `begin` took over or started
        self._started = False

    @property
    @abstractmethod
    def pid_file(self) -> Path:
        """The file into which the server writes its pid, on the first line."""

    @abstractmethod
    def prepare(self, stopping: Callable[[], bool]) -> None:
        """Make the folders and everything else that the server needs before its start."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the server, which runs in `folder`; one argument is `folder`, or ends with "=" and `folder`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server accepts a client now."""

    def environment(self) -> dict[str, str]:
        """The environment of the server: without the locale of the user and without `PG*` variables."""
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def is_starting(self) -> bool:
        """Whether the running server reports that it is still starting."""
        return False

    def recorded_pid(self) -> int | None:
        """The pid in the pid file; it may be that of another process by now."""
        try:
            pid = int(self.pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return pid if pid > 0 else None

    def running_pid(self) -> int | None:
        """The pid of the running server, or None."""
        pid = self.recorded_pid()
        return pid if pid is not None and self._is_ours(pid) else None

    def begin(self, *, may_end: bool, stopping: Callable[[], bool]) -> None:
        """Take over the running server, or start one without waiting for it.

        One that runs and does not answer is stopped first if `may_end`, else `EmbeddedServerError` is raised. One with
        too many rights, as earlier releases started it as root, is stopped as well.
        """
        pid = self.running_pid()
        if pid is not None and may_end and os.geteuid() == 0 and is_overprivileged(pid):
            self._end(pid, self.stop_signals)
        elif pid is not None and self._can_be_taken_over(pid, stopping):
            return
        if pid is not None and self._is_ours(pid):
            if not may_end:
                raise EmbeddedServerError(f"{self.name} (process {pid}) runs but does not answer: try again later")
            self._end(pid, self.stop_signals[1:])
        self.prepare(stopping)
        self._launch()

    @property
    def pid(self) -> int:
        """The process that `adopt` or `begin` found or started; 0 for none."""
        return self._pid

    def adopt(self) -> None:
        """Take the running server for the one that `begin` has started."""
        self._pid = self.running_pid() or 0

    def is_alive(self) -> bool:
        """Whether the process of the server exists; one that is stopped (SIGSTOP) does."""
        return self._pid != 0 and self._is_ours(self._pid)

    def is_ready(self) -> bool:
        """Whether the server that `begin` started answers. Raises `EmbeddedServerError` when it has ended instead."""
        if self.answers():
            return True
        if not self._is_ours(self._pid):
            self._relaunch_or_raise()
        return False

    def wait_until_ready(self, stopping: Callable[[], bool]) -> None:
        """Return when the server that `begin` started answers; raises `EmbeddedServerError` when it does not."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if stopping():
                raise EmbeddedServerError(f"Stopped while {self.name} was starting")
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"{self.name} did not start within {START_SECONDS:.0f} s: {self.log_file}")
            time.sleep(_POLL_SECONDS)

    def undo(self) -> None:
        """Stop the server if this object started it, also before it has written its pid file."""
        if self._started and self._is_ours(self._pid):
            self._end(self._pid, self.stop_signals)

    def stop(self) -> None:
        """Stop the server, whichever process started it, and wait for its end."""
        pid = self.running_pid()
        if pid is not None:
            self._end(pid, self.stop_signals)
        if self.socket_folder != self.folder:
            with suppress(OSError):  # It does not exist, or another server uses it too.
                self.socket_folder.rmdir()

    def spawn(self, command: list[str]) -> int:
        """Start `command` in a session of its own, which the terminal's Ctrl-C does not reach; returns its pid.

        Its output goes to the log file. It may outlive this process, of which `subprocess.Popen` would warn.
        """
        with suppress(FileNotFoundError):
            if self.log_file.stat().st_size > _LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
        self.log_file.touch(mode=0o600)
        self._log_start = self.log_file.stat().st_size
        return os.posix_spawn(
            command[0],
            command,
            self.environment(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log_file), os.O_WRONLY | os.O_APPEND, 0),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            # Python ignores these two; a program expects the system's default.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )

    def last_log_line(self) -> str:
        """The last error in the log since the last start, else the last line."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|[Ee]rror|[Cc]ould not", line)]
        line = (errors or lines or ["it left no message"])[-1]
        return re.sub(r"^.*?(FATAL|PANIC|ERROR):\s+", "", line).strip()

    def inside(self, path: Path) -> Path:
        """The path of `path` for the server itself."""
        return as_seen_inside(self.folder, path, self.account)

    def _launch(self) -> None:
        self._pid = self.spawn(run_as(self.account, self.folder, self.command()))
        self._started = True

    def _relaunch_or_raise(self) -> None:
        message = self.last_log_line()
        if self.transient_error is None or self.transient_error not in message:
            raise EmbeddedServerError(f"{self.name} did not start: {message}")
        time.sleep(10 * _POLL_SECONDS)
        self._launch()

    def _is_ours(self, pid: int) -> bool:
        return is_running_with(pid, str(self.folder))

    def _can_be_taken_over(self, pid: int, stopping: Callable[[], bool]) -> bool:
        seconds = START_SECONDS if self.is_starting() else _TAKE_OVER_SECONDS
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline or stopping() or not self._is_ours(pid):
                return False
            time.sleep(_POLL_SECONDS)
        self._pid = pid
        return True

    def _end(self, pid: int, stop_signals: Sequence[tuple[signal.Signals, float]]) -> None:
        for stop_signal, seconds in stop_signals:
            with suppress(ProcessLookupError):
                os.kill(pid, stop_signal)
                # A stopped process handles the signal only when it is continued.
                os.kill(pid, signal.SIGCONT)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not self._is_ours(pid):
                    return
                time.sleep(_POLL_SECONDS)
        raise EmbeddedServerError(f"{self.name} (process {pid}) cannot be ended")
