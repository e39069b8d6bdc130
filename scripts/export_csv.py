"""Write the rows of the database to a CSV file: `python -m scripts.export_csv products FILE`.

The rows are in the order of their keys, as one snapshot sees them, in UTF-8. `scripts.import_csv` makes the same rows of
products, clients and categories in another database (`category` is the name of the category there); orders, order details
and bills are only exported, with their keys. `reports` are what the API has below /reports: `--report sales`, which is the default,
`best_sellers`, `clients`, `taxes` or `stock`, with `--from`, `--to`, `--group` and `--limit` as there. A FILE that ends in .gz is compressed; `-` is standard output. An export
that does not get to its end leaves no file, and the one that was there before stays.

A cell is the stored text. A spreadsheet takes text that begins with =, +, - or @ for a formula; with `--for-spreadsheets`
it has an apostrophe before it, which `scripts.import_csv` takes away again. Numbers stay as they are.

Exit code: 0 exported; 2 it could not be done; 130 interrupted.
"""

import argparse
import gzip
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy.orm import Session
from tqdm import tqdm

from scripts.csv_file import STANDARD, CsvFileError
from scripts.csv_session import run_on_database
from scripts.database import EXIT_FINE
from scripts.report_file import add_options, has_options, query_of, report_lines
from services.csv.exporter import EXPORTS, CsvExport

REPORTS = "reports"

_ROWS_PER_STEP = 10_000
# A higher level takes twice the time for files a tenth smaller.
_GZIP_LEVEL = 5


class CountedFile:
    """A file that moves the progress bar; `rows` are those that were written, without the header."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, progress: "tqdm[Any]") -> None:
        self._file, self._progress = file, progress
        self.rows = -1

    def write(self, row: bytes) -> None:
        self._file.write(row)
        self.rows += 1
        if self.rows % _ROWS_PER_STEP == 0:
            self._progress.update(self.rows - self._progress.n)


def export_file(session: Session, options: argparse.Namespace) -> int:
    """Export one file; the exit code."""
    if options.entity == REPORTS:
        return _export_report(session, options)
    export = CsvExport(session, EXPORTS[options.entity], for_spreadsheets=options.for_spreadsheets)
    # `disable=None`: no bar where standard error is not a terminal.
    with _output_file(options.file) as file, tqdm(total=export.count(), unit="row", disable=None) as progress:
        counted = CountedFile(file, progress)
        export.run(counted)
        progress.update(counted.rows - progress.n)
    print(f"{counted.rows} {options.entity} exported.", file=sys.stderr)
    return EXIT_FINE


def _export_report(session: Session, options: argparse.Namespace) -> int:
    lines = list(report_lines(session, options, options.query))
    with _output_file(options.file) as file:
        file.writelines(lines)
    print(f"{len(lines) - 1} rows exported.", file=sys.stderr)
    return EXIT_FINE


@contextmanager
def _output_file(name: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The output file, which gets its name at the end. Raises `CsvFileError`."""
    try:
        if name == STANDARD:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        path = Path(name)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                if path.suffix == ".gz":
                    with gzip.GzipFile(path.name, "wb", _GZIP_LEVEL, file) as compressed:
                        yield compressed
                else:
                    yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if name == STANDARD:
            # The reader is gone; otherwise the interpreter would fail again when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CsvFileError(f"cannot write {name}: {error.strerror}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m scripts.export_csv", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("entity", choices=(*EXPORTS, REPORTS), help="what the rows are")
    parser.add_argument("file", help="the CSV file; - is standard output")
    parser.add_argument(
        "--for-spreadsheets", action="store_true", help="put an apostrophe before text that a spreadsheet would run"
    )
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.entity == REPORTS:
        try:
            options.query = query_of(options)
        except ValueError as error:
            parser.error(str(error))
    elif has_options(options):
        parser.error(f"--report, --from, --to, --group and --limit are for {REPORTS}")
    # Standard output may be the CSV file.
    return run_on_database(lambda session, urls: export_file(session, options), sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
