"""CSV files: read in batches of rows with their line numbers; plain or gzipped, from a path or standard input."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, cast

from scripts.csv_dialect import SAMPLE_BYTES, CsvDialect, dialect_of
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

    `size` is None if it is unknown.
    """

    def __init__(
        self, text: Iterator[str], size: int | None, position: Callable[[], int], dialect: CsvDialect | None = None
    ) -> None:
        self.size, self.position, self.dialect = size, position, dialect or CsvDialect()
        csv.field_size_limit(_LONGEST_CELL)
        self._reader = csv.reader(text, strict=True, delimiter=self.dialect.delimiter)
        self._is_broken = False
        # Excel's line that names the separator is not given to the reader.
        self._lines_before = int(self.dialect.names_separator)
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

    def batches(self) -> Iterator[Batch]:
        """The rows after the header, up to the end or to the first one that cannot be parsed.

        After a broken quote the start of the next row is unknown: it may be part of a cell.
        """
        line = 0
        while line < self.line and not self._is_broken:
            line = self.line
            yield self._batch()

    def _batch(self) -> Batch:
        start = self.line + 1
        rows: list[list[str]] = []
        unreadable: list[BadRow] = []
        try:
            # Rows before an error are kept.
            rows.extend(islice(self._reader, _ROWS_PER_BATCH))
        except csv.Error as error:
            self._is_broken = True
            broken_at = start + sum(map(_line_count, rows))
            unreadable = [BadRow(broken_at, f"{error}: nothing from this line on was read")]
        if not unreadable and self.line == start + len(rows) - 1 and all(rows):
            return Batch(range(start, start + len(rows)), rows)
        lines = accumulate(map(_line_count, rows), initial=start)
        # Empty lines are no rows.
        numbered = [(line, row) for line, row in zip(lines, rows, strict=False) if row]
        return Batch([line for line, _ in numbered], [row for _, row in numbered], unreadable)


def _line_count(row: list[str]) -> int:
    """The number of lines of the row: quoted cells may contain line breaks."""
    return 1 + sum(cell.count("\n") + cell.count("\r") - cell.count("\r\n") for cell in row)


@contextmanager
def open_csv(name: str) -> Iterator[CsvFile]:
    """The file of this name, or standard input for `-`. Raises `CsvFileError`, also while it is read."""
    file: CsvFile | None = None
    dialect = CsvDialect()
    try:
        with ExitStack() as stack:
            raw = sys.stdin.buffer if name == STANDARD else stack.enter_context(Path(name).open("rb"))
            is_gzipped = cast(io.BufferedReader, raw).peek(2)[:2] == _GZIP_MAGIC
            data = io.BufferedReader(
                stack.enter_context(gzip.open(raw)) if is_gzipped else _Unclosed(raw), SAMPLE_BYTES
            )
            dialect = dialect_of(data.peek(SAMPLE_BYTES)[:SAMPLE_BYTES])
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
        raise CsvFileError(
            f"{name} is not {dialect.encoding_name}, in line {line} or later: save it as UTF-8"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise CsvFileError(f"cannot read {name}: {error}") from None


class _Unclosed(io.RawIOBase):
    """A file that stays open when the buffer around it is closed, and whose reads return the available bytes."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)
