"""Conditional responses to reads: 200 in the client's coding, 304 if the client has the body, no body for HEAD."""

from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from functools import cached_property
from itertools import chain
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.server.content_coding import plain_tags
from infrastructure.server.header_lines import HeaderBlock
from infrastructure.server.request_heads import Headers, memoize_on_headers
from middleware.cache_control import PRIVATE, about_caches
from middleware.compression import VARY, coding_for
from middleware.errors import refusal_of
from services.errors import Unavailable

# Larger bodies are sent in pieces.
LARGE_BYTES, _PIECE_BYTES = 256 * 1024, 128 * 1024

# The bound for all large bodies of one worker: slow clients keep them for long.
MOST_LARGE_BYTES = 128 * 1024 * 1024


class LargeBodies:
    """The large bodies that are being sent, up to `most` bytes. A body that goes to many clients counts once."""

    def __init__(self, most: int = MOST_LARGE_BYTES) -> None:
        self._left = most
        self._receivers: Counter[int] = Counter()

    def take(self, body: Sized) -> bool:
        """Whether there is room for the body. If so, `give_back` has to follow when it has been sent."""
        if not self._receivers[id(body)]:
            if len(body) > self._left:
                del self._receivers[id(body)]
                return False
            self._left -= len(body)
        self._receivers[id(body)] += 1
        return True

    def give_back(self, body: Sized) -> None:
        """Note that the body was sent to one of its clients."""
        self._receivers[id(body)] -= 1
        if not self._receivers[id(body)]:
            del self._receivers[id(body)]
            self._left += len(body)


_large = LargeBodies()


class ConditionalResponse(Response):
    """The response to a read, to be sent as ASGI messages or, by the fast path, as lines.

    `blocks` are the headers of the rendered response and those about caches. `varies`: Vary names Accept-Encoding. `hit`: as
    for `conditional_response`.
    """

    background = None
    body: bytes

    def __init__(
        self,
        status: int,
        blocks: Sequence[HeaderBlock],
        body: bytes = b"",
        varies: bool = False,
        hit: bool | None = None,
    ) -> None:
        self.status_code, self.blocks, self.body = status, blocks, body
        self.varies, self.hit = varies, hit

    @cached_property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        """All headers, as ASGI messages have them."""
        return [*chain.from_iterable(self.blocks), *([VARY] if self.varies else ())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self.body) <= LARGE_BYTES:
            await self._send(send)
        elif _large.take(self.body):
            try:
                await self._send(send)
            finally:
                _large.give_back(self.body)
        else:
            refusal = Unavailable("Too many large answers are being sent, try again later")
            await refusal_of(refusal, scope)(scope, receive, send)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # `send` waits for a slow client after each piece, so that the server buffers no copy of the whole body.
        start = 0
        while len(self.body) - start > LARGE_BYTES:
            piece = self.body[start : start + _PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            start += _PIECE_BYTES
        await send({"type": "http.response.body", "body": self.body[start:]})


def conditional_response_now(
    scope: Mapping[str, Any], rendered: RenderedResponse, hit: bool | None, cache_control: bytes
) -> ConditionalResponse | None:
    """As `conditional_response`; None if the body has yet to be compressed, and is too large for the event loop."""
    varies = rendered.varies
    coding = coding_for(scope) if varies else None
    caches = about_caches(cache_control, hit)
    if client_has(rendered.etag, scope):
        blocks = rendered.form_without_body(coding).headers_of_304, caches
        return ConditionalResponse(304, blocks, b"", varies, hit)
    form = rendered if coding is None else rendered.form(coding)
    if form is None:
        return None
    body = b"" if scope["method"] == "HEAD" else form.body
    return ConditionalResponse(200, (form.headers_of_200, caches), body, varies, hit)


async def conditional_response(
    scope: Mapping[str, Any], rendered: RenderedResponse, hit: bool | None = None, *, cache_control: bytes = PRIVATE
) -> ConditionalResponse:
    """The response to the request of `scope`. `hit`: whether it came from the cache; None if it is never cached."""
    response = conditional_response_now(scope, rendered, hit, cache_control)
    if response is None:
        await rendered.make_form(coding_for(scope))
        response = conditional_response_now(scope, rendered, hit, cache_control)
        assert response is not None
    return response


def client_has(etag: str, scope: Mapping[str, Any]) -> bool:
    """Whether If-None-Match names this `etag`, in whatever coding."""
    known = memoize_on_headers(scope, _known_tags)
    return etag in known or "*" in known


def _known_tags(headers: Headers) -> Sequence[str]:
    given = [value.decode("latin-1") for name, value in headers if name == b"if-none-match"]
    return plain_tags(given) if given else ()
