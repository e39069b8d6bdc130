"""Personal data of a client: `python -m scripts.personal_data export|erase --client 7`.

`export` writes all that the shop knows of the client as JSON, for them (GDPR, article 15), to standard output or to the file of `--file`,
which only its owner can read. `erase` removes it (article 17): names, addresses, telephone numbers, mails, sessions, the user, comments,
and the copies of all this in events and in the audit trail, in one transaction. Orders, bills and what they say of where they
went are kept until RETENTION_YEARS are over; run it again then. Backups and logs age out (BACKUP_DAYS, the rotation of logs).

The database is the one that the settings name, else the embedded one; the shop may be at work. The exit code is 0 when it was done, 1 when
there is no such client, 2 when it cannot be done.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from config.settings import get_settings
from infrastructure.embedded.servers import ServerUrls
from repositories.author import Author, set_author
from schemas.json_codec import to_json
from scripts.cache_invalidation import invalidate_cache
from scripts.database import EXIT_FINE, EXPECTED_ERRORS, CannotRun, report_error, shop_database
from services.base import invalidation_of
from services.errors import ShopError
from services.identity.audit import SYSTEM
from services.personal_data import NotOwner, PersonalDataService

EXIT_REFUSED = 1

_STALE = "what it has cached of the client until it expires"


def export(engine: Engine, client_id: int, file: Path | None) -> int:
    """Write everything that is known of the client."""
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with Session(reader) as session:
        found = PersonalDataService(session, client_id).export()
    content = to_json(found) + b"\n"
    if file is None:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return EXIT_FINE
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            target.write(content)
    except OSError as error:
        raise CannotRun(f"{file} cannot be written: {error.strerror}") from None
    print(f"{sum(map(len, found.values()))} rows of {len(found)} tables are in {file}", file=sys.stderr)
    return EXIT_FINE


def erase(engine: Engine, urls: ServerUrls, client_id: int, yes: bool) -> int:
    """Ask, and erase what need not be kept."""
    settings = get_settings()
    if not yes and not _confirmed(f"Erase the personal data of client {client_id}, for good? [y/N] "):
        return EXIT_REFUSED
    with Session(engine) as session:
        set_author(session, Author(SYSTEM, "erase_personal_data", is_audited=settings.auth))
        try:
            erased = PersonalDataService(session, client_id).erase(settings.retention_years)
        except NotOwner as error:
            raise CannotRun(str(error)) from None
        session.commit()
        invalidate_cache(urls.redis_url, invalidation_of(session), _STALE)
    for what, rows in erased.items():
        print(f"   {what}: {rows}")
    print(
        f"The personal data of client {client_id} are erased; documents are kept for {settings.retention_years} years"
    )
    return EXIT_FINE


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        # There is no terminal.
        print()
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.personal_data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="export|erase")
    exporting = commands.add_parser("export", help="write everything that is known of the client as JSON")
    exporting.add_argument("--file", type=Path, help="a new file, instead of standard output")
    erasing = commands.add_parser("erase", help="remove what need not be kept")
    erasing.add_argument("--yes", action="store_true", help="erase without asking")
    for command in (exporting, erasing):
        command.add_argument("--client", type=int, required=True, metavar="ID")
    options = parser.parse_args(arguments)
    try:
        with shop_database(sys.stderr) as (engine, urls):
            if options.command == "export":
                return export(engine, options.client, options.file)
            return erase(engine, urls, options.client, options.yes)
    except ShopError as error:
        print(f"Refused: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except EXPECTED_ERRORS as error:
        return report_error(error)


if __name__ == "__main__":
    sys.exit(main())
