"""What import and export of CSV files share: one transaction, exit codes, one line for a failure."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from scripts.csv_file import CsvFileError
from scripts.database import EXPECTED_ERRORS, report_error, shop_database
from services.csv.header import HeaderError

EXIT_REFUSED, EXIT_INTERRUPTED = 1, 130

# A batch of rows has tens of thousands of objects, none of which is garbage yet or part of a cycle.
_OBJECTS_BETWEEN_COLLECTIONS = 200_000

Work = Callable[[Session, ServerUrls], int]


def run_on_database(work: Work, output: TextIO | None = None) -> int:
    """Do `work` in one transaction on the database of the settings, else on the embedded one; the exit code.

    The name of the database is printed to `output`.
    """
    try:
        with _few_collections(), shop_database(output) as (engine, urls), Session(engine) as session:
            return work(session, urls)
    except (*EXPECTED_ERRORS, CsvFileError, HeaderError) as error:
        return report_error(error)
    except KeyboardInterrupt:
        print("Interrupted: nothing was changed.", file=sys.stderr)
        return EXIT_INTERRUPTED


@contextmanager
def _few_collections() -> Iterator[None]:
    """Let the garbage collector run rarely during a block: it would visit every row several times."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C during a block: after the commit, "nothing was changed" would be wrong."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
