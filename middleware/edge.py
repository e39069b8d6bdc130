"""The edge: who calls, the rate limit, and the responses of resolved routes without a call of the routes.

It decides for both ways in: for ASGI as a layer, and for `middleware.fast_path`, which only writes. The count of a
request, the check of its caller and that of its cached response go to Redis in the same turn of the event loop, so that
one call serves all requests of that turn.
"""

import logging
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.cache.batcher import SharedFuture, settled
from infrastructure.cache.fixed_windows import PendingCount
from infrastructure.cache.gateway import RedisUnavailable
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import TagValues
from infrastructure.server.header_lines import parsed_lines
from middleware.cache_control import NO_STORE
from middleware.callers import Caller, Callers, keep_caller
from middleware.conditional_response import conditional_response, conditional_response_now
from middleware.errors import refusal_of, unexpected
from middleware.rate_limit import RateLimit
from middleware.request_context import forbid_storing
from middleware.route_cache import ResolvedRoute, RouteCache
from services.errors import ShopError

log = logging.getLogger("shop.edge")

_STATE = "shop.edge_state"


@dataclass(slots=True)
class EdgeState:
    """What is known of one request at the edge.

    `caller` is None for refused credentials. `current` and `count` come from Redis: the current tag values, and the count
    against the limit. `limit_lines` are the headers about the limit, as lines; `cached` is this worker's copy, if it is
    fresh; `response` the response, once it is decided.
    """

    caller: Caller | None
    route: ResolvedRoute | None
    current: SharedFuture[TagValues] | None
    count: PendingCount | None
    limit_lines: bytes = b""
    cached: RenderedResponse | None = None
    response: Response | None = None

    def futures(self) -> tuple[SharedFuture[Any] | None, ...]:
        """What the decision waits for; None stands for nothing."""
        return (
            self.current,
            None if self.count is None else self.count.usages,
            None if self.caller is None else self.caller.current,
        )

    @property
    def cache_control(self) -> bytes:
        """The Cache-Control of the response of the route."""
        assert self.route is not None
        assert self.caller is not None
        return NO_STORE if self.caller.principal.has_credentials else self.route.cache_control


def keep_state(scope: Scope, state: EdgeState) -> None:
    """Let the edge go on with this state when it is called with `scope`, so that nothing is counted or read twice."""
    scope[_STATE] = state


class Edge:
    """Answers requests of the resolved `routes`, refuses with 429 beyond `limit`, and calls `app` with all others.

    Each of them has a caller, whom `callers` finds.
    """

    def __init__(self, app: ASGIApp, *, callers: Callers | None = None, limit: RateLimit | None = None) -> None:
        self.app = app
        self.routes = RouteCache()
        self.callers = callers or Callers()
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: EdgeState | None = scope.get(_STATE)
        if state is None:
            state = await self._decide(scope)
        elif state.caller is not None and not state.caller.stands():
            # Counted already.
            await self._identify_again(scope, state)
        keep_caller(scope, state.caller)
        if state.caller is None or state.caller.principal.has_credentials:
            forbid_storing(scope)
        app: ASGIApp | None = state.response
        if app is None:
            app = self.app if state.route is None else await self.load_response(scope, state)
        await app(scope, receive, _with_headers(send, state.limit_lines) if state.limit_lines else send)

    async def _decide(self, scope: Scope) -> EdgeState:
        caller = self.callers.begin(scope) or await self.callers.identify(scope)
        state = self.begin(scope, caller, self._route(scope, caller))
        await settled(state.futures())
        if state.caller is not None and not state.caller.stands():
            await self._identify_again(scope, state)
        state.response = self.refusal(scope, state)
        return state

    async def _identify_again(self, scope: Scope, state: EdgeState) -> None:
        """Replace a caller about whom something has changed."""
        state.caller = await self.callers.identify(scope)
        state.route, state.cached = self._route(scope, state.caller), None
        state.current = None

    def _route(self, scope: Scope, caller: Caller | None) -> ResolvedRoute | None:
        return None if caller is None else self.routes.find(scope, caller.principal.audience)

    # The decision in its steps, which the fast path takes too.

    def begin(self, scope: Scope, caller: Caller | None, route: ResolvedRoute | None) -> EdgeState:
        """Begin to count a request, and to check whether the cached response of its route is fresh."""
        count = None if self._limit is None else self._limit.count(scope, None if caller is None else caller.principal)
        return EdgeState(caller, route, None if route is None else route.check(), count)

    def refusal(self, scope: Scope, state: EdgeState) -> Response | None:
        """The 429 for a request beyond the limit. To be called once, after `count` of `state` has its result."""
        if self._limit is None:
            return None
        usage = self._limit.usage(state.count)
        state.limit_lines = self._limit.lines(usage)
        return self._limit.refusal(scope, usage) if usage.is_exceeded else None

    @staticmethod
    def cached_response(scope: Scope, state: EdgeState) -> Response | None:
        """The response from this worker's copy, if that is fresh and need not be compressed first."""
        if state.route is None or state.current is None:
            return None
        try:
            state.cached = state.route.get_if_fresh(state.current.result())
        except RedisUnavailable as error:
            log.debug("Cache away: %s", error)
        if state.cached is None:
            return None
        return conditional_response_now(scope, state.cached, True, state.cache_control)

    @staticmethod
    async def load_response(scope: Scope, state: EdgeState) -> Response:
        """The response of the resolved route, an error response included."""
        route = state.route
        assert route is not None
        try:
            rendered, hit = (state.cached, True) if state.cached else await route.get_or_load(state.current)
            return await conditional_response(scope, rendered, hit, cache_control=state.cache_control)
        except ShopError as error:
            return refusal_of(error, scope)
        except Exception as error:
            return unexpected(error, scope)


def _with_headers(send: Send, lines: bytes) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *parsed_lines(lines)]
        await send(message)

    return send_with_headers
