"""How long a program keeps the interpreter for itself: the longest piece of it in which no other thread could run.

A thread lets others run between two calls of Python functions, but not within a function of C. So what is measured is
the CPU time of a thread between any two such events. It does not depend on what else the machine does.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any


@dataclass
class Pieces:
    """The longest piece so far: its CPU time in seconds, and what it was."""

    longest: float = 0.0
    what: str = ""
    _ends: dict[int, float] = field(default_factory=dict)

    def forget(self) -> None:
        """Begin anew."""
        self.longest, self.what = 0.0, ""

    def note(self, frame: FrameType, event: str, argument: Any) -> None:
        """A profile function (see `sys.setprofile`)."""
        thread, now = threading.get_ident(), time.thread_time()
        seconds = now - self._ends.get(thread, now)
        if seconds > self.longest:
            of_c = f" {argument.__qualname__}" if event.startswith("c_") else ""
            self.longest = seconds
            self.what = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}, {event}{of_c}"
        self._ends[thread] = time.thread_time()


@contextmanager
def measured_pieces() -> Iterator[Pieces]:
    """Measures all threads that start within it."""
    pieces = Pieces()
    threading.setprofile(pieces.note)
    try:
        yield pieces
    finally:
        threading.setprofile(None)
        sys.setprofile(None)
