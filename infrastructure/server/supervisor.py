"""Supervisor: starts the worker processes, replaces workers that die, hang or have served enough, and stops them.

A worker is a fork of the launcher, which has imported the application: it serves a few milliseconds later, and
shares the memory of the imported modules.

Unlike uvicorn's own supervisor it never gives up a running service: when a replacement fails at its start, the next
one is started, and a hung worker does not delay the others.
"""

import logging
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from infrastructure.server.listener import drop_new_connections
from infrastructure.server.supervised_process import POLL_SECONDS, SupervisedProcess
from infrastructure.server.worker import GRACEFUL_SECONDS, ApplicationFailed

log = logging.getLogger("shop.supervisor")

# Between attempts while workers die before they serve.
_RETRY_SECONDS = 1.0
# For a worker to close its pools after its last request.
_CLOSING_SECONDS = 5.0

# The function of a worker: it accepts on the first socket, and answers pings on the second. Its number, from 0, is not
# that of any other running worker.
Work = Callable[[int, socket.socket, socket.socket], None]


class Supervisor:
    """Runs `count` workers that do `work` and accept on `listener`. `tick` must be called ten times a second or more."""

    def __init__(self, count: int, work: Work, listener: socket.socket) -> None:
        self._count, self._work, self._listener = count, work, listener
        # Whether any worker has ever reported that it serves.
        self.has_served = False
        self._workers: list[SupervisedProcess] = []
        self._next_start_at = 0.0

    def workers(self) -> list[int]:
        """The pids of the workers."""
        return [worker.process.pid for worker in self._workers]

    def tick(self) -> None:
        """Check every worker, and start the missing ones. Raises `ApplicationFailed` when one fails before any has served."""
        for worker in list(self._workers):
            worker.ping()
            self.has_served = self.has_served or worker.serves
            if not worker.process.has_ended():
                worker.end_if_hung()
            if worker.process.has_ended():
                self._reap(worker)
        self._relieve()
        while len(self._workers) < self._wanted() and time.monotonic() >= self._next_start_at:
            self._start_worker()

    def stop(
        self, drain_seconds: float, urgent: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Send the workers SIGTERM, and wait for their end; kill them when they take too long, or `urgent()` is true.

        They accept connections for `drain_seconds` more. `meanwhile` is called many times a second.
        """
        for worker in self._workers:
            if not worker.is_leaving:  # A second signal would end its drain.
                worker.process.send(signal.SIGTERM)
        drained = time.monotonic() + drain_seconds
        deadline = drained + GRACEFUL_SECONDS + _CLOSING_SECONDS
        while not all(worker.process.has_ended() for worker in self._workers):
            now = time.monotonic()
            if now >= drained:
                self._close_listener()
            if now > deadline or urgent():
                for worker in self._workers:
                    worker.process.kill()
            meanwhile()
            time.sleep(POLL_SECONDS)
        self._close_listener()
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def _wanted(self) -> int:
        """How many workers there are to be: one more while one of them has served enough, and is yet to end."""
        return self._count + any(worker.is_spent for worker in self._workers)

    def _relieve(self) -> None:
        """Let one worker that has served enough leave, if as many as there should be serve without it."""
        spent = next((worker for worker in self._workers if worker.is_spent), None)
        if spent is None or any(worker.is_leaving for worker in self._workers):
            return
        if sum(worker.serves for worker in self._workers) > self._count:
            spent.leave()

    def _start_worker(self) -> None:
        number = min(set(range(self._count + 1)) - {worker.number for worker in self._workers})
        try:
            work = partial(self._work, number, self._listener)
            self._workers.append(SupervisedProcess(work, number, (self._listener.fileno(),)))
        except OSError as error:  # no memory, or too many processes or files
            if not self.has_served:
                raise ApplicationFailed(f"No worker can be started: {error.strerror}") from None
            log.error("No worker can be started for now: %s", error.strerror)
            self._next_start_at = time.monotonic() + _RETRY_SECONDS

    def _close_listener(self) -> None:
        if self._listener.fileno() != -1:
            drop_new_connections(self._listener)
            self._listener.close()

    def _reap(self, worker: SupervisedProcess) -> None:
        code = worker.process.exit_code
        assert code is not None
        worker.close()
        self._workers.remove(worker)
        if not self.has_served and code > 0:
            raise ApplicationFailed(f"The application did not start (exit code {code}); what it said is above")
        if code != 0:
            log.warning("Worker %d died (exit code %d) and is replaced", worker.process.pid, code)
        if not worker.serves:
            self._next_start_at = time.monotonic() + _RETRY_SECONDS
