"""The rate limit: a fixed window per client address, exact over all workers that share one Redis."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.redis_config import RedisGateway, RedisUnavailable, Script
from config.settings import Network
from middleware.client_address import belongs_to, client_address
from middleware.errors import problem

log = logging.getLogger("shop.rate_limit")

_HEALTH_ROUTES = ("/health_check", "/health/live", "/health/ready")
UNLIMITED_PATHS = frozenset(path + slash for path in _HEALTH_ROUTES for slash in ("", "/"))

# Only the first request of a window sets its end, so that refused ones cannot push it away. A key without
# an end, with one beyond the period, or of a foreign type would lock its client out, and is repaired.
_COUNT = Script("""
local period = tonumber(ARGV[1])
local count = redis.pcall('INCR', KEYS[1])
if type(count) ~= 'number' then
    redis.call('SET', KEYS[1], 1, 'PX', period)
    return {1, period}
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > period then
    redis.call('PEXPIRE', KEYS[1], period)
    left = period
end
return {count, left}
""")

# So many addresses are counted without Redis; beyond, the oldest windows are forgotten first.
_MOST_LOCAL_WINDOWS = 10_000


@dataclass(frozen=True, slots=True)
class Usage:
    """How far a client is into its window: requests so far, and seconds (rounded up) until it ends."""

    count: int
    reset: int


class LocalWindows:
    """The fixed windows of one worker, for while Redis is away. Memory is bounded by `most` windows."""

    def __init__(
        self, period: float, most: int = _MOST_LOCAL_WINDOWS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._period, self._most, self._clock = period, most, clock
        # In the order in which they end, because all are equally long.
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, address: str) -> Usage:
        """Count one request of `address`."""
        now = self._clock()
        end, count = self._windows.get(address, (now, 0))
        if end <= now:
            self._make_room(address, now)
            end, count = now + self._period, 0
        self._windows[address] = (end, count + 1)
        return Usage(count + 1, _whole_seconds((end - now) * 1000))

    def _make_room(self, address: str, now: float) -> None:
        self._windows.pop(address, None)
        while self._windows:
            oldest = next(iter(self._windows))
            if self._windows[oldest][0] > now and len(self._windows) < self._most:
                return
            del self._windows[oldest]


class RateLimit:
    """Answers 429 to a client beyond `calls` requests in `period` seconds, and tells each how far it is.

    Clients in `exempt` and the health routes are never counted. `trusted` are the proxies that are
    believed about whom they speak for.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        gateway: RedisGateway,
        calls: int,
        period: int,
        trusted: tuple[Network, ...] = (),
        exempt: tuple[Network, ...] = (),
    ) -> None:
        self.app = app
        self._gateway = gateway
        self._calls, self._period = calls, period
        self._trusted, self._exempt = trusted, exempt
        self._local = LocalWindows(period)
        self._limit_header = (b"x-ratelimit-limit", b"%d" % calls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        usage = await self._usage(scope)
        headers = (
            self._limit_header,
            (b"x-ratelimit-remaining", b"%d" % max(0, self._calls - usage.count)),
            (b"x-ratelimit-reset", b"%d" % usage.reset),
        )

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        if usage.count > self._calls:
            await self._refuse(scope, receive, send_with_headers, usage)
        else:
            await self.app(scope, receive, send_with_headers)

    async def _usage(self, scope: Scope) -> Usage:
        if scope["path"] in UNLIMITED_PATHS:
            return Usage(0, self._period)
        address = client_address(scope, self._trusted)
        if self._exempt and belongs_to(address, self._exempt):
            return Usage(0, self._period)
        usage = await self._count(address)
        if usage.count == self._calls + 1:
            # Exactly one request of a window gets this number, whatever the worker: one line.
            log.warning("Rate limit exceeded for IP %s", address)
        return usage

    async def _count(self, address: str) -> Usage:
        try:
            count, left = await self._gateway.run(_COUNT, (f"ratelimit:{address}",), (self._period * 1000,))
        except RedisUnavailable:
            return self._local.count(address)
        return Usage(count, _whole_seconds(left))

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, usage: Usage) -> None:
        response = problem(
            scope,
            429,
            f"Rate limit exceeded. Maximum {self._calls} requests per {self._period} seconds.",
            headers={"Retry-After": str(usage.reset)},
            extra={"retry_after": usage.reset},
        )
        await response(scope, receive, send)


def _whole_seconds(milliseconds: float) -> int:
    return max(1, math.ceil(milliseconds / 1000))
