"""A child that goes on from where its parent is: it has every module imported, and shares that memory (fork).

Only a process of one thread may have such children: a lock that another thread holds just then would stay
locked in the child for ever. And nothing may be open by then that two processes cannot share, such as a
connection or an event loop.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NoReturn

_STANDARD_STREAMS = (0, 1, 2)
# Handled by the parent in its own way, of which the child must not know.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ChildProcess:
    """A process that does `work` and ends, with the exit code 0 unless that raises.

    Of the parent's descriptors it has the standard streams and those of `keep`. In a process group of its own it
    is not reached by the terminal's Ctrl-C, which is for the parent to act on.
    """

    def __init__(self, work: Callable[[], None], keep: Collection[int]) -> None:
        # What still waits to be printed would be printed by both.
        _flush()
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            # Inherited from whoever started this program; the system would keep no exit codes.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A signal that came before the child is ready for it would be lost on the parent's handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _run_child(work, keep, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        # Minus the signal's number if one ended the process; None while it lives.
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
        """End the process at once, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._reap(0)

    def _reap(self, options: int) -> None:
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, options)
            if pid == self.pid:
                self.exit_code = os.waitstatus_to_exitcode(status)


def _run_child(work: Callable[[], None], keep: Collection[int], signal_mask: Collection[int]) -> NoReturn:
    """Never returns: the parent's `with` and `finally` blocks, which are on the stack, are not the child's to leave."""
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
    """Close what belongs to the parent: a lock or a connection that the child held too would outlive the parent.

    The parent's objects for them stay alive on the stack, so that none closes its number a second time.
    """
    for name in os.listdir("/dev/fd"):
        if int(name) not in (*_STANDARD_STREAMS, *keep):
            with suppress(OSError):  # It was the listing's own.
                os.close(int(name))
    null_device = os.open(os.devnull, os.O_RDONLY)
    if null_device != 0:
        os.dup2(null_device, 0)
        os.close(null_device)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Standard output may be closed, or its reader gone.
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
