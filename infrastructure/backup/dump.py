"""Writing a backup: pg_dump and the numbers of all rows, both of one snapshot, while the shop works on."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import Connection

from infrastructure.backup.errors import BackupError
from infrastructure.backup.folder import Backup, BackupFolder, checksum
from infrastructure.backup.programs import connection_words, programs_for
from infrastructure.database.migrations import maintenance_engine, schema_of

_POLL_SECONDS = 0.05
# For a table that a migration has locked.
_LOCK_WAIT = "60s"

_ABOUT = text("SELECT current_setting('server_version'), current_schema(), pg_export_snapshot()")
_TABLES = text(
    "SELECT c.oid::regclass::text, c.relname FROM pg_class c "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
    "ORDER BY c.relname"
)


def take(url: str, folder: BackupFolder, stopping: Callable[[], bool] = lambda: False) -> Backup:
    """Write a backup of the database at `url`. Raises `BackupError`, and SQLAlchemy's errors."""
    engine = maintenance_engine(url)
    try:
        snapshot_of = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with snapshot_of.connect() as connection, folder.writing() as (taken_at, file):
            version, place, snapshot = connection.execute(_ABOUT).one()
            _dump(url, major_of(version), snapshot, file, stopping)
            schema = schema_of(connection)
            backup = Backup(
                name=file.with_suffix("").name,
                taken_at=taken_at,
                size=file.stat().st_size,
                sha256=checksum(file, stopping),
                server_version=version.partition(" ")[0],
                schema=place,
                revisions=tuple(sorted(schema.revisions)),
                history=tuple(sorted(schema.history)),
                rows=count_rows(connection),
            )
    finally:
        engine.dispose()
    return folder.note(backup)


def major_of(server_version: str) -> int:
    """The major version of a server that names itself `18.1 (Debian 18.1-1)`, or `19beta1`."""
    found = re.match(r"\d+", server_version)
    assert found is not None
    return int(found[0])


def count_rows(connection: Connection) -> dict[str, int]:
    """How many rows each table of the shop's schema has in the snapshot of this connection."""
    return {
        name: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608 (quoted by PostgreSQL)
        for table, name in connection.execute(_TABLES)
    }


def _dump(url: str, major: int, snapshot: str, file: Path, stopping: Callable[[], bool]) -> None:
    # As a file that only its owner reads, before there is anything in it.
    file.touch(mode=0o600)
    where, environment = connection_words(url)
    program = programs_for(major).path("pg_dump")
    options = ["--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={_LOCK_WAIT}", "--no-password"]
    run_to_end([program, *options, f"--file={file}", f"--dbname={where}"], environment, stopping)


def run_to_end(command: Sequence[str], environment: dict[str, str], stopping: Callable[[], bool]) -> None:
    """Run a program. Raises `BackupError` with what it says when it fails, or when `stopping()` says so."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)  # noqa: S603 (nothing foreign)
        try:
            while True:
                try:
                    process.wait(_POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if stopping():
                        raise BackupError("Stopped") from None
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            said.seek(0)
            raise BackupError(complaint(Path(command[0]).name, said.read()))


def complaint(program: str, said: str) -> str:
    """What a program that failed has to say, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "FATAL" in line]
    return f"{program} failed: {(telling or lines or ['it left no message'])[0].removeprefix(f'{program}: ')}"
