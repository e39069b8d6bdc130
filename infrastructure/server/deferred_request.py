"""Requests without a task: the HTTP protocol offers them to the application before ASGI (`infrastructure.server.http_protocol`)."""

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, cast

from infrastructure.server.uvicorn_internals import Cycle, has_responded, respond

# Takes a request that is offered before ASGI; False if it does not take it.
EarlyHandler = Callable[["DeferredRequest"], bool]


class DeferredRequest:
    """A request without a task. It must be written or fall through, once, in a later turn of the event loop."""

    __slots__ = ("_cycle", "fall_through", "scope")

    def __init__(self, cycle: Cycle, fall_through: Callable[[], None]) -> None:
        self.scope = cast(MutableMapping[str, Any], cycle.scope)
        # Calls the application with the request, by ASGI.
        self.fall_through = fall_through
        self._cycle = cycle

    @property
    def is_answered(self) -> bool:
        """Whether a response has begun: then there can be no other."""
        return has_responded(self._cycle)

    def write(self, status: int, headers: Iterable[bytes], body: bytes) -> bool:
        """Send a whole response, with `headers` as lines. False, and nothing was sent, if the client is slow or gone."""
        return respond(self._cycle, status, headers, body)
