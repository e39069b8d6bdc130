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

from infrastructure.server.child_process import ChildProcess
from infrastructure.server.listener import drop_new_connections
from infrastructure.server.worker import (
    DUMP_STACKS,
    GRACEFUL_SECONDS,
    LEAVE,
    NOT_SERVING,
    PING,
    SERVING,
    SPENT,
    ApplicationFailed,
)

log = logging.getLogger("shop.supervisor")

# A worker hangs when its event loop has not answered a ping for this long.
_HUNG_SECONDS = 30.0
# For a hung worker, to write its stacks.
_STACK_DUMP_SECONDS = 0.5
_PING_SECONDS = 1.0
# Between attempts while workers die before they serve.
_RETRY_SECONDS = 1.0
_POLL_SECONDS = 0.02
# For a worker to close its pools after its last request.
_CLOSING_SECONDS = 5.0

# The function of a worker: it accepts on the first socket, and answers pings on the second. Its number, from 0, is not
# that of any other running worker.
Work = Callable[[int, socket.socket, socket.socket], None]


class _Worker:
    """A worker process, and the launcher's end of the socket pair to it."""

    def __init__(self, work: Work, number: int, listener: socket.socket) -> None:
        self.number = number
        self._control, worker_end = socket.socketpair()
        self._control.setblocking(False)
        with worker_end:
            keep = (listener.fileno(), worker_end.fileno())
            self.process = ChildProcess(partial(work, number, listener, worker_end), keep)
        self.serves = False
        # It has served as many requests as it should, and is relieved when another one serves.
        self.is_spent = False
        self.is_leaving = False
        # The time at which it is killed, because it hangs.
        self._kill_at: float | None = None
        self._pinged_at = 0.0
        # The time of the first ping without an answer.
        self._waiting_since: float | None = None

    def ping(self) -> None:
        """Read the answers to earlier pings, and send the next ping when it is due."""
        now = time.monotonic()
        try:
            answers = self._control.recv(4096)
        except OSError:  # Nothing to read yet, or a process that has just died.
            answers = b""
        if answers:
            self._waiting_since = None
            assert set(answers) <= set(SERVING + NOT_SERVING + SPENT)
            self.serves = answers[-1:] != NOT_SERVING
            self.is_spent = answers[-1:] == SPENT
        pause = _PING_SECONDS if self.serves else _POLL_SECONDS
        if now - self._pinged_at > pause:
            self._pinged_at = now
            self._waiting_since = self._waiting_since or now
            self._send(PING)

    def end_if_hung(self) -> None:
        """Have a hung worker write its stacks, and kill it a moment later."""
        now = time.monotonic()
        if self._kill_at is None and self.is_hung():
            log.error("Worker %d hangs and is ended; where it hangs is on standard error", self.process.pid)
            self.process.send(DUMP_STACKS)
            self._kill_at = now + _STACK_DUMP_SECONDS
        elif self._kill_at is not None and now >= self._kill_at:
            self.process.kill()

    def is_hung(self) -> bool:
        # Counted from the ping: the time in which the launcher itself was stopped does not count.
        return self._waiting_since is not None and time.monotonic() - self._waiting_since > _HUNG_SECONDS

    def leave(self) -> None:
        """Have it drain and end: other workers serve."""
        log.info("Worker %d has served as many requests as it should, and leaves", self.process.pid)
        self.is_leaving = True
        self._send(LEAVE)

    def close(self) -> None:
        self._control.close()

    def _send(self, message: bytes) -> None:
        try:
            self._control.send(message)
        except OSError:
            # The pair is full because the worker hangs, or closed because it died: `tick` handles both.
            log.debug("Worker %d takes no questions", self.process.pid)


class Supervisor:
    """Runs `count` workers that do `work` and accept on `listener`. `tick` must be called ten times a second or more."""

    def __init__(self, count: int, work: Work, listener: socket.socket) -> None:
        self._count, self._work, self._listener = count, work, listener
        # Whether any worker has ever reported that it serves.
        self.has_served = False
        self._workers: list[_Worker] = []
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
            time.sleep(_POLL_SECONDS)
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
            self._workers.append(_Worker(self._work, number, self._listener))
        except OSError as error:  # no memory, or too many processes or files
            if not self.has_served:
                raise ApplicationFailed(f"No worker can be started: {error.strerror}") from None
            log.error("No worker can be started for now: %s", error.strerror)
            self._next_start_at = time.monotonic() + _RETRY_SECONDS

    def _close_listener(self) -> None:
        if self._listener.fileno() != -1:
            drop_new_connections(self._listener)
            self._listener.close()

    def _reap(self, worker: _Worker) -> None:
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
