"""Refuses bodies that are too large, with or without Content-Length, before they are in memory; and bodies that are too slow.

How long a slow body may take is the server's decision (`infrastructure.server.connection_guard`).
"""

import asyncio
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.server.http_protocol import comes_too_slowly
from middleware.errors import problem

# A client may read the response only after it has sent its body, and loses it when the connection is closed with unread
# bytes. So the rest of the body is read and dropped, for at most this long.
_DISCARD_SECONDS = 5.0
_SILENCE_SECONDS = 1.0

# Longer numbers are beyond every limit, and `int` refuses very long texts.
_MOST_DIGITS = 18


class BodyTooLarge(HTTPException):
    """Raised when a body beyond the limit is read. Frameworks let an `HTTPException` pass."""

    def __init__(self) -> None:
        super().__init__(413)


class BodyLimit:
    """Answers 413 to a body of more than `limit_of(path)` bytes and closes its connection.

    What the application would answer to the incomplete body is dropped in favour of the 413.
    """

    def __init__(self, app: ASGIApp, *, limit_of: Callable[[str], int]) -> None:
        self.app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        lengths = {value for name, value in scope["headers"] if name == b"content-length"}
        if lengths:
            if len(lengths) > 1 or not all(length.isdigit() for length in lengths):
                await _refuse(scope, receive, send, 400, "The Content-Length header is not a number of bytes")
                return
            if _exceeds(lengths.pop(), limit):
                await _refuse_large(scope, receive, send, limit)
                return
        await self._count(scope, receive, send, limit)

    async def _count(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        received = 0
        answering = False

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            if message.get("more_body", False) and comes_too_slowly(scope):
                raise HTTPException(408, "The body of the request did not come in time")
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit and not answering:
                    raise BodyTooLarge
            return message

        async def send_unless_cut_off(message: Message) -> None:
            nonlocal answering
            if received <= limit or answering:
                answering = True
                await send(message)

        try:
            await self.app(scope, receive_counted, send_unless_cut_off)
        except Exception:
            # An error because of the incomplete body is no error of its own.
            if received <= limit or answering:
                raise
        if received > limit and not answering:
            await _refuse_large(scope, receive, send, limit)


def _exceeds(length: bytes, limit: int) -> bool:
    return len(length) > _MOST_DIGITS or int(length) > limit


async def _refuse_large(scope: Scope, receive: Receive, send: Send, limit: int) -> None:
    await _refuse(scope, receive, send, 413, f"The body is larger than {limit} bytes")


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, detail: str) -> None:
    response = problem(scope, status, detail, headers={"Connection": "close"})
    await send({"type": "http.response.start", "status": status, "headers": response.raw_headers})
    # The response is complete by its length, and sent; the server closes only after the last message.
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            await _discard(receive)
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    while True:
        async with asyncio.timeout(_SILENCE_SECONDS):
            message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
