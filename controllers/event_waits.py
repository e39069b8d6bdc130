"""Requests that wait for events: until there is one, the client goes, the time is over, or the worker drains."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.types import Receive

from controllers.policies import may_go_on
from events.hub import EventHub
from events.reader import EventReader
from middleware.http_rules import asks_for_head
from middleware.request_context import note_waiting
from schemas.event import EventQuery
from services.event import EventPage, Selection


@asynccontextmanager
async def client_of(receive: Receive) -> AsyncIterator[asyncio.Future[None]]:
    """A future that is done when the client has closed its connection."""
    gone = asyncio.ensure_future(_is_gone(receive))
    try:
        yield gone
    finally:
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)


async def _is_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def awaited_page(
    request: Request, hub: EventHub, reader: EventReader, selection: Selection, query: EventQuery
) -> EventPage:
    """The page for `query`; an empty one only after its time to wait, or to a caller who may not read any more meanwhile.

    Raises `Unavailable`.
    """
    page = await reader.read(selection, query.after, query.limit)
    if page.rows or not query.wait or asks_for_head(request.scope):
        return page
    started = time.monotonic()
    try:
        with hub.waits.taken():
            async with client_of(request.receive) as gone:
                until = started + float(query.wait)
                while not page.rows and await hub.wait(selection, page.reached, until - time.monotonic(), gone):
                    page = await reader.read_on(selection, page.reached, query.limit)
    finally:
        note_waiting(request.scope, time.monotonic() - started)
    return page if await may_go_on(request) else EventPage((), query.after)
