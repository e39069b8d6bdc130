"""The pool of the threads' connections: who cannot have a new one waits for one that comes back.

A server, a role, a database or a pooler gives only so many connections, and other programs have some of them. So a
refusal is no error as long as the pool has another connection: the pool makes do with those, and asks for one more
now and then.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util.queue import Empty

from infrastructure.database.sqlstate import is_full


class _Patience(threading.local):
    seconds: float | None = None


# So long the work of this thread waits for a connection; by default as long as the engine says.
patience = _Patience()

# So long after a refusal nobody asks for another connection, while there are some; and while there is none.
_REST_SECONDS = 1.0
_PAUSE_SECONDS = 0.1


def _nothing(error: Exception) -> None:
    """What a refusal leads to where nobody wants to know."""


class WaitingPool(QueuePool):
    """A `QueuePool` that waits instead of raising the refusal of a new connection.

    `on_refusal` is called with every refusal, `on_starvation` also when the pool has no connection at all.
    """

    on_refusal: Callable[[Exception], None] = staticmethod(_nothing)
    on_starvation: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._asking = threading.Lock()
        # By the monotonic clock: before this, nobody asks for another connection. Zero before a refusal.
        self._rests_until = 0.0

    def recreate(self) -> "WaitingPool":
        """A new pool in place of this one, which was disposed of."""
        pool = super().recreate()
        assert isinstance(pool, WaitingPool)
        pool.on_refusal, pool.on_starvation = self.on_refusal, self.on_starvation
        return pool

    def _do_get(self) -> ConnectionPoolEntry:
        seconds = patience.seconds
        deadline = time.monotonic() + (self.timeout() if seconds is None else seconds)
        while True:
            if self._may_ask():
                try:
                    entry = super()._do_get()
                except Exception as error:
                    if not is_full(error):
                        raise
                    self._note_refusal(error)
                else:
                    self._rests_until = 0.0
                    return entry
            pause = _PAUSE_SECONDS if self._has_none() else _REST_SECONDS
            left = deadline - time.monotonic()
            try:
                return self._pool.get(True, max(0.0, min(pause, left)))
            except Empty:
                if left <= pause:
                    raise PoolTimeout("the server gives no further connection, and none came back in time") from None

    def _has_none(self) -> bool:
        return self.size() + self.overflow() <= 0

    def _may_ask(self) -> bool:
        """Whether to take a free connection or ask for one more: after a refusal, one thread at a time does."""
        if not self._rests_until:
            return True
        with self._asking:
            now = time.monotonic()
            if now < self._rests_until:
                return False
            self._rests_until = now + (_PAUSE_SECONDS if self._has_none() else _REST_SECONDS)
            return True

    def _note_refusal(self, error: Exception) -> None:
        has_none = self._has_none()
        self._rests_until = time.monotonic() + (_PAUSE_SECONDS if has_none else _REST_SECONDS)
        self.on_refusal(error)
        if has_none:
            self.on_starvation()
