"""Supervised process: a fork of the launcher that answers its pings, and is killed when it does not."""

import logging
import socket
import time
from collections.abc import Callable, Collection
from functools import partial

from infrastructure.server.child_process import ChildProcess
from infrastructure.server.pings import DUMP_STACKS, LEAVE, NOT_SERVING, PING, SERVING, SPENT

log = logging.getLogger("shop.supervisor")

# It hangs when its event loop has not answered a ping for this long.
_HUNG_SECONDS = 30.0
# For a hung one, to write its stacks.
_STACK_DUMP_SECONDS = 0.5
_PING_SECONDS = 1.0
POLL_SECONDS = 0.02


class SupervisedProcess:
    """A child of the launcher, and the launcher's end of the socket pair to it; `work` is called with the other end.

    Of the parent's descriptors it keeps those of `keep`. `kind` is what messages call it.
    """

    def __init__(
        self, work: Callable[[socket.socket], None], number: int, keep: Collection[int] = (), kind: str = "Worker"
    ) -> None:
        self.number, self._kind = number, kind
        self._control, worker_end = socket.socketpair()
        self._control.setblocking(False)
        with worker_end:
            self.process = ChildProcess(partial(work, worker_end), (*keep, worker_end.fileno()))
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
        pause = _PING_SECONDS if self.serves else POLL_SECONDS
        if now - self._pinged_at > pause:
            self._pinged_at = now
            self._waiting_since = self._waiting_since or now
            self._send(PING)

    def end_if_hung(self) -> None:
        """Have a hung worker write its stacks, and kill it a moment later."""
        now = time.monotonic()
        if self._kill_at is None and self.is_hung():
            log.error("%s %d hangs and is ended; where it hangs is on standard error", self._kind, self.process.pid)
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
            log.debug("%s %d takes no questions", self._kind, self.process.pid)
