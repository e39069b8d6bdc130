"""Put the rows of a CSV file into the database: `python -m scripts.import_csv products FILE`.

The header names the columns, in any order; those that the API does not require may be absent, and those that it
ignores (id_key, created_at, updated_at) are ignored. `category` may stand for `category_id`. An empty cell is a field
left out. The file is UTF-8, plain or gzipped; `-` is standard input. What Excel writes is understood too: cells separated
by semicolons or tabs, Windows-1252 or UTF-16, decimal commas. How the file is read is printed, and may be said:
`--encoding`, `--delimiter`, `--decimal`. A number that may be two, as `1,234`, is refused where no other number of the
file shows its decimal mark.

Every row keeps the rules of the API, and so do all together: natural keys (sku, e-mail, name) are unique, references
exist, stock goes through the ledger, and a running shop sees the rows at once. Rows that break a rule, or are stored
already, are reported with the line on which they begin. With one of them nothing is imported, unless `--on-error
skip` says so. `--on-duplicate skip` passes over rows that are stored already; `update` gives these what the file holds,
and leaves what it does not: fields without a column, and empty cells. After what cannot be read as a row, such as a
broken quote, nothing is read any more. It is all one transaction: interrupted, it leaves nothing.

Exit code: 0 imported (with `--on-error skip` also when rows were refused); 1 refused; 2 it could not be done;
130 interrupted.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session
from tqdm import tqdm

from config.settings import get_settings
from infrastructure.embedded.servers import ServerUrls
from repositories.author import Author, set_author
from scripts.cache_invalidation import invalidate_cache
from scripts.csv_dialect import AUTO, delimiter_option, encoding_option
from scripts.csv_file import CsvFile, CsvFileError, open_csv
from scripts.csv_session import EXIT_REFUSED, run_on_database, uninterrupted
from scripts.database import EXIT_FINE
from services.base import invalidation_of
from services.csv.cells import BadRow, Batch
from services.csv.entities import CSV_ENTITIES, CsvEntity
from services.csv.importer import CsvImport
from services.csv.numbers import DecimalMark, decimal_mark_of
from services.csv.stored_rows import StoredRows
from services.identity.audit import SYSTEM

# Refusals shown in the terminal; `--rejects` writes all of them to a file.
_SHOWN_REFUSALS = 100

_DECIMALS: dict[DecimalMark | None, str] = {
    ".": "a decimal point in numbers",
    ",": "a decimal comma in numbers",
    None: "a decimal point or a decimal comma in numbers, whichever of them is certain",
}

_STALE = "the lists that it has cached for up to an hour"


class Refusals:
    """The refused rows: all are counted and written to the file, the first ones also to standard error."""

    def __init__(self, path: Path | None, stack: ExitStack) -> None:
        self.count = 0
        self._writer: Any = None
        if path is not None:
            self._writer = csv.writer(stack.enter_context(path.open("w", newline="", encoding="utf-8")))
            self._writer.writerow(["line", "reason"])

    def add(self, row: BadRow) -> None:
        self.count += 1
        if self._writer is not None:
            self._writer.writerow([row.line, row.reason])
        if self.count <= _SHOWN_REFUSALS:
            tqdm.write(f"line {row.line}: {row.reason}", file=sys.stderr)


def import_file(session: Session, urls: ServerUrls, options: argparse.Namespace) -> int:
    """Import one file; the exit code."""
    set_author(session, Author(SYSTEM, "import_csv", is_audited=get_settings().auth))
    with ExitStack() as stack:
        refusals = _refusals(options.rejects, stack)
        file = stack.enter_context(open_csv(options.file, options.encoding, options.delimiter))
        entity = CSV_ENTITIES[options.entity]
        decimal = _decimal_mark(entity, file, options.decimal)
        work = CsvImport(session, entity, file.header, on_duplicate=options.on_duplicate, decimal=decimal)
        work.run(_with_progress(file), refusals.add)
    if refusals.count > _SHOWN_REFUSALS:
        print(f"... and {refusals.count - _SHOWN_REFUSALS} more", file=sys.stderr)
    if refusals.count and options.on_error == "refuse":
        session.rollback()
        print(f"Nothing was imported: {_rows(refusals.count)} refused.", file=sys.stderr)
        return EXIT_REFUSED
    if file.unread_from is not None:
        print(f"Only what is before line {file.unread_from} was imported.", file=sys.stderr)
    work.finish()
    with uninterrupted():
        session.commit()
        invalidate_cache(urls.redis_url, invalidation_of(session), _STALE)
    print(f"{work.added} {options.entity} added{_others(work.stored)}, {_rows(refusals.count)} refused.")
    return EXIT_FINE


def _decimal_mark(entity: CsvEntity, file: CsvFile, mark: DecimalMark | None) -> DecimalMark | None:
    """The decimal mark of the file, which is `mark` if that is given. Prints how the file is read."""
    numbers = [place for place, name in enumerate(file.header) if name in entity.number_fields()]
    rows = file.sample().rows
    if mark is None:
        mark = decimal_mark_of(
            {row[place] for row in rows for place in numbers if place < len(row)}, file.dialect.delimiter
        )
    words = f", {_DECIMALS[mark]}" if numbers else ""
    print(f"Read as: {file.dialect}{words}", flush=True)
    return mark


def _others(stored: StoredRows) -> str:
    """What became of rows that were stored already, by how they were treated."""
    counts = {
        "refuse": "",
        "skip": f", {stored.skipped} there already",
        "update": f", {stored.updated} updated, {stored.unchanged} unchanged",
    }
    return counts[stored.on_duplicate]


def _refusals(path: Path | None, stack: ExitStack) -> Refusals:
    try:
        return Refusals(path, stack)
    except OSError as error:
        raise CsvFileError(f"cannot write {path}: {error.strerror}") from None


def _rows(count: int) -> str:
    return f"{count} row was" if count == 1 else f"{count} rows were"


def _with_progress(file: CsvFile) -> Iterator[Batch]:
    """The batches of the file, with a progress bar of the bytes read."""
    # `disable=None`: no bar where standard error is not a terminal.
    with tqdm(total=file.size, unit="B", unit_scale=True, disable=None) as progress:
        for batch in file.batches():
            yield batch
            progress.update(file.position() - progress.n)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m scripts.import_csv", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("entity", choices=CSV_ENTITIES, help="what the rows are")
    parser.add_argument("file", help="the CSV file, plain or gzipped; - is standard input")
    parser.add_argument(
        "--on-error", choices=["refuse", "skip"], default="refuse", help="what follows from a bad row (%(default)s)"
    )
    parser.add_argument(
        "--on-duplicate",
        choices=["refuse", "skip", "update"],
        default="refuse",
        help="what becomes of a row that is stored already (%(default)s)",
    )
    parser.add_argument(
        "--encoding",
        type=encoding_option,
        default=AUTO,
        help="%(default)s, or one of Python's, such as utf-8, utf-16 or cp1252",
    )
    parser.add_argument(
        "--delimiter", type=delimiter_option, default=AUTO, help="what separates cells: %(default)s, or , or ; or tab"
    )
    parser.add_argument(
        "--decimal", choices=[AUTO, ".", ","], default=AUTO, help="the decimal mark of numbers (%(default)s)"
    )
    parser.add_argument("--rejects", type=Path, metavar="REPORT", help="write the line and the reason of every bad row")
    options = parser.parse_args(arguments)
    options.decimal = None if options.decimal == AUTO else options.decimal
    return run_on_database(lambda session, urls: import_file(session, urls, options))


if __name__ == "__main__":
    sys.exit(main())
