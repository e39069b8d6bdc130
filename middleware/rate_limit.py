"""The rate limit: a fixed window per client, exact over all workers that share one Redis.

A client is a user or an API key; without credentials an IPv4 address, or an IPv6 network of 64 bits: a client with one
address of such a network has them all.
"""

from starlette.responses import Response
from starlette.types import Scope

from config.settings import Network
from infrastructure.cache.fixed_windows import FixedWindows, LimitUsage, PendingCount
from infrastructure.cache.gateway import RedisGateway
from infrastructure.server.health_paths import HEALTH_PATHS
from infrastructure.server.ip_addresses import belongs_to, counted_as
from middleware.client_address import client_address
from middleware.errors import refusal_of
from security.principal import Principal
from services.errors import RateLimited

# The usual names, and those of draft-ietf-httpapi-ratelimit-headers, which are structured fields. The first line is the
# same for all responses.
_LINES = (
    b'x-ratelimit-limit: %d\r\nratelimit-policy: "default";q=%d;w=%d\r\n'
    b'x-ratelimit-remaining: %%d\r\nx-ratelimit-reset: %%d\r\nratelimit: "default";r=%%d;t=%%d\r\n'
)


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
        self._calls = calls
        self._calls_authenticated = calls_authenticated or calls
        self._exempt = exempt
        self._windows = FixedWindows(gateway, period)
        self._lines = {limit: _LINES % (limit, limit, period) for limit in (calls, self._calls_authenticated)}

    def count(self, scope: Scope, principal: Principal | None = None) -> PendingCount | None:
        """Begin to count the request of `scope`, in one batch with all others of this turn of the event loop.

        The result is for `usage`, to be used once; None for a request that is not counted.
        """
        if scope["path"] in self._unlimited:
            return None
        if principal is not None and principal.actor is not None:
            return self._windows.begin(principal.actor, self._calls_authenticated, principal.actor)
        address = scope.get("shop.client") or client_address(scope)
        if self._exempt and belongs_to(address, self._exempt):
            return None
        return self._windows.begin(counted_as(address), self._calls, f"IP: {address}")

    def usage(self, pending: PendingCount | None) -> LimitUsage:
        """How far the client is into its window with this request, once `usages` of `pending` has its result."""
        if pending is None:
            return LimitUsage(0, self._windows.period, self._calls)
        return self._windows.usage(pending)

    def lines(self, usage: LimitUsage) -> bytes:
        """The headers about the limit, which every response has, as lines."""
        left = max(0, usage.limit - usage.count)
        return self._lines[usage.limit] % (left, usage.reset, left, usage.reset)

    def refusal(self, scope: Scope, usage: LimitUsage) -> Response:
        """The 429 for a request beyond the limit."""
        return refusal_of(RateLimited(usage.limit, self._windows.period, usage.reset), scope)
