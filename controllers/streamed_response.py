"""Streamed response: a body too large for memory, made piece by piece, each when the client has read the one before."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infrastructure.server.media_types import JSON
from middleware.http_rules import asks_for_head
from services.errors import ShopError
from services.executor import Executor

log = logging.getLogger("shop.streamed")

P = TypeVar("P")

# Makes the piece at a place, and returns it with the place of the next one; None after the last.
NextPiece = Callable[[P], Awaitable[tuple[bytes, P | None]]]


class StreamedResponse(Response, Generic[P]):
    """A 200 whose body is made by `next_piece`, from the place `first` on.

    It has no entity tag, which would have to be known before the body. Between two pieces it holds no thread and no
    database connection. A failure before the first piece is a normal error response; later the response is cut off, and
    the client notices the missing end.
    """

    def __init__(self, executor: Executor, next_piece: NextPiece[P], first: P, headers: Mapping[str, str]) -> None:
        self.background = None
        self._executor, self._next_piece, self._first = executor, next_piece, first
        self.status_code = 200
        self.init_headers({"Content-Type": JSON, **headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._executor.streaming_slot():
            piece, place = await self._next_piece(self._first)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            client = Request(scope, receive)
            while place is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if asks_for_head(scope):
                    # The middleware needs the first piece for the headers of GET; it is not sent.
                    piece = b""
                    break
                if await client.is_disconnected():
                    return
                try:
                    piece, place = await self._next_piece(place)
                except ShopError as error:
                    # The server closes the connection of an incomplete response.
                    log.warning("A streamed response was cut off: %s", error.code)
                    return
            await send({"type": "http.response.body", "body": piece})
