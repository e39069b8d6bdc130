"""Stop requests: signals that ask a process to stop are counted, and end nothing by themselves."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequests:
    """Counts the signals that ask to stop. The second one is urgent."""

    def __init__(self) -> None:
        self._count = 0

    def requested(self) -> bool:
        return self._count > 0

    def urgent(self) -> bool:
        return self._count > 1

    def note(self, signal_number: int, frame: FrameType | None) -> None:
        self._count += 1

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Count signals for a block; they do not end the process or raise an exception. Only the main thread gets them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
            signals.append(signal.SIGHUP)
        before = {number: signal.signal(number, self.note) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
