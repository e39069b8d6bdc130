"""Stoppable work: it runs in a thread, and a request to stop cancels its statement in PostgreSQL.

A thread that waits for PostgreSQL handles no signals, and a statement whose client is gone would go on waiting for its
lock, with every reader of the table behind it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.engine import Connection

_POLL_SECONDS = 0.05
# For a canceled statement to end, and for its transaction to roll back.
_END_SECONDS = 5.0


class Cancellation:
    """A request to stop, and the connection whose statement it cancels."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._connection: Any = None

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    @contextmanager
    def covering(self, connection: Connection) -> Iterator[None]:
        """Have statements on `connection` canceled during the block."""
        self._connection = connection.connection.driver_connection
        try:
            yield
        finally:
            self._connection = None

    def wait(self, seconds: float) -> bool:
        """Pause; returns early, and is true, when a stop is requested."""
        return self._requested.wait(seconds)

    def request(self) -> None:
        """Cancel the statement that runs now, if one does. Does not wait for its end."""
        self._requested.set()
        if self._connection is not None:
            # A server that is frozen does not answer this either.
            threading.Thread(target=_cancel, args=(self._connection,), daemon=True).start()


def _cancel(connection: Any) -> None:
    with suppress(Exception):  # The connection has been closed meanwhile, or the server is gone.
        connection.cancel()


def run_stoppable(work: Callable[[], None], cancellation: Cancellation, stopping: Callable[[], bool]) -> None:
    """Run `work` in a thread until it has ended; when `stopping()` is true it is canceled, and given a few seconds.

    Raises what `work` raises. At the return its thread has ended, unless a server did not answer the cancellation.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive() and not stopping():
        thread.join(_POLL_SECONDS)
    deadline = time.monotonic() + _END_SECONDS
    while thread.is_alive() and time.monotonic() < deadline:
        # More than once: a cancellation between two statements has no effect.
        cancellation.request()
        thread.join(2 * _POLL_SECONDS)
    if errors:
        raise errors[0]
