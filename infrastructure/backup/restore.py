"""Reading a backup back: what is in the schema is replaced by what is in the archive, in one transaction.

pg_restore makes SQL of the archive and psql executes it. psql is told to commit only after pg_restore has come to its end, so that
the database has all of the backup or is as it was before, whatever breaks on the way.
"""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import copyfileobj
from typing import IO

from sqlalchemy import text
from sqlalchemy.engine import Connection

from infrastructure.backup.dump import complaint
from infrastructure.backup.errors import BackupError
from infrastructure.backup.programs import Programs, connection_words, programs_for

_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND coalesce(backend_type, 'client backend') = 'client backend'"
)

# Extensions stay: a role that owns nothing but its database may not be able to make them again. What belongs to one goes
# with its extension only. Then all that is in the way of the same names.
_CLEAR = """
BEGIN;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '30s';
SET LOCAL client_min_messages = warning;
DO $$
DECLARE
    command text;
BEGIN
    FOR command IN
        SELECT format('DROP %s IF EXISTS %s CASCADE', kinds.word, c.oid::regclass)
        FROM pg_class c JOIN (VALUES
            ('r', 'TABLE', 1), ('p', 'TABLE', 1), ('f', 'FOREIGN TABLE', 1), ('v', 'VIEW', 2),
            ('m', 'MATERIALIZED VIEW', 2), ('S', 'SEQUENCE', 3), ('c', 'TYPE', 4)
        ) AS kinds (kind, word, place) ON kinds.kind = c.relkind::text
        WHERE c.relnamespace = current_schema()::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        ORDER BY kinds.place
    LOOP
        -- What went with another one has no name any more.
        CONTINUE WHEN command ~ ' [0-9]+ CASCADE$';
        EXECUTE command;
    END LOOP;
    FOR command IN
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure) FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT format('DROP TYPE IF EXISTS %s CASCADE', t.oid::regtype) FROM pg_type t
        WHERE t.typnamespace = current_schema()::regnamespace AND t.typtype IN ('d', 'e', 'r')
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
    LOOP
        CONTINUE WHEN command ~ ' [0-9]+ CASCADE$';
        EXECUTE command;
    END LOOP;
END
$$;
"""
# A function with a setting of an extension can be made only where the library of that extension is loaded, which is by its use.
_LOAD = """
DO $$
DECLARE
    used regproc;
BEGIN
    FOR used IN SELECT oid FROM pg_proc WHERE proname = 'show_limit' LOOP
        EXECUTE format('SELECT %s()', used);
    END LOOP;
END
$$;
"""
# What the owner of a database may not change, or what is there already.
_EXTENSION = " EXTENSION - "
_LEFT_OUT = (" SCHEMA - ", " COMMENT - EXTENSION ", " COMMENT - SCHEMA ", " ACL - SCHEMA ", " DATABASE PROPERTIES ")


def others_connected(connection: Connection) -> int:
    """How many other clients the database has: the shop must not run while a backup is restored."""
    count: int = connection.execute(_OTHERS).scalar_one()
    return count


def restore(url: str, archive: Path, server_major: int) -> None:
    """Replace what is in the shop's schema of the database at `url` by the archive. Raises `BackupError`: nothing has changed then."""
    programs = programs_for(server_major)
    where, environment = connection_words(url)
    with tempfile.TemporaryDirectory() as folder:
        extensions, others = _contents(programs, archive, Path(folder), environment)
        reading = [programs.path("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(archive)]
        first = _CLEAR.encode() + _said([*reading, f"--use-list={extensions}"], environment) + _LOAD.encode()
        _replay(programs, first, [*reading, f"--use-list={others}"], where, environment)


def _contents(programs: Programs, archive: Path, folder: Path, environment: Mapping[str, str]) -> tuple[Path, Path]:
    """Two files with the parts of the archive that are to be restored: extensions, and what may need them."""
    listed = _said([programs.path("pg_restore"), "--list", str(archive)], environment).decode().splitlines()
    wanted = [line for line in listed if not line.startswith(";") and not any(part in line for part in _LEFT_OUT)]
    files = folder / "extensions", folder / "others"
    for file, is_extension in zip(files, (True, False), strict=True):
        file.write_text("".join(f"{line}\n" for line in wanted if (_EXTENSION in line) is is_extension))
    return files


def _said(command: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """What pg_restore writes."""
    done = subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603 (nothing foreign)
    if done.returncode != 0:
        raise BackupError(complaint("pg_restore", done.stderr.decode(errors="replace")))
    return done.stdout


def _replay(
    programs: Programs, first: bytes, reading: Sequence[str], where: str, environment: Mapping[str, str]
) -> None:
    """Execute the SQL that comes first, and that which pg_restore makes."""
    executing = [programs.path("psql"), "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
    with (
        tempfile.TemporaryFile("w+") as said,
        tempfile.TemporaryFile("w+") as told,
        subprocess.Popen(  # noqa: S603 (nothing foreign)
            [*executing, f"--dbname={where}"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
        ) as database,
        subprocess.Popen(reading, env=environment, stdout=subprocess.PIPE, stderr=told) as source,  # noqa: S603 (nothing foreign)
    ):
        try:
            _feed(database.stdin, first, source)
        except BrokenPipeError:
            # psql has ended, and says why.
            _drop(database.stdin)
        except BaseException:
            database.kill()
            raise
        finally:
            source.kill()
        _require(database.wait() == 0, "psql", said)
        _require(source.wait() == 0, "pg_restore", told)


def _feed(database: IO[bytes] | None, first: bytes, source: subprocess.Popen[bytes]) -> None:
    """Give psql the whole transaction; its end only if the source has come to its own."""
    assert database is not None
    assert source.stdout is not None
    database.write(first)
    copyfileobj(source.stdout, database)
    if source.wait() == 0:
        database.write(b"\nCOMMIT;\n")
    database.close()


def _drop(pipe: IO[bytes] | None) -> None:
    """Close a pipe that nobody reads, with what is still in it."""
    with suppress(BrokenPipeError):
        if pipe is not None:
            pipe.close()


def _require(is_fine: bool, program: str, said: IO[str]) -> None:
    if not is_fine:
        said.seek(0)
        raise BackupError(complaint(program, said.read()))
