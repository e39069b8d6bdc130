"""Whole responses: head and body go out in one write, where the body is one message.

uvicorn writes the head by itself, and then the body: two calls of the system, and for the client two readings.
"""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.server.header_lines import header_lines
from infrastructure.server.uvicorn_internals import Cycle, respond

_NO_BODY = frozenset((204, 304))
# What may be in the lines: uvicorn refuses the same, header by header.
_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9a-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")
# uvicorn does more about these than to send them.
_HOP_BY_HOP = frozenset((b"connection", b"transfer-encoding"))


class WholeResponse:
    """Calls `app` for the request of `cycle`. What is no whole response in one message is sent by uvicorn."""

    def __init__(self, app: ASGIApp, cycle: Cycle) -> None:
        self._app, self._cycle = app, cycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None

        async def send_whole(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and start is None:
                start = message
                return
            if start is not None:
                head, start = start, None
                if self._respond(scope, head, message):
                    return
                await send(head)
            await send(message)

        await self._app(scope, receive, send_whole)

    def _respond(self, scope: Scope, head: Message, message: Message) -> bool:
        """Send both, if that is the whole response; False, and nothing was sent, if uvicorn has to."""
        status, headers, body = head["status"], head.get("headers", ()), message.get("body", b"")
        if message["type"] != "http.response.body" or message.get("more_body", False):
            return False
        names = dict(headers)
        if not _HOP_BY_HOP.isdisjoint(names):
            return False
        is_head = scope["method"] == "HEAD"
        length = names.get(b"content-length")
        if length != b"%d" % len(body) and not (is_head if length is not None else status in _NO_BODY and not body):
            return False
        lines = header_lines(headers)
        # One line each: a value with the end of a line in it would be two.
        if lines.count(b"\n") != len(headers) or _LINES.fullmatch(lines) is None:
            return False
        return respond(self._cycle, status, (lines,), b"" if is_head else body)
