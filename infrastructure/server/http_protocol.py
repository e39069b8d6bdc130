"""The HTTP protocol of the shop: uvicorn's, with a way past ASGI for requests that are answered without waiting for anybody.

An ASGI request costs a task, and an answer of two messages, whose every header is checked, copied and joined anew. An
application that has a method `handle_early` is offered every request first, as a `DeferredRequest`. It may answer it later in one
piece, and many of them in one step of the event loop; what it does not take is called as ASGI says.

What the parser made of a request without a body is remembered (`infrastructure.server.request_heads`), because clients send the same
few over and over.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from infrastructure.server.close_delimited import CloseDelimited
from infrastructure.server.connection_guard import Awaited, ConnectionGuard, Wait
from infrastructure.server.deferred_request import DeferredRequest, EarlyHandler
from infrastructure.server.header_lines import header_lines
from infrastructure.server.problem_response import problem_bytes
from infrastructure.server.request_heads import RequestHeads
from infrastructure.server.uvicorn_internals import Cycle, UvicornConnection
from infrastructure.server.whole_response import WholeResponse

_TOO_SLOW = "shop.too_slow"


def comes_too_slowly(scope: Mapping[str, Any]) -> bool:
    """Whether the server has waited for the body of this request for long enough: whoever reads it shall answer 408."""
    return _TOO_SLOW in scope.get("state", ())


class ShopProtocol(UvicornConnection):
    """A connection that parses no head twice, and offers every request to the application's `handle_early` first."""

    # A head means the same on every connection of the process, except below a root path, which is part of its path.
    heads = RequestHeads()
    # Looks after the connections of the process, if it has one.
    guard: ConnectionGuard | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.wait = Wait()
        if self.guard is not None:
            self.guard.add(self, self.limit_concurrency, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.guard is not None:
            self.guard.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        head = None
        if self.is_between_requests and not self.unparsed and not self.root_path and not self.is_crowded():
            head = self.heads.find(data)
        if head is None:
            super().data_received(data)
        else:
            self.begin(head)

    def parse(self, data: bytes) -> None:
        is_beginning, earlier = self.is_between_requests, self.scope
        super().parse(data)
        if is_beginning and self.is_between_requests and not self.root_path and self.scope is not earlier:
            self.heads.learn(data, self.scope)

    def serve(self, cycle: Cycle, app: Any) -> None:
        called: Any = (CloseDelimited if cycle.scope["http_version"] == "1.0" else WholeResponse)(app, cycle)
        fall_through = partial(self.call, cycle, called)
        # What answers for a server that is too busy has none.
        handle_early: EarlyHandler | None = getattr(app, "handle_early", None)
        if handle_early is None or not handle_early(DeferredRequest(cycle, fall_through)):
            fall_through()

    def shutdown(self) -> None:
        # What waits for something to happen would keep the server from stopping.
        end_waits: Callable[[], None] | None = getattr(self.app, "end_waits", None)
        if end_waits is not None:
            end_waits()
        super().shutdown()

    # What the guard tells.

    def refuse(self) -> None:
        detail = "Too many connections are open from this address"
        self._refuse(503, detail, header_lines([(b"retry-after", b"1")]))

    def give_up(self, awaited: Awaited) -> bool:
        if awaited is Awaited.RESPONSE:
            self.transport.abort()
        # The application has its own words for it, and sees the mark even in copies of the scope.
        elif awaited is Awaited.BODY and self.end_body(_TOO_SLOW):
            return False
        elif self.is_reading_a_head():
            self._refuse(408, "The head of the request did not come in time")
        else:
            self.transport.close()
        return True

    def _refuse(self, status: int, detail: str, more: bytes = b"") -> None:
        """Answer a connection of which no request is known, and close it."""
        self.transport.write(problem_bytes(status, detail, self.default_lines() + more))
        self.transport.close()


def guarded(guard: ConnectionGuard) -> type[ShopProtocol]:
    """The protocol, with `guard` looking after its connections."""
    return type("GuardedProtocol", (ShopProtocol,), {"guard": guard})
