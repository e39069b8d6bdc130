"""The edge: where every request meets Redis once, and where known reads are answered without asking the routes.

A request is counted against its client's limit. When its target has been read before, what its answer
depends on is looked up in the same turn of the event loop, so that both travel together with those of all
other requests of that turn. `middleware.fast_path` asks it before the layers for most of these reads.
"""

import logging
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.cache.batcher import SharedFuture, settled
from infrastructure.cache.gateway import RedisUnavailable
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import TagValues
from infrastructure.server.header_lines import parsed_lines
from middleware.conditional_response import conditional_response, conditional_response_now
from middleware.errors import refusal_of, unexpected
from middleware.rate_limit import Counted, RateLimit
from middleware.route_cache import ResolvedRoute, RouteCache
from services.errors import ShopError

log = logging.getLogger("shop.edge")

_ASKED = "shop.asked"


@dataclass(slots=True)
class Asked:
    """What Redis is asked for a request, whether its read is good and how far its client is into the limit; what follows.

    `limit_lines` are what the answer says about the limit, as lines of headers; `kept` what this worker has kept of the
    read, if it is good; `response` the whole response, where it is decided.
    """

    route: ResolvedRoute | None
    found: SharedFuture[TagValues] | None
    counted: Counted | None
    limit_lines: bytes = b""
    kept: RenderedResponse | None = None
    response: Response | None = None


def note_asked(scope: Scope, asked: Asked) -> None:
    """Spare the edge to ask again."""
    scope[_ASKED] = asked


class Edge:
    """Answers the reads in `known`, refuses with 429 beyond `limit`, and hands on everything else."""

    def __init__(self, app: ASGIApp, *, limit: RateLimit | None = None) -> None:
        self.app = app
        self.known = RouteCache()
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked: Asked | None = scope.get(_ASKED)
        if asked is None:
            asked = self.ask(scope, self.known.find(scope))
            if asked.counted is not None:
                await settled((asked.counted.answer,))
            asked.response = self.refusal(scope, asked)
        answer: ASGIApp | None = asked.response
        if answer is None:
            answer = self.app if asked.route is None else await self.answer(scope, asked)
        await answer(scope, receive, _with_headers(send, asked.limit_lines) if asked.limit_lines else send)

    # What the fast path asks too.

    def ask(self, scope: Scope, route: ResolvedRoute | None) -> Asked:
        """Begin to count a request, and to find out whether the answer of its route is good."""
        counted = None if self._limit is None else self._limit.count(scope)
        return Asked(route, None if route is None else route.check(), counted)

    def refusal(self, scope: Scope, asked: Asked) -> Response | None:
        """The 429 to a request that is one too many, once the futures of `asked` are done. To be called once."""
        if self._limit is None:
            return None
        usage = self._limit.usage(asked.counted)
        asked.limit_lines = self._limit.lines(usage)
        return self._limit.refusal(scope, usage) if self._limit.refuses(usage) else None

    @staticmethod
    def kept_answer(scope: Scope, asked: Asked) -> Response | None:
        """What this worker has kept for the request, if it is good by what Redis has said, and needs no waiting."""
        if asked.route is None or asked.found is None:
            return None
        try:
            asked.kept = asked.route.get_if_fresh(asked.found.result())
        except RedisUnavailable as error:
            log.debug("Cache away: %s", error)
        if asked.kept is None:
            return None
        return conditional_response_now(scope, asked.kept, True, asked.route.cache_control)

    @staticmethod
    async def answer(scope: Scope, asked: Asked) -> Response:
        """What the known route answers to the request, an error included."""
        route = asked.route
        assert route is not None
        try:
            answer, hit = (asked.kept, True) if asked.kept else await route.answer(asked.found)
            return await conditional_response(scope, answer, hit, cache_control=route.cache_control)
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
