"""Server watch: starts embedded servers again that die while the shop runs, without making the launcher wait."""

import logging
import math
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager

from config.settings import Settings
from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.file_lock import FileLock
from infrastructure.embedded.server_process import START_SECONDS, ServerProcess
from infrastructure.embedded.servers import data_folder, mutex_of, needed_servers, never, os_errors_in_one_line

log = logging.getLogger("shop.embedded")

# A look at a process takes some microseconds.
_LOOK_SECONDS = 0.2
# A server that dies so often within so many seconds has a reason that another start does not mend.
_MOST_DEATHS, _DEATHS_SECONDS = 5, 60.0


class _Watched:
    """One server, and the time of its death while it is down."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.died_at: float | None = None
        self.is_launched = False
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
        server.adopt()

    def look(self) -> None:
        """Note a death. One that is frozen is alive. Raises `EmbeddedServerError` for a server that dies again and again."""
        if self.died_at is not None or self.server.is_alive():
            return
        self.died_at = time.monotonic()
        log.error("%s (process %d) has died and is started again", self.server.name, self.server.pid)
        self._deaths.append(self.died_at)
        if len(self._deaths) == _MOST_DEATHS and self.died_at - self._deaths[0] < _DEATHS_SECONDS:
            raise EmbeddedServerError(
                f"{self.server.name} has died {_MOST_DEATHS} times within a minute: {self.server.log_file} may say why"
            )

    def revive(self) -> None:
        """Take the next step of the start, if the server is down. Raises `EmbeddedServerError` when it does not start."""
        if self.died_at is None:
            return
        if not self.is_launched:
            # Another process may have started it meanwhile: that one is taken over.
            self.server.begin(may_end=True, stopping=never)
            self.is_launched = True
        seconds = time.monotonic() - self.died_at
        if self.server.is_ready():
            log.warning("%s is back after %.1f s (process %d)", self.server.name, seconds, self.server.pid)
            self.died_at, self.is_launched = None, False
        elif seconds > START_SECONDS:
            raise EmbeddedServerError(f"{self.server.name} died and did not start again: {self.server.log_file}")


class ServerWatch:
    """Watches the servers that the owner of DATA_DIR has running for `settings`."""

    def __init__(self, settings: Settings) -> None:
        self._folder = data_folder(settings)
        self._watched = [_Watched(server) for server in needed_servers(settings)]
        self._mutex: FileLock | None = None
        self._next_look = 0.0

    def pids(self) -> Collection[int]:
        """The processes of the servers."""
        return {watched.server.pid for watched in self._watched}

    def tick(self) -> None:
        """Look at the servers, and take the next step for those that are down.

        Call it several times a second. Raises `EmbeddedServerError` when a server cannot be started again, once.
        """
        if time.monotonic() < self._next_look:
            return
        # Until it is known that there is a next one.
        self._next_look = math.inf
        for watched in self._watched:
            watched.look()
        if self.is_reviving and self._has_mutex():
            with os_errors_in_one_line(self._folder):
                for watched in self._watched:
                    watched.revive()
        if not self.is_reviving:
            self._release()
        self._next_look = time.monotonic() + _LOOK_SECONDS

    @property
    def is_reviving(self) -> bool:
        """Whether any server is down."""
        return any(watched.died_at is not None for watched in self._watched)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A block after which others may start and stop servers again. One that is still starting is stopped."""
        try:
            yield
        finally:
            for watched in self._watched:
                if watched.is_launched:
                    # It may not have written the file by which whoever stops the servers finds it.
                    watched.server.undo()
            self._release()

    def _has_mutex(self) -> bool:
        """Whether no other process starts or stops servers now."""
        if self._mutex is None:
            mutex = mutex_of(self._folder)
            if not mutex.acquire():
                mutex.close()
                return False
            self._mutex = mutex
        return True

    def _release(self) -> None:
        if self._mutex is not None:
            with closing(self._mutex) as mutex:
                mutex.release()
            self._mutex = None
