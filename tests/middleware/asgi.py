"""A small application to put layers around, a client that calls it, and a server that serves it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Echo:
    """Answers 200 with the method and path it was called with, and remembers every scope."""

    def __init__(self, content_type: bytes = b"application/json", status: int = 200) -> None:
        self.content_type, self.status = content_type, status
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        body = f"{scope['method']} {scope['path']}".encode()
        headers = [(b"content-type", self.content_type), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def client_of(app: ASGIApp, address: str = "203.0.113.9") -> httpx.AsyncClient:
    """A client that calls `app` from `address` without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 4711)), base_url="http://shop")


def scope_of(method: str = "GET", path: str = "/", **more: object) -> Scope:
    """The scope of a request as a server makes it, to be changed where a client library would not go."""
    return {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "headers": [(b"host", b"shop")],
        "client": ("203.0.113.9", 4711), "server": ("shop", 80), **more,
    }  # fmt: skip


async def call(app: ASGIApp, scope: Scope, *messages: Message) -> list[Message]:
    """What `app` sends for `scope`, when it is sent `messages`."""
    sent: list[Message] = []
    incoming = list(messages)

    async def receive() -> Message:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


@asynccontextmanager
async def served(app: ASGIApp, http: str | type[asyncio.Protocol] = "httptools") -> AsyncIterator[tuple[str, int]]:
    """`app` behind uvicorn on a free port of the loopback address: its host and port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=http, lifespan="off", log_config=None, access_log=False, proxy_headers=False)
        server = uvicorn.Server(config)
        # Not `serve`, which would take over the signals of the process that runs the tests.
        task = asyncio.ensure_future(server._serve([listener]))
        # The socket listens before the server is up, and whoever connects until then waits a little.
        listener.listen()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            await task
