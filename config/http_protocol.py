"""uvicorn's HTTP protocol, with a way past ASGI for requests that are answered without waiting for anybody.

An ASGI request costs a task, and an answer of two messages, whose every header is checked, copied and joined anew. An
application that has a method `take` is offered every request first, as a `HeldRequest`. It may answer it later in one
piece, and many of them in one step of the event loop; what it does not take is called as ASGI says.
"""

import asyncio
from collections.abc import Callable, Iterable, MutableMapping
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

Take = Callable[["HeldRequest"], bool]


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they travel. Nothing is checked: names and values must be of the shop's own making."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class HeldRequest:
    """A request that no task was made for. It must be written or handed on, once, in a later turn of the event loop."""

    __slots__ = ("_cycle", "hand_on", "scope")

    def __init__(self, cycle: RequestResponseCycle, hand_on: Callable[[], None]) -> None:
        self.scope = cast(MutableMapping[str, Any], cycle.scope)
        # Has the application called with the request, as ASGI says.
        self.hand_on = hand_on
        self._cycle = cycle

    def write(self, status: int, headers: Iterable[bytes], body: bytes) -> bool:
        """Send a whole answer, whose `headers` are lines. False, and nothing was sent, where the client must be waited for."""
        cycle = self._cycle
        if cycle.disconnected or cycle.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        date = header_lines(cycle.default_headers)
        transport: asyncio.Transport = cycle.transport
        transport.write(b"".join((STATUS_LINE[status], date, *headers, close, b"\r\n", body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            transport.close()
        cycle.on_response()
        return True


class ShopProtocol(HttpToolsProtocol):
    """`HttpToolsProtocol` that offers every request to the application's `take` first."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        hand_on = partial(super()._start_asgi_task, cycle, app)
        # What answers for a server that is too busy has none.
        take: Take | None = getattr(app, "take", None)
        if take is None or not take(HeldRequest(cycle, hand_on)):
            hand_on()
