"""Drain: after SIGTERM a worker still serves for some seconds, and asks clients and load balancers to leave.

While `draining` is true, `/health/ready` is 503 and responses carry `Connection: close`.
"""

import asyncio
import signal
import threading
from types import FrameType
from typing import Protocol


class Drainable(Protocol):
    """A worker that can be drained."""

    draining: bool

    def end_waits(self) -> None:
        """Answer those who wait for something to happen."""


def drain_on_sigterm(worker: Drainable, seconds: float) -> None:
    """Have the first SIGTERM start the drain. The server stops `seconds` later, or at a second SIGTERM.

    The server's own handler closes idle connections at once. A client or a load balancer that has just chosen one of
    them would see a reset.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    stop = signal.getsignal(signal.SIGTERM)
    if not callable(stop):
        return
    loop = asyncio.get_running_loop()

    def drain(number: int, frame: FrameType | None) -> None:
        if worker.draining:
            stop(number, frame)
            return
        worker.draining = True
        loop.call_soon_threadsafe(worker.end_waits)
        loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, frame)

    signal.signal(signal.SIGTERM, drain)
