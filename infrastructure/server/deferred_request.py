"""Requests that are answered without a task: an application is offered them before ASGI (see `infrastructure.server.http_protocol`)."""

import asyncio
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from infrastructure.server.header_lines import header_lines

# What an application does with a request that it is offered; False where it does not take it.
EarlyHandler = Callable[["DeferredRequest"], bool]


class _DefaultLines:
    """What uvicorn adds to every answer, as lines. It makes a new list of headers once a second, for the date."""

    def __init__(self) -> None:
        self._headers: object = None
        self._lines = b""

    def __call__(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        if headers is not self._headers:
            self._headers, self._lines = headers, header_lines(headers)
        return self._lines


default_lines = _DefaultLines()


class DeferredRequest:
    """A request that no task was made for. It must be written or handed on, once, in a later turn of the event loop."""

    __slots__ = ("_cycle", "fall_through", "scope")

    def __init__(self, cycle: RequestResponseCycle, fall_through: Callable[[], None]) -> None:
        self.scope = cast(MutableMapping[str, Any], cycle.scope)
        # Has the application called with the request, as ASGI says.
        self.fall_through = fall_through
        self._cycle = cycle

    @property
    def is_answered(self) -> bool:
        """Whether an answer has begun: then there can be no other."""
        return bool(self._cycle.response_started)

    def write(self, status: int, headers: Iterable[bytes], body: bytes) -> bool:
        """Send a whole answer, whose `headers` are lines. False, and nothing was sent, where the client must be waited for."""
        cycle = self._cycle
        if cycle.disconnected or cycle.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        date = default_lines(cycle.default_headers)
        transport: asyncio.Transport = cycle.transport
        transport.write(b"".join((STATUS_LINE[status], date, *headers, close, b"\r\n", body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            transport.close()
        cycle.on_response()
        return True
