"""Adapter: all that the shop uses of uvicorn's inside, which another version of uvicorn may change without notice.

Other modules import `uvicorn.Config` and `uvicorn.Server` only, which its documentation names. Each part that is used here
is named in `tests/infrastructure/server/test_uvicorn_internals.py`, which fails by that name when uvicorn changes it.
"""

import asyncio
import sys
from collections.abc import Iterable, MutableMapping, Sized
from typing import Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.supervisors.statreload import StatReload as StatReload

from infrastructure.server.connection_guard import Awaited, unsent_bytes
from infrastructure.server.header_lines import LatestLines
from infrastructure.server.request_parser import RequestParser

# A request and its response.
Cycle = RequestResponseCycle

# So many bytes of a request may come without its body: of its head, or of what follows its last chunk. A token of 100 KB is
# still a bad token, and no bad request.
LONGEST_HEAD = 131_072
# So much is parsed at once, and no more while so many requests of a connection wait for their turn.
_PIECE, _MOST_WAITING = 8192, 32


class _PatientFlow(FlowControl):
    """Reads no more from a connection while something of what came is `waiting`: each response would let thousands in."""

    def __init__(self, transport: asyncio.Transport, *waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not any(self._waiting):
            super().resume_reading()


class UvicornConnection(HttpToolsProtocol):
    """One connection, as uvicorn serves it, with bounds on what a client may send at once and one timer for idle time.

    A subclass says in `serve` what happens to a request. It uses the methods and attributes of this class without an
    underscore, and `transport`, `loop`, `app`, `limit_concurrency`.
    """

    # The scope of the newest request, which may still be incomplete.
    scope: MutableMapping[str, Any]  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.parser: Any = RequestParser(self)
        # What came behind so many requests that wait, and was not parsed yet.
        self.unparsed = bytearray()
        self.flow = _PatientFlow(transport, self.pipeline, self.unparsed)
        # Whether the parser has seen the end of all that it has seen the beginning of.
        self.is_between_requests = True
        # Bytes of requests that were parsed.
        self._received = 0
        # What has come since the beginning of the request, or since the last of its body.
        self._head_bytes = 0
        # When the last response left, as long as no more has come since.
        self._idle_since: float | None = None
        # The request that is being served. `cycle` is the newest one, which may still wait behind it.
        self._served: Cycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        super()._unset_keepalive_if_required()
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()

    # What comes in.

    def data_received(self, data: bytes) -> None:
        if len(data) <= _PIECE and not self.unparsed:
            self.parse(data)
        else:
            self.unparsed += data
            self._parse_some()

    def _parse_some(self) -> None:
        """Parse what came, as far as not too many requests wait for their turn.

        One reading may hold ten thousand of the shortest, and each takes a hundred times as much when it is parsed.
        """
        parsed = 0
        while parsed < len(self.unparsed) and len(self.pipeline) < _MOST_WAITING and not self.transport.is_closing():
            self.parse(bytes(self.unparsed[parsed : parsed + _PIECE]))
            parsed += _PIECE
        del self.unparsed[: len(self.unparsed) if self.transport.is_closing() else parsed]
        if self.unparsed:
            self.flow.pause_reading()

    def parse(self, data: bytes) -> None:
        """Parse one piece, and serve the requests whose heads end in it."""
        self._head_bytes += len(data)
        self._received += len(data)
        super().data_received(data)
        # The parser itself keeps whatever comes.
        if not self.is_between_requests and self._head_bytes > LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        self.is_between_requests = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        # Behind an offer the body is still to come.
        if not self.parser.has_offer():
            self.is_between_requests = True
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        # A CONNECT has no body, and what follows is meant for another server.
        self.is_between_requests, self.cycle.keep_alive = True, False
        super().on_message_complete()

    def is_crowded(self) -> bool:
        """Whether there are so many connections or requests that uvicorn refuses more."""
        limit = self.limit_concurrency
        return limit is not None and (len(self.connections) >= limit or len(self.tasks) >= limit)

    # What is served.

    def begin(self, head: dict[str, Any]) -> None:
        """Go on as if the parser had just read the whole of a request with this head."""
        self._idle_since = None
        super().on_message_begin()
        self.scope.update(head)
        earlier = self.cycle
        self.cycle = Cycle(
            scope=cast(Any, self.scope),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        self.cycle.more_body = False
        self.cycle.message_event.set()
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: Cycle, app: Any) -> None:
        self._served = cycle
        self.serve(cycle, app)

    def serve(self, cycle: Cycle, app: Any) -> None:
        """Have `app` respond to the request of `cycle`: by itself, or with `call`."""
        self.call(cycle, app)

    def call(self, cycle: Cycle, app: Any) -> None:
        """Call `app` as ASGI says, in a task."""
        super()._start_asgi_task(cycle, app)

    # One timer for a connection, which is neither set nor canceled for every request: it looks when it rings.

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self.unparsed:
            self._parse_some()
            self.flow.resume_reading()
            if not self.cycle.response_complete:
                return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_after(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_after(left)
        else:
            super().timeout_keep_alive_handler()

    def _look_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    # What is waited for.

    @property
    def peer(self) -> str | None:
        """The address of the client; None for one that has none, as through a Unix socket."""
        return (self.client[0] or None) if self.client else None

    def has_sent_a_head(self) -> bool:
        return self.cycle is not None

    def is_reading_a_head(self) -> bool:
        """Whether a head has begun and not come to its end."""
        return self.scope is not None and not self._is_newest_head_complete()

    def _is_newest_head_complete(self) -> bool:
        return self.cycle is not None and self.cycle.scope is self.scope

    def awaits(self) -> tuple[Awaited, object, int] | None:
        """What the server waits for, of which request or response, and a number of bytes that changes with the progress."""
        if self.transport.is_closing() or self.flow.write_paused:
            return Awaited.RESPONSE, Awaited.RESPONSE, unsent_bytes(self.transport)
        if self.flow.read_paused:
            return None
        if not self._is_newest_head_complete():
            # Of a request before it, the client may well want the response first.
            is_served = self._served is None or self._served.response_complete
            return (Awaited.HEAD, self.scope, 0) if is_served else None
        if not self.is_between_requests:
            return None if self.cycle.waiting_for_100_continue else (Awaited.BODY, self.cycle, self._received)
        # Nothing has begun, but the client has said something: line ends, which may stand between requests.
        is_idle = self.cycle.response_complete and self._idle_since is None
        return (Awaited.HEAD, None, 0) if is_idle else None

    def end_body(self, mark: str) -> bool:
        """Have the application read nothing more of the newest body, and then see `mark` in the state of its scope.

        False if it has begun its response, or has the mark.
        """
        state = self.cycle.scope["state"]
        if self.cycle.response_started or mark in state:
            return False
        state[mark] = True
        self.cycle.keep_alive = False
        self.cycle.message_event.set()
        return True

    def default_lines(self) -> bytes:
        """The headers of every response, as lines."""
        return _default_lines(self.server_state.default_headers)


# uvicorn makes a new list of the headers of every response once a second, for the date.
_default_lines = LatestLines()


def respond(cycle: Cycle, status: int, headers: Iterable[bytes], body: bytes) -> bool:
    """Send a whole response, whose `headers` are lines. False, and nothing was sent, where the client must be waited for."""
    if cycle.disconnected or cycle.flow.write_paused:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    close = b"" if cycle.keep_alive else b"connection: close\r\n"
    date = _default_lines(cycle.default_headers)
    cycle.transport.write(b"".join((STATUS_LINE[status], date, *headers, close, b"\r\n", body)))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


def has_responded(cycle: Cycle) -> bool:
    """Whether a response has begun: then there can be no other."""
    return cycle.response_started


def end_with_connection(cycle: Cycle) -> None:
    """Have the end of the connection end the body of the response: neither its length nor chunks tell where that is."""
    cycle.keep_alive = cycle.chunked_encoding = False
    cycle.expected_content_length = sys.maxsize


def expect_rest(cycle: Cycle, length: int) -> None:
    """What is sent next is the rest of the body, of `length` bytes: uvicorn counts."""
    cycle.expected_content_length = length
