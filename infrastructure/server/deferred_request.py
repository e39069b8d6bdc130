"""Requests that are answered without a task: an application is offered them before ASGI (see `infrastructure.server.http_protocol`)."""

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, cast

from infrastructure.server.uvicorn_internals import Cycle, has_responded, respond

# What an application does with a request that it is offered; False where it does not take it.
EarlyHandler = Callable[["DeferredRequest"], bool]


class DeferredRequest:
    """A request that no task was made for. It must be written or handed on, once, in a later turn of the event loop."""

    __slots__ = ("_cycle", "fall_through", "scope")

    def __init__(self, cycle: Cycle, fall_through: Callable[[], None]) -> None:
        self.scope = cast(MutableMapping[str, Any], cycle.scope)
        # Has the application called with the request, as ASGI says.
        self.fall_through = fall_through
        self._cycle = cycle

    @property
    def is_answered(self) -> bool:
        """Whether an answer has begun: then there can be no other."""
        return has_responded(self._cycle)

    def write(self, status: int, headers: Iterable[bytes], body: bytes) -> bool:
        """Send a whole answer, whose `headers` are lines. False, and nothing was sent, where the client must be waited for."""
        return respond(self._cycle, status, headers, body)
