"""Background processes beside the workers: started, watched and stopped like them, but never the reason for anything else to stop.

They are forks of the launcher, and import what only they need afterwards. What they do is known by name, because the
engine room knows nothing above it.
"""

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from infrastructure.server.pings import DUMP_STACKS, NOT_SERVING, SERVING, answer_pings
from infrastructure.server.supervised_process import POLL_SECONDS, SupervisedProcess

log = logging.getLogger("shop.supervisor")

PROCESS_NAME = "background"
_MODULE = "jobs.process"
# Between attempts while processes die soon: the first pause, which doubles, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
# Who has lived for so long did not die of its start.
_SOON_SECONDS = 60.0
# For a process to close its connections after the drain.
_CLOSING_SECONDS = 5.0


class BackgroundProcesses:
    """Runs `count` background processes. `tick` must be called ten times a second or more."""

    def __init__(self, count: int, work: Callable[[socket.socket], None] | None = None) -> None:
        self._count, self._work = count, work or run_background
        self._processes: dict[SupervisedProcess, float] = {}
        self._next_start_at, self._pause = 0.0, _FIRST_PAUSE

    def pids(self) -> list[int]:
        """The pids of the processes."""
        return [one.process.pid for one in self._processes]

    def tick(self) -> None:
        """Check every process, and start the missing ones."""
        for one in list(self._processes):
            one.ping()
            if not one.process.has_ended():
                one.end_if_hung()
            if one.process.has_ended():
                self._reap(one)
        while len(self._processes) < self._count and time.monotonic() >= self._next_start_at:
            self._start()

    def begin_to_stop(self) -> None:
        """Send them SIGTERM: they drain while the caller does something else."""
        for one in self._processes:
            one.process.send(signal.SIGTERM)

    def stop(
        self, drain_seconds: float, urgent: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for their end after `begin_to_stop`; kill them when they take too long, or `urgent()` is true."""
        deadline = time.monotonic() + drain_seconds + _CLOSING_SECONDS
        while not all(one.process.has_ended() for one in self._processes):
            if time.monotonic() > deadline or urgent():
                for one in self._processes:
                    one.process.kill()
            meanwhile()
            time.sleep(POLL_SECONDS)
        for one in self._processes:
            one.close()
        self._processes.clear()

    def _start(self) -> None:
        number = min(set(range(self._count)) - {one.number for one in self._processes})
        try:
            self._processes[SupervisedProcess(self._work, number, kind="Background process")] = time.monotonic()
        except OSError as error:  # no memory, or too many processes or files
            log.error("No background process can be started for now: %s", error.strerror)
            self._wait_longer()

    def _reap(self, one: SupervisedProcess) -> None:
        one.close()
        lived = time.monotonic() - self._processes.pop(one)
        log.warning("Background process %d died (exit code %d) and is replaced", one.process.pid, one.process.exit_code)
        if lived > _SOON_SECONDS:
            self._pause = _FIRST_PAUSE
        self._wait_longer()

    def _wait_longer(self) -> None:
        self._next_start_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


class _Loop:
    """The event loop of a background process, which answers pings."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    def note(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def state(self) -> bytes:
        return NOT_SERVING if self.loop is None else SERVING

    def leave(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def run_background(control: socket.socket) -> None:
    """Be a background process, and answer the launcher's pings on `control`."""
    faulthandler.register(DUMP_STACKS)
    # On Linux: for `ps -o comm`, because its command line is the launcher's, as that of every worker is.
    with suppress(OSError):
        Path("/proc/self/comm").write_text(PROCESS_NAME)
    loop = _Loop()
    threading.Thread(target=answer_pings, args=(control, loop), daemon=True).start()
    import_module(_MODULE).run(loop.note)
