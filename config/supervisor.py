"""Keeps the worker processes of the shop: starts them, replaces those that die or hang, and ends them.

Unlike uvicorn's own supervisor it never gives up a running service: a replacement that fails at start is tried
again, and a hung worker does not delay anybody else.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from config.listener import turn_newcomers_away
from config.settings import PROJECT_ROOT
from config.worker import GRACEFUL_SECONDS, NOT_SERVING, PING, SERVE, SERVING

log = logging.getLogger("shop.supervisor")

# A worker that did not answer for this long hangs.
_SILENCE_SECONDS = 30.0
_PING_SECONDS = 1.0
# Between attempts while workers die before they serve.
_RETRY_SECONDS = 1.0
_POLL_SECONDS = 0.02
# What a worker may take to close its pools, after its last request.
_CLOSING_SECONDS = 5.0


class ApplicationFailed(RuntimeError):
    """No worker came to serve; the message is one line."""


class _Worker:
    """A worker process and the launcher's end of the pair to it."""

    def __init__(self, listener: socket.socket) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        with theirs:
            descriptors = (listener.fileno(), theirs.fileno())
            # The interpreter leaves the current folder alone (-P); the project is named instead, so that the shop
            # can be started from anywhere. In a process group of its own the worker is not reached by the
            # terminal's Ctrl-C, which is for the launcher to act on.
            self.process = subprocess.Popen(  # noqa: S603 (our own module)
                [sys.executable, "-P", "-m", "config.worker", *map(str, descriptors)],
                env={**os.environ, "PYTHONPATH": _with_project(os.environ.get("PYTHONPATH"))},
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                process_group=0,
            )
        self.serves = False
        self._heard = self._asked = time.monotonic()

    def tell_to_serve(self) -> None:
        self._send(SERVE)

    def attend(self) -> None:
        """Take note of answers, and ask again when it is time."""
        now = time.monotonic()
        try:
            answers = self._control.recv(4096)
        except OSError:  # Nothing to read yet, or a process that has just died.
            answers = b""
        if answers:
            self._heard = now
            self.serves = answers[-1:] == SERVING
            assert set(answers) <= set(SERVING + NOT_SERVING)
        pause = _PING_SECONDS if self.serves else _POLL_SECONDS
        if now - self._asked > pause:
            self._asked = now
            self._send(PING)

    def hangs(self) -> bool:
        return time.monotonic() - self._heard > _SILENCE_SECONDS

    def close(self) -> None:
        self._control.close()

    def _send(self, question: bytes) -> None:
        try:
            self._control.send(question)
        except OSError:
            # The pair is full because the worker hangs, or closed because it died: both are seen elsewhere.
            log.debug("Worker %d takes no questions", self.process.pid)


class Supervisor:
    """`count` workers that accept on `listener`.

    Call `tick` ten times a second or more. Until `serve` is called the workers only import the application.
    """

    def __init__(self, count: int, listener: socket.socket) -> None:
        self._count, self._listener = count, listener
        # Whether any worker ever came to serve, as far as the workers have told.
        self.has_served = False
        self._workers: list[_Worker] = []
        self._open = False
        self._not_before = 0.0

    def workers(self) -> list[int]:
        """The pids of the workers there are."""
        return [worker.process.pid for worker in self._workers]

    def serve(self) -> None:
        """Let the workers serve, as soon as they can."""
        self._open = True
        for worker in self._workers:
            worker.tell_to_serve()

    def tick(self) -> None:
        """Look after every worker. Raises `ApplicationFailed` when one fails before any ever served."""
        for worker in list(self._workers):
            worker.attend()
            self.has_served = self.has_served or worker.serves
            if worker.hangs() and worker.process.poll() is None:
                log.error("Worker %d hangs and is ended", worker.process.pid)
                worker.process.kill()
                worker.process.wait()
            if worker.process.poll() is not None:
                self._bury(worker)
        while len(self._workers) < self._count and time.monotonic() >= self._not_before:
            self._workers.append(_Worker(self._listener))
            if self._open:
                self._workers[-1].tell_to_serve()

    def stop(self, drain_seconds: float, hurry: Callable[[], bool]) -> None:
        """Ask the workers to finish, and wait for them; kill them when they take too long, or `hurry()` says so.

        They go on accepting for `drain_seconds`.
        """
        for worker in self._workers:
            worker.process.send_signal(signal.SIGTERM)
        drained = time.monotonic() + drain_seconds
        deadline = drained + GRACEFUL_SECONDS + _CLOSING_SECONDS
        while any(worker.process.poll() is None for worker in self._workers):
            now = time.monotonic()
            if now >= drained:
                self._close_listener()
            if now > deadline or hurry():
                for worker in self._workers:
                    worker.process.kill()
            time.sleep(_POLL_SECONDS)
        self._close_listener()
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def _close_listener(self) -> None:
        if self._listener.fileno() != -1:
            turn_newcomers_away(self._listener)
            self._listener.close()

    def _bury(self, worker: _Worker) -> None:
        code = worker.process.returncode
        worker.close()
        self._workers.remove(worker)
        if not self.has_served and code > 0:
            raise ApplicationFailed(f"The application did not start (exit code {code}); what it said is above")
        if code != 0:
            log.warning("Worker %d died (exit code %d) and is replaced", worker.process.pid, code)
        if not worker.serves:
            self._not_before = time.monotonic() + _RETRY_SECONDS


def _with_project(path: str | None) -> str:
    return os.pathsep.join([str(PROJECT_ROOT), *([path] if path else [])])
