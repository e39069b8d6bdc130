"""Whether PostgreSQL is there, as one worker finds out by what it asks: said in the log when that changes, and only then."""

import logging
import threading
import time

from infrastructure.database.database_url import name_of

log = logging.getLogger("shop.database")

# One that serves some and refuses others, such as one without a connection left, must not fill the log.
_QUIET_SECONDS = 10.0
_QUIET_SECONDS_OF_FULL = 60.0


class Availability:
    """Taken for there until somebody finds it away. For every thread. `url` is that of the database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        # By the monotonic clock: since when it is away, None while it is there; and when it came back.
        self._away_since: float | None = None
        self._back_at = -_QUIET_SECONDS
        self._full_at = -_QUIET_SECONDS_OF_FULL

    @property
    def is_away(self) -> bool:
        """Whether it was away when somebody asked last."""
        return self._away_since is not None

    def found_away(self, reason: object) -> None:
        """Note that it could not be reached. `reason` may be an error of the driver."""
        with self._lock:
            now = time.monotonic()
            if self._away_since is not None or now - self._back_at < _QUIET_SECONDS:
                return
            self._away_since = now
        log.error(
            "The database is away (%s): %s", name_of(self._url), str(reason).strip().partition("\n")[0] or "no answer"
        )

    def found_full(self, reason: object) -> None:
        """Note that it gives no further connection: those that are open have to do."""
        with self._lock:
            now = time.monotonic()
            if now - self._full_at < _QUIET_SECONDS_OF_FULL:
                return
            self._full_at = now
        log.warning(
            "The database gives no more connections, requests wait for those that are open (%s): %s",
            name_of(self._url),
            str(reason).strip().partition("\n")[0],
        )

    def found_there(self) -> None:
        """Note that it has answered."""
        # Asked for every answer: without the lock, which only matters to whoever finds it back.
        if self._away_since is None:
            return
        with self._lock:
            since, self._away_since = self._away_since, None
            self._back_at = now = time.monotonic()
        if since is not None:
            log.info("The database is back after %.1f s (%s)", now - since, name_of(self._url))
