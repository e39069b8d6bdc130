"""CSV files: read in batches of rows with their line numbers; plain or gzipped, from a path or standard input."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, cast

from scripts.csv_dialect import SAMPLE_BYTES, CsvDialect, NoDialect, dialect_of
from services.csv.cells import BadRow, Batch

STANDARD = "-"

_GZIP_MAGIC = b"\x1f\x8b"
_ROWS_PER_BATCH = 20_000
# The longest cell of any field, with four bytes per character, and room to report the length of a longer one.
_LONGEST_CELL = 128 * 1024


class CsvFileError(Exception):
    """The file cannot be read or written; the message is one line."""


class CsvFile:
    """An open file: its header, then its rows. `position` returns how many of its `size` bytes were read.

    `size` is None if it is unknown. `unread_from` is the line from which on nothing was read, if there is such a line.
    """

    def __init__(self, text: Iterator[str], size: int | None, position: Callable[[], int], dialect: CsvDialect) -> None:
        self.size, self.position, self.dialect = size, position, dialect
        self.unread_from: int | None = None
        csv.field_size_limit(_LONGEST_CELL)
        self._reader = csv.reader(text, strict=True, delimiter=self.dialect.delimiter)
        # Excel's line that names the separator is not given to the reader.
        self._lines_before = int(self.dialect.names_separator)
        self._first: Batch | None = None
        try:
            self.header = [name.strip() for name in next(self._reader)]
        except StopIteration:
            raise CsvFileError("the file is empty: its first line must name the columns") from None
        except csv.Error as error:
            raise CsvFileError(f"the header cannot be read: {error}") from None

    @property
    def line(self) -> int:
        """The last line that was read."""
        return self._lines_before + self._reader.line_num

    def sample(self) -> Batch:
        """The first rows, which `batches` begins with."""
        if self._first is None:
            self._first = self._batch()
        return self._first

    def batches(self) -> Iterator[Batch]:
        """The rows after the header, up to the end or to the first one that cannot be parsed.

        After a broken quote the start of the next row is unknown: it may be part of a cell.
        """
        yield self.sample()
        line = 0
        while line < self.line and self.unread_from is None:
            line = self.line
            yield self._batch()

    def _batch(self) -> Batch:
        start = self.line + 1
        rows: list[list[str]] = []
        problem: str | None = None
        try:
            # Rows before an error are kept.
            rows.extend(islice(self._reader, _ROWS_PER_BATCH))
        except csv.Error as error:
            problem = str(error)
        are_plain = problem is None and self.line == start + len(rows) - 1 and all(rows)
        if are_plain:
            return Batch(range(start, start + len(rows)), rows)
        lines = [*accumulate(map(_line_count, rows), initial=start)]
        for place, row in enumerate(rows):
            # A quote that was not meant for one has joined rows, or parts of them.
            if row and len(row) != len(self.header) and lines[place + 1] - lines[place] > 1:
                problem = f"{len(row)} cells in several lines, where the header has {len(self.header)}"
                rows = rows[:place]
                break
        unreadable = []
        if problem is not None:
            self.unread_from = lines[len(rows)]
            unreadable = [BadRow(self.unread_from, f"{problem}: nothing from this line on was read")]
        # Empty lines are no rows.
        numbered = [(line, row) for line, row in zip(lines, rows, strict=False) if row]
        return Batch([line for line, _ in numbered], [row for _, row in numbered], unreadable)


def _line_count(row: list[str]) -> int:
    """The number of lines of the row: quoted cells may contain line breaks."""
    return 1 + sum(cell.count("\n") + cell.count("\r") - cell.count("\r\n") for cell in row)


@contextmanager
def open_csv(name: str, encoding: str | None = None, delimiter: str | None = None) -> Iterator[CsvFile]:
    """The file of this name, or standard input for `-`. What is not given of its dialect is found out.

    Raises `CsvFileError`, also while it is read.
    """
    file: CsvFile | None = None
    dialect: CsvDialect | None = None
    try:
        with ExitStack() as stack:
            raw = sys.stdin.buffer if name == STANDARD else stack.enter_context(Path(name).open("rb"))
            is_gzipped = cast(io.BufferedReader, raw).peek(2)[:2] == _GZIP_MAGIC
            content: Any = stack.enter_context(gzip.open(raw)) if is_gzipped else raw
            first = _first_bytes(content)
            with closing(_bytes_behind(content, raw)) as rest:
                dialect = dialect_of(first, rest, encoding, delimiter)
            data = io.BufferedReader(_Joined(first, content), SAMPLE_BYTES)
            text = io.TextIOWrapper(data, encoding=dialect.encoding, newline="")
            # Otherwise the wrapper would close a file that is not its own.
            stack.callback(text.detach)
            if dialect.names_separator:
                text.readline()
            size = None if name == STANDARD else Path(name).stat().st_size
            file = CsvFile(text, size, (lambda: 0) if name == STANDARD else raw.tell, dialect)
            yield file
    except UnicodeError:
        line = 1 if file is None else file.line + 1
        what = "text" if dialect is None else dialect.encoding_name
        raise CsvFileError(
            f"{name} is not {what}, in line {line} or later: save it as UTF-8, or name its --encoding"
        ) from None
    except NoDialect as error:
        raise CsvFileError(f"{name}: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise CsvFileError(f"cannot read {name}: {error}") from None


def _first_bytes(file: Any) -> bytes:
    """The bytes of the first line at least, if it is not endless, and what comes with them."""
    first = b""
    while b"\n" not in first and len(first) < SAMPLE_BYTES:
        piece = file.read1(SAMPLE_BYTES)
        if not piece:
            break
        first += piece
    return first


def _bytes_behind(file: Any, raw: Any) -> Generator[bytes, None, None]:
    """The bytes of the file that are still to be read, without moving on; nothing where `raw` is a pipe."""
    if not raw.seekable():
        return
    here = file.tell()
    try:
        while piece := file.read1(SAMPLE_BYTES):
            yield piece
    finally:
        file.seek(here)


class _Joined(io.RawIOBase):
    """First these bytes, then the file, which stays open when the buffer around it is closed.

    A read returns what is available.
    """

    def __init__(self, first: bytes, file: Any) -> None:
        self._first, self._file = first, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._first[: len(buffer)] or self._file.read1(len(buffer))
        self._first = self._first[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
