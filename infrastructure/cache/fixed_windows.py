"""Fixed window counters: how often each client did something within a period, exact over all workers of one Redis.

While Redis is away, each worker counts by itself.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from infrastructure.cache.batcher import Batcher, SharedFuture, settled
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable, Script
from infrastructure.cache.replies import integers

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

# The most clients that are counted without Redis; beyond, the oldest windows are dropped.
_MOST_LOCAL_WINDOWS = 10_000


@dataclass(slots=True)
class LimitUsage:
    """How far a client is into its window: requests so far, of `limit`, and seconds (rounded up) until it ends."""

    count: int
    reset: int
    limit: int = 0

    @property
    def is_exceeded(self) -> bool:
        """Whether the request with this usage is beyond the limit."""
        return self.count > self.limit


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


class FixedWindows:
    """Counts the requests of clients in windows of `period` seconds. A client is a short text, which is in its key."""

    def __init__(self, gateway: RedisGateway, period: int) -> None:
        self.period = period
        self._gateway = gateway
        self._local = LocalWindows(period)
        self._batcher: Batcher[dict[str, int], dict[str, LimitUsage]] = Batcher(dict, self._count_batch)

    async def count(self, client: str, limit: int, name: str) -> LimitUsage:
        """Count a request of `client`, and log once in a window that it is beyond `limit`."""
        pending = self.begin(client, limit, name)
        await settled((pending.usages,))
        return self.usage(pending)

    # The same in two steps.

    def begin(self, client: str, limit: int, name: str) -> PendingCount:
        """Begin to count a request, in one batch with all others of this turn of the event loop.

        The result is for `usage`, to be used once.
        """
        requests, usages = self._batcher.join()
        position = requests[client] = requests.get(client, 0) + 1
        return PendingCount(name, client, limit, position, requests, usages)

    def usage(self, pending: PendingCount) -> LimitUsage:
        """How far the client is into its window with this request, once `usages` of `pending` has its result."""
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

    async def _count_batch(self, requests: dict[str, int]) -> dict[str, LimitUsage]:
        keys = [f"ratelimit:{client}" for client in requests]
        reply = await self._gateway.run(_COUNT, keys, (self.period * 1000, *requests.values()))
        counted = integers(reply, 2 * len(keys))
        return {
            client: LimitUsage(count, _whole_seconds(left))
            for client, count, left in zip(requests, counted[::2], counted[1::2], strict=True)
        }


def _whole_seconds(milliseconds: float) -> int:
    return max(1, math.ceil(milliseconds / 1000))
