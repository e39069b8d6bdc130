"""What is sent for a read: 200 with the answer, 304 when the client has it already, and no body for HEAD."""

from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from config.http_protocol import header_lines, writer_of
from services.answer import Answer

_HIT = (b"x-cache-hit", b"true")
_MISS = (b"x-cache-hit", b"false")
_HIT_LINE, _MISS_LINE = header_lines([_HIT]), header_lines([_MISS])


class ReadResponse(Response):
    """The response to the read of `scope`. `hit` says whether the cache had the answer; None where nothing is cached.

    It takes the headers of the answer as they are, because making them anew costs more than sending them.
    """

    def __init__(self, scope: Scope, answer: Answer, hit: bool | None = None) -> None:
        self.background = None
        self.raw_headers = list(answer.raw_headers)
        if hit is not None:
            self.raw_headers.append(_HIT if hit else _MISS)
        if _client_has(answer.etag, scope):
            self.status_code, self.body = 304, b""
            self.raw_headers = [header for header in self.raw_headers if header[0] != b"content-type"]
        else:
            self.status_code, self.body = 200, answer.body
            self.raw_headers.append((b"content-length", b"%d" % len(answer.body)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


def write_read(scope: Scope, answer: Answer, hit: bool | None, more: Iterable[tuple[bytes, bytes]]) -> bool:
    """Send the same with `more` headers in one piece, if the server can; whether it did.

    Sets `scope["shop.cache_hit"]`, since the headers are lines by then.
    """
    scope["shop.cache_hit"] = hit
    write = writer_of(scope)
    hit_line = b"" if hit is None else _HIT_LINE if hit else _MISS_LINE
    lines = hit_line + header_lines(more)
    if _client_has(answer.etag, scope):
        return write(304, answer.lines_of_304 + lines, b"")
    return write(200, answer.lines_of_200 + lines, b"" if scope["method"] == "HEAD" else answer.body)


def _client_has(etag: str, scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            # The weak comparison of RFC 9110: a W/ in front does not matter here.
            return any(tag in (etag, "*") for tag in _tags(value.decode("latin-1")))
    return False


def _tags(header: str) -> Iterable[str]:
    return (tag.strip().removeprefix("W/") for tag in header.split(","))
