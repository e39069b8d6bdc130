"""A RabbitMQ of a test's own, with ports, a node and folders of its own, which can be stopped, killed and frozen."""

import os
import secrets
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest

from tests.shop import reserved_port

# The script behind the one of the PATH, which would start the server as another user and in Debian's folders.
_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_START_SECONDS = 90

needs_rabbitmq = pytest.mark.skipif(not _PROGRAM.exists(), reason="rabbitmq-server is not installed")


class RabbitMQ:
    """A broker with its data in `folder`, on loopback only. What it holds survives a stop and a kill."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._stack = folder, ExitStack()
        self._port, self._dist_port, self._epmd_port = (self._stack.enter_context(reserved_port()) for _ in range(3))
        self._node = f"shop{secrets.token_hex(4)}@localhost"
        self._process: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}/"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [str(_PROGRAM)], env=self._environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._listens():
            assert self._process.poll() is None, f"RabbitMQ did not start: {self.log()[-2000:]}"
            assert time.monotonic() < deadline, f"RabbitMQ did not start in time: {self.log()[-2000:]}"
            time.sleep(0.1)

    def log(self) -> str:
        """What the broker has said."""
        return (self._folder / "output").read_text(errors="replace")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self.thaw()
            self._process.send_signal(number)
            try:
                self._process.wait(60)
            finally:
                self._process.kill()
                self._process.wait()
                self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        return {
            "PATH": os.environ["PATH"],
            # The cookie of the node is in there.
            "HOME": str(folder),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # One scheduler, which does not spin: the machine has other things to do.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            # Then the script becomes the server, whose pid is that of the process.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def __enter__(self) -> "RabbitMQ":
        (self._folder / "rabbitmq.conf").write_text("log.console = true\nlog.file = false\n")
        (self._folder / "enabled_plugins").write_text("[].\n")
        # The node would start it as a daemon that outlives the test.
        self._epmd = subprocess.Popen(["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"])
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(signal.SIGTERM)
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        self._stack.close()
