"""Backups of the shop's database: `python -m scripts.backup [--list | --verify [BACKUP] | --restore BACKUP | --schedule CRON]`.

Without an option a backup is taken, while the shop works on, and those older than BACKUP_DAYS are removed. `--verify` restores it
into a PostgreSQL of its own, which is gone afterwards, counts all rows and proves the invariants as `scripts.verify` does; with
the name of a backup it does so with that one. `--restore` replaces what is in the database by a backup, in one
transaction; the shop must not run meanwhile. `--schedule` has the background process take and verify one at the times of a
cron expression in UTC, until `--schedule off`.

The backups are in BACKUP_DIR (DATA_DIR/backups), or in the folder of `--folder`. The database is the one that the settings name
(DATABASE_URL or POSTGRES_*), else the embedded one. The exit code is 0 when all is well, 1 when a backup is not sound, 2 when
it could not be tried. docs/backup.md tells the rest.
"""

import argparse
import datetime as dt
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from croniter import croniter
from sqlalchemy.orm import Session

from config.settings import get_settings
from infrastructure.backup.errors import BackupError
from infrastructure.backup.folder import Backup
from infrastructure.embedded.servers import running_servers
from infrastructure.server.production_checks import check_database_url
from repositories.job_schedules import JobSchedules
from scripts.database import EXIT_CANNOT, EXIT_FINE, EXPECTED_ERRORS, name_database, report_error, shop_database
from scripts.verify import report
from services.backup import BackupService, Verdict

EXIT_BROKEN = 1
TASK = "back_up"
OFF = "off"

_UNITS = ((dt.timedelta(days=2), "days"), (dt.timedelta(hours=2), "hours"), (dt.timedelta(minutes=2), "minutes"))
_BYTES = ("bytes", "KB", "MB", "GB", "TB")


def list_backups(service: BackupService) -> int:
    """Print all backups with their age, size and state, the newest first."""
    lines = [("BACKUP", "AGE", "SIZE", "ROWS", "POSTGRESQL", "REVISION", "VERIFIED", "SHA-256")]
    for backup in service.folder.backups():
        verified = "no" if backup.verified_at is None else f"{backup.verified_at:%Y-%m-%d %H:%M}"
        rows, revision = str(sum(backup.rows.values())), " ".join(backup.revisions)
        shown = (backup.name, age_of(backup), size_of(backup), rows, backup.server_version, revision, verified)
        lines.append((*shown, backup.sha256))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"Backups in {service.folder.path}: {len(lines) - 1}")
    if len(lines) > 1:
        print("\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines))
    return EXIT_FINE


def take(service: BackupService) -> Backup:
    """Take a backup, and say what was done."""
    backup, removed = service.take()
    print(f"Backup: {service.folder.archive(backup)}")
    print(
        f"   {size_of(backup)} of {sum(backup.rows.values())} rows in {len(backup.rows)} tables, SHA-256 {backup.sha256}"
    )
    for old in removed:
        print(f"   removed, because it is {age_of(old)} old: {old.name}")
    return backup


def verify(service: BackupService, backup: Backup) -> int:
    """Restore the backup into a server of its own, and say whether it is sound."""
    verdict: Verdict = service.verify(backup)
    report(verdict.findings)
    for line in verdict.other_counts:
        print(f"   {line}")
    rows = sum(backup.rows.values())
    if verdict.is_sound:
        print(
            f"Verified: {backup.name} restores to {rows} rows in {len(backup.rows)} tables, and every invariant holds"
        )
        return EXIT_FINE
    print(f"NOT SOUND: {backup.name}", file=sys.stderr)
    return EXIT_BROKEN


def restore(service: BackupService, backup: Backup, yes: bool) -> int:
    """Ask, and replace what is in the database."""
    print(f"Backup: {backup.name}, {age_of(backup)} old, {sum(backup.rows.values())} rows")
    if not yes and not _confirmed("Replace everything in the database by it? [y/N] "):
        return EXIT_CANNOT
    service.restore(backup)
    print(f"Restored: {sum(backup.rows.values())} rows in {len(backup.rows)} tables")
    return EXIT_FINE


def schedule(session: Session, cron: str) -> int:
    """Have the background process take backups at these times, or none."""
    schedules = JobSchedules(session)
    if cron == OFF:
        schedules.remove(TASK)
        print("The background process takes no backups any more")
    else:
        now = schedules.now()
        due_at = croniter(cron, now).get_next(dt.datetime)
        schedules.set(TASK, cron, due_at)
        print(
            f"The background process takes and verifies a backup at {cron!r} (UTC), the first one at {due_at:%Y-%m-%d %H:%M}"
        )
    session.commit()
    return EXIT_FINE


def age_of(backup: Backup) -> str:
    """How old it is, for people."""
    age = backup.age()
    return next(
        (f"{age // (unit / 2)} {name}" for unit, name in _UNITS if age >= unit), f"{age.total_seconds():.0f} seconds"
    )


def size_of(backup: Backup) -> str:
    """How large it is, for people."""
    size, unit = float(backup.size), 0
    while size >= 1000 and unit < len(_BYTES) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.{1 if unit else 0}f} {_BYTES[unit]}"


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        # There is no terminal.
        print()
        return False


@contextmanager
def _service(options: argparse.Namespace) -> Iterator[BackupService]:
    """The backups of the database that the settings name, which is not migrated: it may be of another release, or broken."""
    settings = get_settings()
    check_database_url(settings)
    name_database(settings)
    if options.list:
        yield BackupService(settings, "", options.folder)
        return
    with running_servers(settings.model_copy(update={"redis_enabled": False})) as urls:
        yield BackupService(settings, urls.database_url, options.folder)


def _run(options: argparse.Namespace) -> int:
    if options.schedule:
        with shop_database() as (engine, _), Session(engine) as session:
            return schedule(session, options.schedule)
    with _service(options) as service:
        if options.list:
            return list_backups(service)
        if options.restore:
            return restore(service, service.folder.find(options.restore), options.yes)
        if options.verify is None:
            take(service)
            return EXIT_FINE
        return verify(service, service.folder.find(options.verify) if options.verify else take(service))


def _cron(text: str) -> str:
    if text != OFF and not croniter.is_valid(text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a cron expression, such as '30 1 * * *', nor {OFF!r}")
    return text


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m scripts.backup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("--list", action="store_true", help="the backups with their age, size and checksum")
    wanted.add_argument("--verify", nargs="?", const="", metavar="BACKUP", help="prove a new backup, or this one")
    wanted.add_argument("--restore", metavar="BACKUP", help="replace the data by this backup, or by the `newest`")
    wanted.add_argument("--schedule", type=_cron, metavar="CRON", help=f"backups by the background process, or `{OFF}`")
    parser.add_argument("--folder", type=Path, help="where the backups are, instead of BACKUP_DIR")
    parser.add_argument("--yes", action="store_true", help="restore without asking")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.yes and not options.restore:
        parser.error("--yes goes with --restore")
    for name in ("verify", "restore"):
        given = getattr(options, name)
        if given and options.folder is None and Path(given).parent != Path():
            options.folder = Path(given).parent
    options.folder = options.folder and options.folder.absolute()
    # What was begun is ended: the programs, and the file that is not finished.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        return _run(options)
    except (BackupError, *EXPECTED_ERRORS) as error:
        return report_error(error)


if __name__ == "__main__":
    sys.exit(main())
