"""Server-sent events: a response without end, with each event as soon as it can be read."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from controllers.event_waits import client_of
from events.hub import EventHub
from events.reader import EventReader
from middleware.http_rules import asks_for_head
from middleware.request_context import note_waiting
from schemas.event import event_json
from services.errors import Unavailable
from services.event import FIELDS, Selection

MEDIA_TYPE = "text/event-stream"

# Proxies and clients give up a connection on which nothing comes.
COMMENT_SECONDS = 15.0
_COMMENT = b":\n\n"
# Until it is tried again to read from a database that is away.
_PAUSE_SECONDS = 1.0
# So many events are read and sent at a time: the memory of a slow reader.
_PAGE = 100
# What a client waits longer than a drain takes, before it comes again; up to a second more, so that not all come at once.
_RETRY_SECONDS = 1.0

_SEQUENCE, _TYPE = FIELDS.index("sequence"), FIELDS.index("type")


class EventStream(Response):
    """The events after the sequence `after`; None for those from now on.

    Between two events it holds no thread and no database connection. `may_go_on` says whether the caller may still
    read; it is asked before events are sent, and from time to time.
    """

    def __init__(
        self,
        hub: EventHub,
        reader: EventReader,
        selection: Selection,
        after: int | None,
        *,
        drain_seconds: float,
        may_go_on: Callable[[], Awaitable[bool]],
    ) -> None:
        self.background = None
        self._hub, self._reader, self._selection, self._after = hub, reader, selection, after
        self._may_go_on = may_go_on
        self._retry_seconds = drain_seconds + _RETRY_SECONDS + random.random()  # noqa: S311
        self.status_code = 200
        self.init_headers({"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.streams.taken():
            after = await self._reader.newest() if self._after is None else self._after
            started = time.monotonic()
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await _send(send, b"retry: %d\n\n" % (self._retry_seconds * 1000))
                if not asks_for_head(scope):
                    await self._stream(after, receive, send)
                await send({"type": "http.response.body", "body": b""})
            finally:
                note_waiting(scope, time.monotonic() - started)

    async def _stream(self, after: int, receive: Receive, send: Send) -> None:
        read, look_at = self._reader.read, time.monotonic() + COMMENT_SECONDS
        async with client_of(receive) as gone:
            while not (self._hub.is_draining or gone.done()):
                if time.monotonic() >= look_at:
                    if not await self._may_go_on():
                        return
                    await _send(send, _COMMENT)
                    look_at = time.monotonic() + COMMENT_SECONDS
                try:
                    page = await read(self._selection, after, _PAGE)
                except Unavailable:
                    # A browser would not come again to a response that is an error.
                    await asyncio.wait({gone}, timeout=_PAUSE_SECONDS)
                    continue
                read, after = self._reader.read_on, page.reached
                if page.rows:
                    if not await self._may_go_on():
                        return
                    await _send(send, b"".join(map(_frame, page.rows)))
                else:
                    await self._hub.wait(self._selection, after, look_at - time.monotonic(), gone)


async def _send(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


def _frame(row: Sequence[Any]) -> bytes:
    # A line break in JSON is always between two of its parts.
    data = event_json(FIELDS, row).replace(b"\r", b" ").replace(b"\n", b" ")
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (row[_SEQUENCE], row[_TYPE].encode(), data)
