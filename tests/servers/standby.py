"""A primary of PostgreSQL and its streaming standby, as a distribution packages them, behind an address that can move."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg2

from infrastructure.database.migrations import migrate
from tests.servers.debian_postgres import account, folder_of_server, programs, wait_until_ready
from tests.shop import reserved_port

_PATIENCE_SECONDS = 60.0


class TcpServer:
    """One PostgreSQL on a port of loopback."""

    def __init__(self, data: Path, port: int) -> None:
        self._data, self.port = data, port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, **settings: str) -> None:
        own = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._data.parent),
            "fsync": "off",
            **settings,
        }
        words = [word for name, value in own.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [programs() / "postgres", "-D", self._data, *words],
            env={"PATH": os.environ["PATH"]},
            stderr=subprocess.DEVNULL,
            **account(),  # type: ignore[call-overload]
        )
        wait_until_ready(self.url)

    def start_as_standby(self) -> None:
        """Start it again, read-only, as one that waits for a primary."""
        (self._data / "standby.signal").touch()
        self.start()

    def stop(self) -> None:
        """Stop it fast: what is under way is rolled back, and the standby has everything."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_PATIENCE_SECONDS)

    def freeze(self) -> None:
        """Stop every process of it, as if the machine hung: it accepts connections, and answers nothing."""
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def end(self) -> None:
        """Kill whatever is left of it."""
        if self._process is not None:
            for pid in self._processes():
                os.kill(pid, signal.SIGKILL)
            self._process.wait(_PATIENCE_SECONDS)

    def _processes(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        if self._process.poll() is not None:
            return []
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        # The first one makes the others, so it is stopped first.
        return [pid, *map(int, children.split())]

    def promote(self) -> None:
        """Make a primary of this standby, which waits for no standby of its own."""
        with _connected(self.url) as cursor:
            cursor.execute("SELECT pg_promote(true, 60)")


class Cluster:
    """A primary and a standby, which has every commit before its client hears of it."""

    def __init__(self, primary: TcpServer, standby: TcpServer) -> None:
        self.primary, self.standby = primary, standby

    def url(self, *, options: str = "") -> str:
        """With both hosts, the primary first."""
        hosts = f"host=127.0.0.1:{self.primary.port}&host=127.0.0.1:{self.standby.port}"
        return f"postgresql+psycopg2://postgres@/postgres?{hosts}{options}"


@contextmanager
def _connected(url: str) -> Iterator[psycopg2.extensions.cursor]:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _run(program: str, *words: object) -> None:
    subprocess.run(
        [str(programs() / program), *map(str, words)],
        check=True,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        **account(),  # type: ignore[call-overload]
    )


@contextmanager
def primary_and_standby() -> Iterator[Cluster]:
    """A new cluster with the shop's tables in it."""
    with ExitStack() as stack:
        folder = stack.enter_context(folder_of_server())
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        primary, standby = (TcpServer(folder / name, port) for name, port in zip("ab", ports, strict=True))
        _run("initdb", "-D", folder / "a", "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", "-N")
        stack.callback(primary.end)
        primary.start()
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name=standby"
        _run("pg_basebackup", "-D", folder / "b", "-R", "-X", "stream", "-c", "fast", "-d", source)
        stack.callback(standby.end)
        standby.start()
        migrate(primary.url)
        with _connected(primary.url) as cursor:
            cursor.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            cursor.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while True:
                cursor.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
                if cursor.fetchall():
                    break
                assert time.monotonic() < deadline, "the standby does not stream"
                time.sleep(0.05)
        yield Cluster(primary, standby)
