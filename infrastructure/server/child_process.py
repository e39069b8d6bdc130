"""Child process: a fork, which has every module of its parent imported, and shares that memory.

Only a process of one thread may fork: a lock held by another thread would stay locked in the child for ever. And it may
have nothing open that two processes cannot share, such as a connection or an event loop.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NoReturn

_STANDARD_STREAMS = (0, 1, 2)
# The parent has handlers for these, which the child must not run.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ChildProcess:
    """A process that does `work` and ends; its exit code is 0 unless `work` raises.

    Of the parent's descriptors it keeps the standard streams and those of `keep`. It has a process group of its own, so
    that the terminal's Ctrl-C reaches the parent only.
    """

    def __init__(self, work: Callable[[], None], keep: Collection[int]) -> None:
        # Output still in the buffer would be printed by both processes.
        _flush()
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            # Inherited from the program that started this one; the system would keep no exit codes.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A signal that reaches the child before it is ready would be lost to the parent's handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _run_child(work, keep, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        # Minus the number of the signal, if one ended the process; None while it runs.
        self.exit_code: int | None = None

    def has_ended(self) -> bool:
        """Whether the process has ended, and then `exit_code` is known."""
        self._reap(os.WNOHANG)
        return self.exit_code is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        # Its pid is its own until it was reaped here.
        if not self.has_ended():
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process, and wait for its end."""
        self.send(signal.SIGKILL)
        self._reap(0)

    def _reap(self, options: int) -> None:
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, options)
            if pid == self.pid:
                self.exit_code = os.waitstatus_to_exitcode(status)


def _run_child(work: Callable[[], None], keep: Collection[int], signal_mask: Collection[int]) -> NoReturn:
    """Never returns: the parent's `with` and `finally` blocks, still on the stack, must not run in the child."""
    code = 1
    try:
        os.setpgid(0, 0)
        _close_inherited(keep)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGHUP is under nohup
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


def _close_inherited(keep: Collection[int]) -> None:
    """Close the parent's descriptors: a lock or a connection that the child kept would outlive the parent.

    The parent's objects for them stay alive on the stack, so that none closes its number a second time.
    """
    for name in os.listdir("/dev/fd"):
        if int(name) not in (*_STANDARD_STREAMS, *keep):
            with suppress(OSError):  # The listing's own descriptor is closed already.
                os.close(int(name))
    null_device = os.open(os.devnull, os.O_RDONLY)
    if null_device != 0:
        os.dup2(null_device, 0)
        os.close(null_device)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # The stream may be closed, or its reader gone.
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
