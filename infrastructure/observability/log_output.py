"""Log output: a queue and a thread that writes to standard output and to two files that all workers share.

A request only puts its line into the queue. The thread renders and writes lines in batches: `concurrent-log-handler`
takes a lock between processes for each write, about 30 µs, which for a batch of 50 is less than 1 µs a line. The lock
makes rotation safe with several workers.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from concurrent_log_handler import ConcurrentRotatingFileHandler

from infrastructure.observability.standard_output import StandardOutput

FILE_BYTES = 10 * 1024 * 1024
FILE_BACKUPS = 5
# Only the shop's user and group may read the paths and addresses in them.
FILE_MODE = 0o640

# The bounds of the queue. Lines beyond them are counted and dropped: a full disk or a stalled terminal must not stop the
# shop, nor fill its memory.
QUEUE_LINES = 10_000
QUEUE_BYTES = 16 * 1024 * 1024
BATCH_LINES = 500
# Seconds that the writer waits for more lines: to wake it for each would cost more than the writing.
GATHER_SECONDS = 0.02
# Seconds for the last lines at the end.
FLUSH_SECONDS = 5.0

# The bytes of a line without its texts.
_LINE_BYTES = 1000


class Line(NamedTuple):
    """The data of a log record, without references to the request or to the frames of an error.

    `place` is the function and the line of the call, as `function:line`, or empty. `trace_id` is that of the request.
    """

    moment: float
    level: int
    logger: str
    request_id: str | None
    message: str
    exception: str | None
    extra: dict[str, object]
    place: str = ""
    trace_id: str | None = None


def _size(line: Line | str) -> int:
    """An upper bound of the bytes of a line in the queue."""
    if isinstance(line, str):
        return sys.getsizeof(line)
    texts = (line.message, line.exception or "", *map(str, line.extra.values()))
    return _LINE_BYTES + sum(map(sys.getsizeof, texts))


class _Forks:
    """Counts the forks between the start of the program and this process.

    It is read with every line, where a system call for the pid would cost too much.
    """

    def __init__(self) -> None:
        self.count = 0
        os.register_at_fork(after_in_child=self._note)

    def _note(self) -> None:
        self.count += 1


_forks = _Forks()


class LogFiles:
    """`app.log` with every line and `error.log` with the errors, rotated at FILE_BYTES.

    Raises OSError where they cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._all = _shared_file(directory / "app.log")
        self._errors = _shared_file(directory / "error.log")

    def write(self, texts: Sequence[str], errors: Sequence[str]) -> None:
        for file, lines in ((self._all, texts), (self._errors, errors)):
            if lines:
                file.handle(logging.makeLogRecord({"msg": "\n".join(lines)}))

    def close(self) -> None:
        self._all.close()
        self._errors.close()


def _shared_file(path: Path) -> ConcurrentRotatingFileHandler:
    file = ConcurrentRotatingFileHandler(
        path,
        maxBytes=FILE_BYTES,
        backupCount=FILE_BACKUPS,
        encoding="utf-8",
        chmod=FILE_MODE,
        unicode_error_policy="replace",
    )
    # The handler opens its files at the first line; an error is to be raised now.
    for needed in (path, Path(file.lockFilename)):
        descriptor = os.open(needed, os.O_WRONLY | os.O_APPEND | os.O_CREAT, FILE_MODE)
        with contextlib.suppress(OSError):
            # The mode of another user's file cannot be changed, but the file may be writable.
            os.fchmod(descriptor, FILE_MODE)
        os.close(descriptor)
    return file


class LineWriter:
    """Renders lines, and writes them to the files and to standard output."""

    def __init__(self, render: Callable[[Line], str], files: LogFiles | None) -> None:
        self._render = render
        self._files = files
        self._output = StandardOutput()

    def write(self, lines: Sequence[Line | str]) -> None:
        """Write what can be rendered, and then raise the error of a line that cannot."""
        texts: list[str] = []
        errors: list[str] = []
        failure: Exception | None = None
        for line in lines:
            if isinstance(line, str):
                texts.append(line)
                continue
            try:
                texts.append(self._render(line))
            except Exception as error:
                failure = error
                continue
            if line.level >= logging.ERROR:
                errors.append(texts[-1])
        if self._files is not None:
            self._files.write(texts, errors)
        self._output.write(texts)
        if failure is not None:
            raise failure

    def close(self) -> None:
        if self._files is not None:
            self._files.close()


class _BatchListener(QueueListener):
    """The writing thread: takes lines from the queue, and writes them in batches."""

    def __init__(self, queue: "SimpleQueue[Line | str | None]", write: Callable[[Sequence[Line | str]], None]) -> None:
        super().__init__(queue)
        self._lines = queue
        self._write = write

    def handle(self, record: Line | str) -> None:  # type: ignore[override]  # the queue holds lines, not records
        time.sleep(GATHER_SECONDS)
        batch = [record]
        try:
            while len(batch) < BATCH_LINES:
                line = self._lines.get_nowait()
                if line is None:
                    self._lines.put(None)
                    break
                batch.append(line)
        except Empty:
            pass
        self._write(batch)

    def stop(self) -> None:
        """Write the lines in the queue, for FLUSH_SECONDS at most."""
        self.enqueue_sentinel()
        assert isinstance(self._thread, threading.Thread)
        self._thread.join(FLUSH_SECONDS)
        self._thread = None


class BackgroundHandler(QueueHandler):
    """The root logger's handler. It never blocks: lines go through a bounded queue to a thread.

    After `stop`, and in a forked process (which has no such thread, and may end at any moment), the calling thread
    writes lines at once.
    """

    def __init__(self, writer: LineWriter, to_line: Callable[[logging.LogRecord], Line]) -> None:
        lines: SimpleQueue[Line | str | None] = SimpleQueue()
        super().__init__(lines)
        self._lines = lines
        self._to_line = to_line
        self._writer = writer
        self._dropped = 0
        # The bytes of the lines in the queue, which the queue itself does not count.
        self.queued_bytes = 0
        self._bytes_lock = threading.Lock()
        self._listener: _BatchListener | None = _BatchListener(lines, self._write)
        self._forks_before = _forks.count
        self._listener.start()

    @property
    def runs_here(self) -> bool:
        """Whether the writing thread runs, in this process."""
        return self._listener is not None and self._forks_before == _forks.count

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.put(self._to_line(record))
        except Exception:
            self.handleError(record)

    def put(self, line: Line | str) -> None:
        """Write `line` in its order; a text is written as it is, and counts as no error."""
        if not self.runs_here:
            self._writer.write([line])
        elif self._lines.qsize() < QUEUE_LINES and self.queued_bytes < QUEUE_BYTES:
            self._add_bytes(_size(line))
            self._lines.put(line)
        else:
            self._dropped += 1

    def _add_bytes(self, more: int) -> None:
        with self._bytes_lock:
            self.queued_bytes += more

    def _write(self, batch: Sequence[Line | str]) -> None:
        # An uncaught error would end the thread, and with it the log of this process.
        try:
            self._add_bytes(-sum(map(_size, batch)))
            self._writer.write(batch)
            if self._dropped and self._lines.qsize() < QUEUE_LINES // 2:
                dropped, self._dropped = self._dropped, 0
                text = f"{dropped} log lines were dropped: they came faster than they could be written"
                self._writer.write([Line(time.time(), logging.WARNING, __name__, None, text, None, {})])
        except Exception:
            self.handleError(logging.makeLogRecord({"msg": "log lines could not be written"}))

    def stop(self) -> None:
        """Write all lines in the queue, and end the thread."""
        # `emit` runs under the same lock: no line enters the queue after the listener is removed.
        self.acquire()
        listener, self._listener = (self._listener if self.runs_here else None), None
        self.release()
        if listener is not None:
            listener.stop()

    def close(self) -> None:
        """Also called by `logging.shutdown` when the interpreter ends, before the files are closed."""
        self.stop()
        self._writer.close()
        super().close()
