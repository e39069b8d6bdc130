"""CORS as Starlette has it, with preflights whose headers and errors are those of all other responses."""

from collections.abc import Mapping, Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infrastructure.server.http_methods import METHODS
from middleware.errors import problem

EXPOSED_HEADERS = (
    "X-Total-Count",
    "X-Total-Count-Estimated",
    "X-Next-After",
    "Link",
    "ETag",
    "Location",
    "X-Request-ID",
    "X-Response-Time",
    "X-Cache-Hit",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Idempotent-Replayed",
    "Preference-Applied",
    "traceparent",
)
# What `Cors` adds to Vary for a request without an Origin, because one with an Origin gets another response.
VARY_WITHOUT_ORIGIN = (b"Origin",)

# A preflight repeats what the browser asks for, and proxies accept about 4 kB of headers.
_LONGEST_REQUESTED = 1000


class Cors(CORSMiddleware):
    """Lets the scripts of `origins` read responses, with `credentials` or without.

    It stands in front of the rate limit, so that scripts can read a 429 too. A preflight therefore is not counted: it has
    `uncounted`, the headers of a client with its whole limit left. A refused preflight has the shape of every error.
    """

    def __init__(
        self, app: ASGIApp, *, origins: Sequence[str], credentials: bool, uncounted: Mapping[str, str]
    ) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_credentials=credentials,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
        self._uncounted = uncounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_preflight(scope):
            await super().__call__(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if len(headers.get("access-control-request-headers", "")) > _LONGEST_REQUESTED:
            response: Response = problem(scope, 400, "Access-Control-Request-Headers is too long")
        else:
            response = self._preflight(scope, headers)
        response.headers.update(self._uncounted)
        await response(scope, receive, send)

    def _preflight(self, scope: Scope, headers: Headers) -> Response:
        response = self.preflight_response(headers)
        if response.status_code != 200:
            kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
            return problem(scope, response.status_code, bytes(response.body).decode(), headers=kept)
        return response


def _is_preflight(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers
