"""The edge: where every request meets Redis once, and where known reads are answered without asking the routes.

A request is counted against its client's limit. When its target has been read before, what its answer
depends on is looked up in the same turn of the event loop, so that both travel together with those of all
other requests of that turn. The edge knows no entity and keeps no answer: it remembers how a target is read,
and whether an answer is still good is decided where it is cached.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.errors import refusal_of, unexpected
from middleware.http_rules import is_host_valid
from middleware.rate_limit import RateLimit
from middleware.read_response import ReadResponse, write_read
from services.answer import Answer
from services.errors import ShopError
from services.memo import Memo

# So many targets are remembered, and none that is longer.
_TARGETS = 8192
_LONGEST_TARGET = 512

Headers = tuple[tuple[bytes, bytes], ...]

_REMEMBER = "shop.remember"
_READS = frozenset(("GET", "HEAD"))
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding"))


class Read(Protocol):
    """How the GET of one target is answered, again and again."""

    def look(self) -> Any:
        """Begin to find out whether a cached answer is good; the result is for `answer`."""

    def answer(self, found: Any = None) -> Awaitable[tuple[Answer, bool | None]]:
        """The answer, and whether the cache had it (None: it is never cached). Raises `ShopError`."""


def remember(scope: Scope, read: Read) -> None:
    """Let later requests of the same target be answered by `read`. To be called when it has answered once."""
    remember_target: Callable[[Read], None] | None = scope.get(_REMEMBER)
    if remember_target is not None:
        remember_target(read)


class Edge:
    """Answers known reads, refuses with 429 beyond `limit`, and hands on everything else."""

    def __init__(self, app: ASGIApp, *, limit: RateLimit | None = None) -> None:
        self.app = app
        self._limit = limit
        self._reads: Memo[tuple[bytes, bytes], Read] = Memo(_TARGETS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = found = None
        if _is_plain_read(scope):
            target = (scope.get("raw_path", b""), scope["query_string"])
            read = self._reads.get(target)
            if read is not None:
                found = read.look()
            elif len(target[0]) + len(target[1]) <= _LONGEST_TARGET:
                scope[_REMEMBER] = partial(self._reads.put, target)
        limits: Headers = ()
        if self._limit is not None:
            usage = await self._limit.usage(scope)
            limits = self._limit.headers(usage)
            if self._limit.refuses(usage):
                await self._limit.refusal(scope, usage)(scope, receive, _with_headers(send, limits))
                return
        if read is None:
            await self.app(scope, receive, _with_headers(send, limits))
        else:
            await _answer(read, found, limits, scope, receive, send)


async def _answer(read: Read, found: Any, limits: Headers, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        answer, hit = await read.answer(found)
        if write_read(scope, answer, hit, limits):
            return
    except ShopError as error:
        response = refusal_of(error, scope)
    except Exception as error:
        response = unexpected(error, scope)
    else:
        response = ReadResponse(scope, answer, hit)
    await response(scope, receive, _with_headers(send, limits))


def _is_plain_read(scope: Scope) -> bool:
    """Whether nothing but the target decides the answer: a well-formed GET or HEAD without a body."""
    if scope["method"] not in _READS:
        return False
    headers = dict(scope["headers"])
    # What is odd about a header that came twice is for the routes to say.
    return len(headers) == len(scope["headers"]) and _BODY_HEADERS.isdisjoint(headers) and is_host_valid(scope)


def _with_headers(send: Send, headers: Headers) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return send_with_headers
