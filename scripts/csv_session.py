"""What the scripts that move CSV files share: the database of the settings, exit codes, one line for what fails."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from config.embedded import EmbeddedServerError, ServerUrls, running_servers
from config.migrations import at_head, maintenance_engine
from config.production import check_database_url, first_line
from config.settings import SettingsError, get_settings
from scripts.csv_file import CsvFileError
from services.csv_import import HeaderError

EXIT_FINE, EXIT_REFUSED, EXIT_CANNOT, EXIT_INTERRUPTED = 0, 1, 2, 130

# A batch of rows is tens of thousands of objects of which none is garbage yet, and none ever is in a cycle.
_OBJECTS_BETWEEN_COLLECTIONS = 200_000

Work = Callable[[Session, ServerUrls], int]


class CannotRun(Exception):
    """Nothing can be done on this database; the message is one line."""


def run_on_database(work: Work) -> int:
    """Do `work` in one transaction on the database that the settings name, else on the embedded one; the exit code."""
    try:
        settings = get_settings()
        check_database_url(settings)
        with (
            _few_collections(),
            running_servers(settings) as urls,
            Session(maintenance_engine(urls.database_url)) as session,
        ):
            if not at_head(session.connection()):
                raise CannotRun("The database is not at the newest migration: run `alembic upgrade head` first")
            return work(session, urls)
    except (SettingsError, EmbeddedServerError, SQLAlchemyError, CannotRun, CsvFileError, HeaderError) as error:
        print(f"Stopped: {first_line(error)}", file=sys.stderr)
        return EXIT_CANNOT
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
