"""The edge: where every request meets Redis once, and where known reads are answered without asking the routes.

A request is counted against its client's limit. When its target has been read before, what its answer
depends on is looked up in the same turn of the event loop, so that both travel together with those of all
other requests of that turn. `middleware.fast_path` does the same before it for most of these reads.
"""

from typing import NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.cache.batcher import SharedFuture
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import TagValues
from middleware.conditional_response import conditional_response
from middleware.errors import refusal_of, unexpected
from middleware.rate_limit import LimitUsage, RateLimit
from middleware.route_cache import ResolvedRoute, RouteCache
from services.errors import ShopError

Headers = tuple[tuple[bytes, bytes], ...]

_ASKED = "shop.asked"


class Asked(NamedTuple):
    """What Redis was asked for a request: whether its read is good, and how far its client is into the limit."""

    found: SharedFuture[TagValues] | None
    usage: LimitUsage | None
    # The answer and whether the cache had it, where that was read already.
    answered: tuple[RenderedResponse, bool | None] | None = None


def note_asked(scope: Scope, asked: Asked) -> None:
    """Spare the edge to ask again."""
    scope[_ASKED] = asked


class Edge:
    """Answers the reads in `known`, refuses with 429 beyond `limit`, and hands on everything else."""

    def __init__(self, app: ASGIApp, *, limit: RateLimit | None = None) -> None:
        self.app = app
        self.limit = limit
        self.known = RouteCache()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route = self.known.find(scope)
        asked = scope.get(_ASKED) or await self._ask(scope, route)
        usage = asked.usage
        if usage is not None and self.limit is not None:
            send = _with_headers(send, self.limit.headers(usage))
            if self.limit.refuses(usage):
                await self.limit.refusal(scope, usage)(scope, receive, send)
                return
        if route is None:
            await self.app(scope, receive, send)
        else:
            await _answer(route, asked, scope, receive, send)

    async def _ask(self, scope: Scope, route: ResolvedRoute | None) -> Asked:
        found = None if route is None else route.check()
        usage = None if self.limit is None else await self.limit.usage(self.limit.count(scope))
        return Asked(found, usage)


async def _answer(route: ResolvedRoute, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
    response: Response
    try:
        answer, hit = asked.answered or await route.answer(asked.found)
        response = await conditional_response(scope, answer, hit, cache_control=route.cache_control)
    except ShopError as error:
        response = refusal_of(error, scope)
    except Exception as error:
        response = unexpected(error, scope)
    await response(scope, receive, send)


def _with_headers(send: Send, headers: Headers) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return send_with_headers
