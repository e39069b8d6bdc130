"""uvicorn's HTTP protocol, with one more way to answer: a whole answer in one piece.

An answer of the ASGI kind is two messages, whose every header is checked, copied and joined anew. An application
that knows its headers finds a `WriteWhole` in `scope["extensions"]["shop.whole_answer"]` and saves a third of what
a cached read costs. Servers and test clients that do not have it are answered by messages.
"""

import asyncio
from collections.abc import Callable, Iterable, MutableMapping
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

# (status, header lines, body) → whether it was written; if not, nothing was, and messages will do.
WriteWhole = Callable[[int, bytes, bytes], bool]

_EXTENSION = "shop.whole_answer"


def writer_of(scope: MutableMapping[str, Any]) -> WriteWhole:
    """The way to answer the request of `scope` in one piece; one that never does where there is none."""
    writer: WriteWhole = scope.get("extensions", {}).get(_EXTENSION, by_messages_only)
    return writer


def set_writer(scope: MutableMapping[str, Any], writer: WriteWhole) -> None:
    """Have the layers inside answer by `writer`."""
    scope.setdefault("extensions", {})[_EXTENSION] = writer


def by_messages_only(status: int, headers: bytes, body: bytes) -> bool:
    """The `WriteWhole` that writes nothing."""
    return False


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they travel. Nothing is checked: names and values must be of the shop's own making."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class ShopProtocol(HttpToolsProtocol):
    """`HttpToolsProtocol` whose requests can be answered in one piece."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        set_writer(cast(MutableMapping[str, Any], cycle.scope), partial(_write, cycle, cycle.transport))
        super()._start_asgi_task(cycle, app)


def _write(cycle: RequestResponseCycle, transport: asyncio.Transport, status: int, headers: bytes, body: bytes) -> bool:
    # A client that does not read must be waited for, which only messages can.
    if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
        return False
    cycle.response_started = cycle.response_complete = True
    close = b"" if cycle.keep_alive else b"connection: close\r\n"
    transport.write(b"".join((STATUS_LINE[status], header_lines(cycle.default_headers), headers, close, b"\r\n", body)))
    cycle.message_event.set()
    if not cycle.keep_alive:
        transport.close()
    cycle.on_response()
    return True
