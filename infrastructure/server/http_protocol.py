"""uvicorn's HTTP protocol, with a way past ASGI for requests that are answered without waiting for anybody.

An ASGI request costs a task, and an answer of two messages, whose every header is checked, copied and joined anew. An
application that has a method `handle_early` is offered every request first, as a `DeferredRequest`. It may answer it later in one
piece, and many of them in one step of the event loop; what it does not take is called as ASGI says.

What the parser made of a request without a body is remembered (`infrastructure.server.request_heads`), because clients send the same
few over and over.
"""

import asyncio
from collections.abc import Mapping, MutableMapping, Sized
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from infrastructure.server.close_delimited import CloseDelimited
from infrastructure.server.connection_guard import Awaited, ConnectionGuard, Wait, unsent_bytes
from infrastructure.server.deferred_request import DeferredRequest, EarlyHandler, default_lines
from infrastructure.server.header_lines import header_lines
from infrastructure.server.problem_response import problem_bytes
from infrastructure.server.request_heads import RequestHeads

_TOO_SLOW = "shop.too_slow"

# So many bytes of a request may come in pieces without its body: of its head, or of what follows its last chunk.
LONGEST_HEAD = 65_536

# So much is parsed at once, and no more while so many requests of a connection wait for their turn.
_PIECE, _MOST_WAITING = 8192, 32


def comes_too_slowly(scope: Mapping[str, Any]) -> bool:
    """Whether the server has waited for the body of this request for long enough: whoever reads it shall answer 408."""
    return _TOO_SLOW in scope.get("state", ())


class PatientFlow(FlowControl):
    """Reads no more from a connection while something of what came is `waiting`: each answer would let thousands in."""

    def __init__(self, transport: asyncio.Transport, *waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not any(self._waiting):
            super().resume_reading()


class ShopProtocol(HttpToolsProtocol):
    """`HttpToolsProtocol` that parses no head twice, and offers every request to the application's `handle_early` first."""

    # A head means the same on every connection of the process.
    heads = RequestHeads()
    # Looks after the connections of the process, if it has one.
    guard: ConnectionGuard | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # What came behind so many requests that wait, and was not looked at yet.
        self._unparsed = bytearray()
        self.flow = PatientFlow(transport, self.pipeline, self._unparsed)
        self.wait = Wait()
        # Bytes of requests that were parsed; those of heads that were known need no counting.
        self._received = 0
        # When the last answer left, as long as no more has come since.
        self._quiet_since: float | None = None
        # Whether the parser has seen the end of all that it has seen the beginning of.
        self._between_messages = True
        # What has come since the beginning of the request, or since the last of its body.
        self._head_bytes = 0
        # The request that is being answered. `cycle` is the newest one, which may still wait behind it.
        self._answered: RequestResponseCycle | None = None
        if self.guard is not None:
            self.guard.add(self, self.limit_concurrency, self.loop)

    def data_received(self, data: bytes) -> None:
        head = None
        if self._between_messages and not self._unparsed and not self._is_crowded():
            head = self.heads.find(data)
        if head is None:
            if len(data) <= _PIECE and not self._unparsed:
                self._parse(data)
            else:
                self._unparsed += data
                self._parse_some()
        else:
            self._unset_keepalive_if_required()
            self._begin(head)

    def _parse_some(self) -> None:
        """Parse what came, as far as not too many requests wait for their turn.

        One reading may hold ten thousand of the shortest, and each takes a hundred times as much when it is parsed.
        """
        parsed = 0
        while parsed < len(self._unparsed) and len(self.pipeline) < _MOST_WAITING and not self.transport.is_closing():
            self._parse(bytes(self._unparsed[parsed : parsed + _PIECE]))
            parsed += _PIECE
        del self._unparsed[: len(self._unparsed) if self.transport.is_closing() else parsed]
        if self._unparsed:
            self.flow.pause_reading()

    def _is_crowded(self) -> bool:
        """Whether there are so many connections or requests that uvicorn refuses more."""
        limit = self.limit_concurrency
        return limit is not None and (len(self.connections) >= limit or len(self.tasks) >= limit)

    def _parse(self, data: bytes) -> None:
        is_beginning, earlier = self._between_messages, self.scope
        self._head_bytes += len(data)
        self._received += len(data)
        super().data_received(data)
        if is_beginning and self._between_messages and self.scope is not earlier:
            self.heads.learn(data, cast(MutableMapping[str, Any], self.scope))
        # The parser itself keeps whatever comes.
        if not self._between_messages and self._head_bytes > LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        self._between_messages = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._between_messages = True
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        super()._unsupported_upgrade_warning()
        # The parser has left out the body that the request may have, and would take it for the next request.
        self.cycle.keep_alive = False

    def _begin(self, head: dict[str, Any]) -> None:
        """Go on as if the parser had just read the whole of a request with this head."""
        super().on_message_begin()
        cast(MutableMapping[str, Any], self.scope).update(head)
        earlier = self.cycle
        self.cycle = RequestResponseCycle(
            scope=self.scope,
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

    # One timer for a connection, which is neither set nor taken back for every request: it looks when it rings.

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self._unparsed:
            self._parse_some()
            self.flow.resume_reading()
            if not self.cycle.response_complete:
                return
        self._quiet_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_after(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._quiet_since is None:
            return
        left = self._quiet_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_after(left)
        else:
            super().timeout_keep_alive_handler()

    def _look_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        self._quiet_since = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.guard is not None:
            self.guard.remove(self)
        super().connection_lost(exc)
        super()._unset_keepalive_if_required()
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        called: Any = CloseDelimited(app, cycle) if cycle.scope["http_version"] == "1.0" else app
        fall_through = partial(super()._start_asgi_task, cycle, called)
        # What answers for a server that is too busy has none.
        handle_early: EarlyHandler | None = getattr(app, "handle_early", None)
        if handle_early is None or not handle_early(DeferredRequest(cycle, fall_through)):
            fall_through()

    # What the guard asks and tells.

    @property
    def peer(self) -> str | None:
        return (self.client[0] or None) if self.client else None

    def has_sent_a_head(self) -> bool:
        return self.cycle is not None

    def awaits(self) -> tuple[Awaited, object, int] | None:
        if self.transport.is_closing() or self.flow.write_paused:
            return Awaited.RESPONSE, Awaited.RESPONSE, unsent_bytes(self.transport)
        if self.flow.read_paused:
            return None
        if self.cycle is None or self.cycle.scope is not self.scope:
            # Of a request before it, the client may well want the answer first.
            is_served = self._answered is None or self._answered.response_complete
            return (Awaited.HEAD, self.scope, 0) if is_served else None
        if not self._between_messages:
            return None if self.cycle.waiting_for_100_continue else (Awaited.BODY, self.cycle, self._received)
        # Nothing has begun, but the client has said something: line ends, which may stand between requests.
        is_idle = self.cycle.response_complete and self._quiet_since is None
        return (Awaited.HEAD, None, 0) if is_idle else None

    def refuse(self) -> None:
        detail = "Too many connections are open from this address"
        self._refuse(503, detail, header_lines([(b"retry-after", b"1")]))

    def give_up(self, awaited: Awaited) -> bool:
        if awaited is Awaited.RESPONSE:
            self.transport.abort()
        elif awaited is Awaited.BODY and not self.cycle.response_started and not comes_too_slowly(self.cycle.scope):
            # The application has its own words for it. What it reads next is nothing, and then it sees this mark,
            # which copies of the scope have too.
            self.cycle.scope["state"][_TOO_SLOW] = True
            self.cycle.keep_alive = False
            self.cycle.message_event.set()
            return False
        elif self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope):
            self._refuse(408, "The head of the request did not come in time")
        else:
            self.transport.close()
        return True

    def _refuse(self, status: int, detail: str, more: bytes = b"") -> None:
        """Answer a connection of which no request is known, and close it."""
        date = default_lines(self.server_state.default_headers)
        self.transport.write(problem_bytes(status, detail, date + more))
        self.transport.close()


def guarded(guard: ConnectionGuard) -> type[ShopProtocol]:
    """The protocol, with `guard` looking after its connections."""
    return type("GuardedProtocol", (ShopProtocol,), {"guard": guard})
