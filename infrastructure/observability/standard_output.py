"""Standard output for the log: whole lines, also with several workers, and no long waits for a slow reader."""

import os
import select
import sys
from collections.abc import Sequence

# When standard output is full for this long, in milliseconds, lines are dropped there.
STALL_MILLISECONDS = 500


class StandardOutput:
    """Writes to the current `sys.stdout`, and never waits long for its reader."""

    def __init__(self) -> None:
        self._closed_descriptor: int | None = None
        self._timeout = STALL_MILLISECONDS

    def write(self, texts: Sequence[str]) -> None:
        """Write lines. When the reader is too slow, they are dropped; the files have them."""
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
            # The reader of the pipe, or the terminal, is gone.
            self._closed_descriptor = descriptor

    def _write_block(self, descriptor: int, block: bytes) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        for start in range(0, len(block), select.PIPE_BUF):
            if not poll.poll(self._timeout):
                # From now on it is only polled, without a wait, until it takes lines again.
                self._timeout = 0
                return
            self._timeout = STALL_MILLISECONDS
            os.write(descriptor, block[start : start + select.PIPE_BUF])

    def _write_to_object(self, texts: Sequence[str]) -> None:
        """Write to an object that is no file: that of a test or a notebook, a closed one, or none."""
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.write("\n".join([*texts, ""]))
            sys.stdout.flush()


def _blocks(texts: Sequence[str]) -> list[bytes]:
    """Whole lines in blocks of the size that a pipe takes atomically.

    Workers share the pipe: a larger block could have another worker's line in its middle.
    """
    blocks = [b""]
    for text in texts:
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        if len(blocks[-1]) + len(line) > select.PIPE_BUF:
            blocks.append(b"")
        blocks[-1] += line
    return [block for block in blocks if block]
