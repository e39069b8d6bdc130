"""Standard output as the log uses it: whole lines, which several workers may write at once, and no waiting for readers."""

import os
import select
import sys
from collections.abc import Sequence

# How long standard output may be full before lines are left out there, in milliseconds.
STALL_MILLISECONDS = 500


class StandardOutput:
    """Writes to what `sys.stdout` is at the moment, and never waits long for whoever reads it."""

    def __init__(self) -> None:
        self._closed_descriptor: int | None = None
        self._timeout = STALL_MILLISECONDS

    def write(self, texts: Sequence[str]) -> None:
        """Write lines. Those that nobody takes are left out; the files have them."""
        try:
            descriptor = sys.stdout.fileno()
        except (AttributeError, OSError, ValueError):
            self._write_to_object(texts)
            return
        if descriptor == self._closed_descriptor:
            return
        try:
            for block in _blocks(texts):
                self._write_block(descriptor, block)
        except BlockingIOError:
            return
        except OSError:
            # The pipe's reader has gone, or the terminal: nobody is there to be told.
            self._closed_descriptor = descriptor

    def _write_block(self, descriptor: int, block: bytes) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        for start in range(0, len(block), select.PIPE_BUF):
            if not poll.poll(self._timeout):
                # It has had its time; from now on it is only asked whether it takes lines again.
                self._timeout = 0
                return
            self._timeout = STALL_MILLISECONDS
            os.write(descriptor, block[start : start + select.PIPE_BUF])

    def _write_to_object(self, texts: Sequence[str]) -> None:
        """Standard output that is no file: a test's or a notebook's, closed, or none at all."""
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.write("\n".join([*texts, ""]))
            sys.stdout.flush()


def _blocks(texts: Sequence[str]) -> list[bytes]:
    """Whole lines, gathered up to the size that a pipe takes in one piece.

    Workers share the pipe: a larger block could have another worker's line in its middle.
    """
    blocks = [b""]
    for text in texts:
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        if len(blocks[-1]) + len(line) > select.PIPE_BUF:
            blocks.append(b"")
        blocks[-1] += line
    return [block for block in blocks if block]
