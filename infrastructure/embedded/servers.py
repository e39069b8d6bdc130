"""The embedded servers: a real PostgreSQL and a real Valkey from wheels, for a machine where nothing is installed.

Every process that needs them enters `running_servers` in one of two roles, which locks in DATA_DIR tell apart:

- The *owner* (main.py, run_production.py) has DATA_DIR for itself and stops the servers when it ends.
- A *guest* (alembic, `uvicorn main:app`, scripts) uses the servers that run, and starts them if none do. The last
  guest out stops them, unless an owner lives.

Locks end with their process. So after any crash the next process takes over or stops the servers that still run.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.settings import PROJECT_ROOT, Settings, SettingsError
from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.file_lock import FileLock
from infrastructure.embedded.postgres_server import PostgresServer
from infrastructure.embedded.server_process import START_SECONDS, ServerProcess
from infrastructure.embedded.valkey_server import ValkeyServer

__all__ = ["EmbeddedServerError", "ServerUrls", "embedded_urls", "running_servers"]

# Longer than a start and a stop together: a longer wait means that something is broken.
_MUTEX_SECONDS = START_SECONDS + 60

# With these of its variables libpq would connect to another server, whatever socket the URL names, or ask for more than a
# socket of this machine gives: TLS, a standby, a password.
_OF_OTHER_SERVERS = (
    *("PGHOSTADDR", "PGSERVICE", "PGTARGETSESSIONATTRS", "PGREQUIREAUTH", "PGREQUIREPEER", "PGCHANNELBINDING"),
    *("PGSSLMODE", "PGSSLNEGOTIATION", "PGREQUIRESSL", "PGGSSENCMODE"),
)


@dataclass(frozen=True)
class ServerUrls:
    """The URLs of the servers; `redis_url` is None when the shop runs without Redis."""

    database_url: str
    redis_url: str | None


def embedded_urls(settings: Settings) -> ServerUrls:
    """The URLs that `running_servers` gives for `settings`. Opens, starts and checks nothing."""
    data_dir = data_folder(settings)
    redis_url = settings.outside_redis_url
    if redis_url is None and settings.embedded is not False:
        redis_url = ValkeyServer(data_dir).url
    return ServerUrls(
        database_url=settings.outside_database_url or PostgresServer(data_dir).url,
        redis_url=redis_url if settings.redis_enabled else None,
    )


def data_folder(settings: Settings) -> Path:
    """The absolute DATA_DIR; a relative one is below the project, not below the current folder."""
    return (PROJECT_ROOT / settings.data_dir).resolve()


def do_nothing() -> None:
    """The default of `meanwhile`."""


def silent(line: str) -> None:
    """The default of `say`: no output."""


def never() -> bool:
    """The default of `stopping`: no start is given up."""
    return False


@contextmanager
def running_servers(
    settings: Settings,
    *,
    owner: bool = False,
    durable: bool = True,
    stopping: Callable[[], bool] = never,
    meanwhile: Callable[[], None] = do_nothing,
    say: Callable[[str], None] = silent,
) -> Iterator[ServerUrls]:
    """Have the servers of `settings` running for a block. Of outside servers only the URLs are returned.

    `meanwhile` is called once, while the servers start. A start is given up when `stopping()` is true. `say` is called
    with a line about each step that takes long. `durable=False` is for tests: PostgreSQL does not wait for the disk.
    Raises `SettingsError` when no PostgreSQL is named and EMBEDDED is false, `EmbeddedServerError` when a server
    cannot be used; both with one line.
    """
    if settings.outside_database_url is None and settings.embedded is False:
        raise SettingsError(
            "No PostgreSQL is named and EMBEDDED is false: set DATABASE_URL or POSTGRES_HOST, or EMBEDDED=true"
        )
    servers = needed_servers(settings, durable, say)
    if not servers:
        meanwhile()
        yield embedded_urls(settings)
        return
    if settings.outside_database_url is None:
        for name in _OF_OTHER_SERVERS:
            os.environ.pop(name, None)
    with ExitStack() as stack:
        directory = _DataDirectory(data_folder(settings), stopping, meanwhile, stack)
        with directory.owned(servers) if owner else directory.visited(servers):
            yield embedded_urls(settings)


def needed_servers(
    settings: Settings, durable: bool = True, say: Callable[[str], None] = silent
) -> list[ServerProcess]:
    """The servers that `settings` do not name, and that are therefore embedded."""
    data_dir = data_folder(settings)
    servers: list[ServerProcess] = []
    if settings.embedded is False:
        return servers
    if settings.outside_database_url is None:
        servers.append(PostgresServer(data_dir, durable=durable, say=say))
    if settings.redis_enabled and settings.outside_redis_url is None:
        servers.append(ValkeyServer(data_dir))
    return servers


def mutex_of(data_dir: Path) -> FileLock:
    """The lock that a process has while it starts or stops servers of `data_dir`."""
    return FileLock(data_dir / "mutex.lock")


@contextmanager
def os_errors_in_one_line(data_dir: Path) -> Iterator[None]:
    """Raise errors of the operating system as an `EmbeddedServerError` with one line."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename and str(error.filename) != str(data_dir) else ""
        raise EmbeddedServerError(
            f"DATA_DIR {data_dir} cannot be used: {error.strerror}{place}; set DATA_DIR to a folder that can be written"
        ) from None


class _DataDirectory:
    """DATA_DIR with its three locks: for the owner, for the guests, and for starting and stopping servers."""

    def __init__(
        self, path: Path, stopping: Callable[[], bool], meanwhile: Callable[[], None], stack: ExitStack
    ) -> None:
        self._path, self._stopping, self._meanwhile = path, stopping, meanwhile
        with os_errors_in_one_line(path):
            # On Linux servers with users of their own are started inside their folders, and need not pass this one.
            path.mkdir(mode=0o700 if sys.platform == "linux" else 0o711, parents=True, exist_ok=True)
            self._mutex = stack.enter_context(closing(mutex_of(path)))
            self._owner = stack.enter_context(closing(FileLock(path / "owner.lock")))
            self._guests = stack.enter_context(closing(FileLock(path / "guests.lock")))

    @contextmanager
    def owned(self, servers: list[ServerProcess]) -> Iterator[None]:
        with self._locked(self._stopping):
            if not self._owner.acquire():
                raise EmbeddedServerError(
                    f"DATA_DIR {self._path} is in use by the shop that runs as process {self._owner.read()}: "
                    "stop that one, or set another DATA_DIR"
                )
            self._owner.write(str(os.getpid()))
        try:
            with self._locked(self._stopping):
                self._start(servers, may_end=True)
            yield
        finally:
            with self._locked(never):
                self._stop_all()
                self._owner.release()

    @contextmanager
    def visited(self, servers: list[ServerProcess]) -> Iterator[None]:
        try:
            with self._locked(self._stopping):
                alone = self._guests.acquire() and self._no_owner()
                self._guests.acquire(shared=True)
                self._start(servers, may_end=alone)
            yield
        finally:
            with self._locked(never):
                if self._guests.acquire() and self._no_owner():
                    self._stop_all()
                self._guests.release()

    @contextmanager
    def _locked(self, give_up: Callable[[], bool]) -> Iterator[None]:
        if not self._mutex.wait(_MUTEX_SECONDS, give_up):
            raise EmbeddedServerError(f"Another process is starting or stopping the servers of DATA_DIR {self._path}")
        try:
            yield
        finally:
            self._mutex.release()

    def _no_owner(self) -> bool:
        # Owners take their lock under the mutex, which is held here: so this test refuses no owner.
        if not self._owner.acquire():
            return False
        self._owner.release()
        return True

    def _start(self, servers: list[ServerProcess], *, may_end: bool) -> None:
        try:
            with os_errors_in_one_line(self._path):
                for server in servers:
                    server.begin(may_end=may_end, stopping=self._stopping)
            self._meanwhile()
            with os_errors_in_one_line(self._path):
                for server in servers:
                    server.wait_until_ready(self._stopping)
        except BaseException:
            for server in servers:
                server.undo()
            raise

    def _stop_all(self) -> None:
        with os_errors_in_one_line(self._path):
            for server in (ValkeyServer(self._path), PostgresServer(self._path)):
                server.stop()
