"""A server's end of a connection without a network: what is fed to it comes in just these pieces."""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from infrastructure.server.http_protocol import ShopProtocol
from infrastructure.server.request_heads import RequestHeads


class Pipe(asyncio.Transport):
    """A connection that keeps what is written, and hands on what comes in the pieces in which it is fed."""

    def __init__(self, client: str = "203.0.113.9") -> None:
        super().__init__({"peername": (client, 4711), "sockname": ("127.0.0.1", 80)})
        self.written = bytearray()
        self.writes = 0
        self.closing = self.aborted = False
        # What the client has not taken yet.
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self.writes += 1

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        """What is in the pieces comes all the same, as it would from a buffer."""

    def resume_reading(self) -> None:
        """It has never stopped."""


class Recorder:
    """Remembers what it was called with, bodies included, and answers with a few bytes."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, Any], bytes]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        # What the shop adds for itself is no matter of the application.
        self.seen.append(({name: value for name, value in scope.items() if not name.startswith("shop.")}, body))
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class Connection:
    """An application behind a protocol of its own, which has parsed nothing yet."""

    def __init__(
        self,
        kind: type[HttpToolsProtocol],
        client: str = "203.0.113.9",
        state: ServerState | None = None,
        around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
        **options: Any,
    ) -> None:
        self.app = Recorder()
        config = uvicorn.Config(self.app, http=kind, ws="none", lifespan="off", log_config=None, **options)
        config.load()
        # Nothing is around the application that would have to be told apart.
        config.loaded_app = around(self.app)
        self.pipe, self.state = Pipe(client), state or ServerState()
        self.protocol = kind(config, self.state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.pipe)

    async def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.pipe.closing:
                self.protocol.data_received(piece)
                for _ in range(20):
                    await asyncio.sleep(0)

    def end(self) -> None:
        self.protocol.connection_lost(None)


def forgetful() -> type[ShopProtocol]:
    """The protocol, with nothing learned from other tests."""
    return type("FreshProtocol", (ShopProtocol,), {"heads": RequestHeads(learn_every=1)})
