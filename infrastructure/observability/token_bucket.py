"""Token bucket: how many log lines of one kind may be written, so that nobody can fill the log with them."""

import time
from collections.abc import Callable


class TokenBucket:
    """Allows `burst` at once, and `per_second` more as time goes by; what it refuses is counted in `refused`."""

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._tokens = float(burst)
        self._filled_at = clock()
        self.refused = 0

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        return True

    def take_refused(self) -> int:
        """How many were refused since this was last asked."""
        refused, self.refused = self.refused, 0
        return refused
