"""What the scripts that move CSV files share: one transaction, exit codes, one line for what fails."""

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

# A batch of rows is tens of thousands of objects of which none is garbage yet, and none ever is in a cycle.
_OBJECTS_BETWEEN_COLLECTIONS = 200_000

Work = Callable[[Session, ServerUrls], int]


def run_on_database(work: Work, output: TextIO | None = None) -> int:
    """Do `work` in one transaction on the database that the settings name, else on the embedded one; the exit code.

    `output` is where the database is named.
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
    """Let Python look for garbage only now and then for a block: it would look at every row several times."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C do nothing for a moment: after a commit it would be wrong to say that nothing was changed."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
