"""The rate limit: a fixed window per client, exact over all workers that share one Redis.

A client is a user or an API key; without credentials an IPv4 address, or an IPv6 network of 64 bits: a client with one
address of such a network has them all.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Scope

from config.settings import Network
from infrastructure.cache.batcher import Batcher, SharedFuture
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable, Script
from infrastructure.cache.replies import integers
from infrastructure.server.health_paths import HEALTH_PATHS
from infrastructure.server.ip_addresses import belongs_to, counted_as
from middleware.client_address import client_address
from middleware.errors import problem
from security.principal import Principal

log = logging.getLogger("shop.rate_limit")

# Only the first request of a window sets its end, so that refused requests cannot extend it. A key without an end, with
# an end beyond the period, or of a foreign type would lock its client out, and is repaired. So is a count below zero, or
# beyond the exact numbers of Lua.
_COUNT = Script("""
local period = tonumber(ARGV[1])
local counted = {}
for i, key in ipairs(KEYS) do
    local requests = tonumber(ARGV[i + 1])
    local count = redis.pcall('INCRBY', key, requests)
    local left = period
    if type(count) ~= 'number' or count < requests or count > 2 ^ 53 then
        redis.call('SET', key, requests, 'PX', period)
        count = requests
    else
        left = redis.call('PTTL', key)
        if left < 0 or left > period then
            redis.call('PEXPIRE', key, period)
            left = period
        end
    end
    counted[2 * i - 1], counted[2 * i] = count, left
end
return counted
""")

# The usual names, and those of draft-ietf-httpapi-ratelimit-headers, which are structured fields. The first line is the
# same for all responses.
_LINES = (
    b'x-ratelimit-limit: %d\r\nratelimit-policy: "default";q=%d;w=%d\r\n'
    b'x-ratelimit-remaining: %%d\r\nx-ratelimit-reset: %%d\r\nratelimit: "default";r=%%d;t=%%d\r\n'
)

# The most clients that are counted without Redis; beyond, the oldest windows are dropped.
_MOST_LOCAL_WINDOWS = 10_000


@dataclass(slots=True)
class LimitUsage:
    """How far a client is into its window: requests so far, of `limit`, and seconds (rounded up) until it ends."""

    count: int
    reset: int
    limit: int = 0


@dataclass(slots=True)
class PendingCount:
    """A request in a batch that is being counted: `position` is its place among the `requests` of its client there.

    `name` is the client as people call it, and `limit` how many requests it may send.
    """

    name: str
    client: str
    limit: int
    position: int
    requests: dict[str, int]
    usages: SharedFuture[dict[str, LimitUsage]]


class LocalWindows:
    """The fixed windows of one worker, used while Redis is away. Memory is bounded by `most` windows."""

    def __init__(
        self, period: float, most: int = _MOST_LOCAL_WINDOWS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._period, self._most, self._clock = period, most, clock
        # In the order of their ends, because all are equally long.
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, client: str) -> LimitUsage:
        """Count one request of `client`."""
        now = self._clock()
        end, count = self._windows.get(client, (now, 0))
        if end <= now:
            self._make_room(client, now)
            end, count = now + self._period, 0
        self._windows[client] = (end, count + 1)
        return LimitUsage(count + 1, _whole_seconds((end - now) * 1000))

    def _make_room(self, client: str, now: float) -> None:
        self._windows.pop(client, None)
        while self._windows:
            oldest = next(iter(self._windows))
            if self._windows[oldest][0] > now and len(self._windows) < self._most:
                return
            del self._windows[oldest]


class RateLimit:
    """Counts the requests of every client, who may send `calls` of them in `period` seconds, or `calls_authenticated`.

    Addresses in `exempt` and the health routes are never counted, and neither are health routes below `api_prefix`. The
    address is `scope["shop.client"]` (see `middleware.request_context`), or else the peer.
    """

    def __init__(
        self,
        *,
        gateway: RedisGateway,
        calls: int,
        period: int,
        calls_authenticated: int | None = None,
        exempt: tuple[Network, ...] = (),
        api_prefix: str = "",
    ) -> None:
        self._unlimited = frozenset(
            before + path + slash for before in ("", api_prefix) for path in HEALTH_PATHS for slash in ("", "/")
        )
        self._gateway = gateway
        self._calls, self._period = calls, period
        self._calls_authenticated = calls_authenticated or calls
        self._exempt = exempt
        self._local = LocalWindows(period)
        self._batcher: Batcher[dict[str, int], dict[str, LimitUsage]] = Batcher(dict, self._count_batch)
        self._lines = {limit: _LINES % (limit, limit, period) for limit in (calls, self._calls_authenticated)}

    def count(self, scope: Scope, principal: Principal | None = None) -> PendingCount | None:
        """Begin to count the request of `scope`, in one batch with all others of this turn of the event loop.

        The result is for `usage`, to be used once; None for a request that is not counted.
        """
        if scope["path"] in self._unlimited:
            return None
        if principal is not None and principal.actor is not None:
            return self._count(principal.actor, principal.actor, self._calls_authenticated)
        address = scope.get("shop.client") or client_address(scope)
        if self._exempt and belongs_to(address, self._exempt):
            return None
        return self._count(f"IP: {address}", counted_as(address), self._calls)

    def _count(self, name: str, client: str, limit: int) -> PendingCount:
        requests, usages = self._batcher.join()
        position = requests[client] = requests.get(client, 0) + 1
        return PendingCount(name, client, limit, position, requests, usages)

    def usage(self, pending: PendingCount | None) -> LimitUsage:
        """How far the client is into its window with this request, once `usages` of `pending` has its result."""
        if pending is None:
            return LimitUsage(0, self._period, self._calls)
        try:
            last = pending.usages.result()[pending.client]
        except RedisUnavailable:
            usage = self._local.count(pending.client)
            usage.limit = pending.limit
        else:
            # The count of the whole batch, less the requests of the client behind this one.
            usage = LimitUsage(
                last.count - pending.requests[pending.client] + pending.position, last.reset, pending.limit
            )
        if usage.count == pending.limit + 1:
            # Exactly one request of a window gets this number in all workers: one line.
            log.warning("Rate limit exceeded for %s", pending.name)
        return usage

    def refuses(self, usage: LimitUsage) -> bool:
        """Whether the request with this usage is beyond the limit."""
        return usage.count > usage.limit

    def lines(self, usage: LimitUsage) -> bytes:
        """The headers about the limit, which every response has, as lines."""
        left = max(0, usage.limit - usage.count)
        return self._lines[usage.limit] % (left, usage.reset, left, usage.reset)

    def refusal(self, scope: Scope, usage: LimitUsage) -> Response:
        """The 429 for a request beyond the limit."""
        return problem(
            scope,
            429,
            f"Rate limit exceeded. Maximum {usage.limit} requests per {self._period} seconds.",
            headers={"Retry-After": str(usage.reset)},
            extra={"retry_after": usage.reset},
        )

    async def _count_batch(self, requests: dict[str, int]) -> dict[str, LimitUsage]:
        keys = [f"ratelimit:{client}" for client in requests]
        reply = await self._gateway.run(_COUNT, keys, (self._period * 1000, *requests.values()))
        counted = integers(reply, 2 * len(keys))
        return {
            client: LimitUsage(count, _whole_seconds(left))
            for client, count, left in zip(requests, counted[::2], counted[1::2], strict=True)
        }


def _whole_seconds(milliseconds: float) -> int:
    return max(1, math.ceil(milliseconds / 1000))
