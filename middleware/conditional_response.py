"""What is sent for a read: 200 with the answer in the client's coding, 304 when it has the answer, no body for HEAD."""

from collections import Counter
from collections.abc import Sequence, Sized

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.server.content_coding import plain_tag
from infrastructure.server.request_heads import Headers, memoize_on_headers
from middleware.cache_control import PRIVATE, about_caches
from middleware.compression import VARY, coding_for
from middleware.errors import refusal_of
from services.errors import Unavailable

# Larger bodies are sent in pieces.
LARGE_BYTES, _PIECE_BYTES = 256 * 1024, 128 * 1024


# What they may take together, in one worker: clients that are slow hold them for long.
MOST_LARGE_BYTES = 128 * 1024 * 1024


class LargeBodies:
    """The large bodies that are being sent, up to so many bytes. One that is sent to many is there once."""

    def __init__(self, most: int = MOST_LARGE_BYTES) -> None:
        self._left = most
        self._receivers: Counter[int] = Counter()

    def take(self, body: Sized) -> bool:
        """Whether there is room for the body: then it is to be given back when it has been sent."""
        if not self._receivers[id(body)]:
            if len(body) > self._left:
                del self._receivers[id(body)]
                return False
            self._left -= len(body)
        self._receivers[id(body)] += 1
        return True

    def give_back(self, body: Sized) -> None:
        """Note that one of those to whom the body is sent has it."""
        self._receivers[id(body)] -= 1
        if not self._receivers[id(body)]:
            del self._receivers[id(body)]
            self._left += len(body)


_large = LargeBodies()


class ConditionalResponse(Response):
    """A response whose headers are taken as they are, because making them anew costs more than sending them."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
        self.background = None
        self.status_code, self.raw_headers, self.body = status, headers, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self.body) <= LARGE_BYTES:
            await self._send(scope, send)
        elif _large.take(self.body):
            try:
                await self._send(scope, send)
            finally:
                _large.give_back(self.body)
        else:
            refusal = Unavailable("Too many large answers are being sent, try again later")
            await refusal_of(refusal, scope)(scope, receive, send)

    async def _send(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # A client that takes its time is waited for after each piece, so that the server holds no copy of the whole.
        body = b"" if scope["method"] == "HEAD" else self.body
        start = 0
        while len(body) - start > LARGE_BYTES:
            piece = body[start : start + _PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            start += _PIECE_BYTES
        await send({"type": "http.response.body", "body": body[start:]})


async def conditional_response(
    scope: Scope, answer: RenderedResponse, hit: bool | None = None, *, cache_control: bytes = PRIVATE
) -> ConditionalResponse:
    """The response to the read of `scope`. `hit` says whether the cache had the answer; None where nothing is cached."""
    coding = coding_for(scope) if answer.varies else None
    more = about_caches(cache_control, hit)
    if answer.varies:
        more.append(VARY)
    if client_has(answer.etag, scope):
        return ConditionalResponse(304, answer.form_without_body(coding).headers_of_304 + more)
    form = await answer.make_form(coding)
    return ConditionalResponse(200, form.headers_of_200 + more, form.body)


def client_has(etag: str, scope: Scope) -> bool:
    """Whether the request says that the client holds the answer with this `etag`, in whatever coding."""
    held = memoize_on_headers(scope, _held)
    return etag in held or "*" in held


def _held(headers: Headers) -> Sequence[str]:
    given = [value for name, value in headers if name == b"if-none-match"]
    # Several lines are one list. The weak comparison of RFC 9110: a W/ in front does not matter here.
    tags = b",".join(given).decode("latin-1").split(",") if given else ()
    return [plain_tag(tag.strip().removeprefix("W/")) for tag in tags]
