"""Compresses responses that are not compressed yet, and drops the bodies of HEAD.

Reads come compressed (`middleware.conditional_response`), because their compressed forms are cached with them. This layer
compresses everything else: errors, responses to writes, metrics. Each coding has an entity tag of its own, and whatever
could be compressed has `Vary: Accept-Encoding`.
"""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.server.content_coding import (
    SMALL_BYTES,
    Compressor,
    accepted_coding,
    compressed,
    compressed_piece,
    compressor,
    is_text,
    tag_in,
)
from infrastructure.server.request_heads import Headers, memoize_on_headers

VARY = (b"vary", b"Accept-Encoding")

_WITHOUT_BODY = frozenset((204, 205, 304))


def coding_for(scope: Mapping[str, Any]) -> str | None:
    """The content coding for the client of this request; None for none."""
    return memoize_on_headers(scope, _accepted)


def _accepted(headers: Headers) -> str | None:
    return accepted_coding([value.decode("latin-1") for name, value in headers if name == b"accept-encoding"])


class Compression:
    """Compresses the responses of `app`, whose response to HEAD must be that to GET."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send = _CodedSend(send, coding_for(scope), is_head=scope["method"] == "HEAD")
        await self.app(scope, receive, send)


class _CodedSend:
    """Sends one response in `coding`, if that pays. Its head waits for the first piece of its body, which decides."""

    def __init__(self, send: Send, coding: str | None, *, is_head: bool) -> None:
        self._send, self._coding, self._is_head = send, coding, is_head
        self._start: Message | None = None
        # For a body in pieces.
        self._compressor: Compressor | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            await self._send(message)

    async def _send_body(self, body: bytes, more: bool) -> None:
        start, self._start = self._start, None
        if start is not None:
            body = await self._begin(start, body, more)
        elif self._compressor is not None:
            body = await compressed_piece(self._compressor, body, not more)
        await self._send({"type": "http.response.body", "body": b"" if self._is_head else body, "more_body": more})

    async def _begin(self, start: Message, body: bytes, more: bool) -> bytes:
        """Send the head, and return the first piece of the body in its coding."""
        start.setdefault("headers", [])
        headers = MutableHeaders(scope=start)
        if _is_worth_it(start["status"], headers, len(body), more):
            headers.add_vary_header("Accept-Encoding")
            if self._coding is not None:
                body = await self._coded(self._coding, headers, body, more)
        await self._send(start)
        return body

    async def _coded(self, coding: str, headers: MutableHeaders, body: bytes, more: bool) -> bytes:
        headers["Content-Encoding"] = coding
        if "etag" in headers:
            headers["ETag"] = tag_in(coding, headers["etag"])
        if more:
            del headers["content-length"]
            self._compressor = compressor(coding)
            return await compressed_piece(self._compressor, body, False)
        body = await compressed(body, coding)
        headers["Content-Length"] = str(len(body))
        return body


def _is_worth_it(status: int, headers: MutableHeaders, size: int, more: bool) -> bool:
    """Whether the response is compressed for clients that accept it, and was not treated by a layer within."""
    return (
        (more or size > SMALL_BYTES)
        and status not in _WITHOUT_BODY
        and "content-encoding" not in headers
        and "accept-encoding" not in headers.get("vary", "").lower()
        and is_text(headers.get("content-type", ""))
    )
