"""What is sent for a read: 200 with the answer, 304 when the client has it already, and no body for HEAD."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from config.http_protocol import header_lines
from config.request_heads import Headers, said_of_headers
from services.answer import Answer

_HIT = (b"x-cache-hit", b"true")
_MISS = (b"x-cache-hit", b"false")
# The same as lines, for answers that are sent as lines.
HIT_LINE, MISS_LINE = header_lines([_HIT]), header_lines([_MISS])


class ReadResponse(Response):
    """The response to the read of `scope`. `hit` says whether the cache had the answer; None where nothing is cached.

    It takes the headers of the answer as they are, because making them anew costs more than sending them.
    """

    def __init__(self, scope: Scope, answer: Answer, hit: bool | None = None) -> None:
        self.background = None
        self.raw_headers = list(answer.raw_headers)
        if hit is not None:
            self.raw_headers.append(_HIT if hit else _MISS)
        if client_has(answer.etag, scope):
            self.status_code, self.body = 304, b""
            self.raw_headers = [header for header in self.raw_headers if header[0] != b"content-type"]
        else:
            self.status_code, self.body = 200, answer.body
            self.raw_headers.append((b"content-length", b"%d" % len(answer.body)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


def client_has(etag: str, scope: Scope) -> bool:
    """Whether the request says that the client holds the answer with this `etag`."""
    held = said_of_headers(scope, _held)
    return etag in held or "*" in held


def _held(headers: Headers) -> Sequence[str]:
    given = [value for name, value in headers if name == b"if-none-match"]
    # Several lines are one list. The weak comparison of RFC 9110: a W/ in front does not matter here.
    return [tag.strip().removeprefix("W/") for tag in b",".join(given).decode("latin-1").split(",")] if given else ()
