"""Token bucket: limits the log lines of one kind, so that clients cannot fill the log with them."""

import time
from collections.abc import Callable


class TokenBucket:
    """Allows `burst` lines at once, and `per_second` more after that; `refused` counts the others."""

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._tokens = float(burst)
        self._filled_at = clock()
        self.refused = 0

    def take(self) -> bool:
        """Whether one more line is allowed now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        return True

    def take_refused(self) -> int:
        """How many lines were refused since the last call."""
        refused, self.refused = self.refused, 0
        return refused
