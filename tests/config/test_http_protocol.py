"""Answers in one piece, as clients see them on the wire."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from config.http_protocol import HeldRequest, ShopProtocol, header_lines
from tests.middleware.asgi import served

pytestmark = [pytest.mark.anyio, pytest.mark.unit]

BODY = b"x" * 100_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Desk:
    """Takes every request and answers it in the next turn: in one piece where it can, else by messages."""

    def __init__(self) -> None:
        self.written: list[bool] = []
        self.takes = True

    def take(self, request: HeldRequest) -> bool:
        if self.takes:
            asyncio.get_running_loop().call_soon(self.answer, request)
        return self.takes

    def answer(self, request: HeldRequest) -> None:
        self.written.append(request.write(200, (header_lines(self.headers(request.scope)),), BODY))
        if not self.written[-1]:
            request.hand_on()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.headers(scope)})
        await send({"type": "http.response.body", "body": BODY})

    @staticmethod
    def headers(scope: Scope) -> list[tuple[bytes, bytes]]:
        return [(b"content-length", b"%d" % len(BODY)), (b"x-path", scope["raw_path"])]


@pytest.fixture
async def app() -> Desk:
    return Desk()


@pytest.fixture
async def wire(app: Desk) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with served(app, http=ShopProtocol) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        yield reader, writer
        writer.close()


async def answer_on(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    return head, await asyncio.wait_for(reader.readexactly(len(BODY)), 10)


async def test_it_is_a_whole_answer_and_the_connection_stays(
    app: Desk, wire: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    reader, writer = wire
    for path in (b"/a", b"/b"):
        writer.write(b"GET %b HTTP/1.1\r\nHost: shop\r\n\r\n" % path)
        head, body = await answer_on(reader)
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 200 OK"
        assert {b"content-length: %d" % len(BODY), b"x-path: %b" % path} < set(lines)
        assert sum(line.startswith(b"date: ") for line in lines) == 1
        assert b"connection: close" not in lines
        assert body == BODY
    assert app.written == [True, True]


@pytest.mark.parametrize(
    "request_head", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"]
)
async def test_a_client_that_wants_it_closed_has_it_closed(
    wire: tuple[asyncio.StreamReader, asyncio.StreamWriter], request_head: bytes
) -> None:
    reader, writer = wire
    writer.write(request_head)
    head, _ = await answer_on(reader)
    assert b"connection: close\r\n" in head
    assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_client_that_does_not_read_is_waited_for(
    app: Desk, wire: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    reader, writer = wire
    requests = 300
    writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n" * requests)
    # 30 MB are more than the kernel keeps: the server must stop at some point, and go on later.
    await asyncio.sleep(0.5)
    assert 0 < len(app.written) < requests
    assert False in app.written
    for _ in range(requests):
        assert (await answer_on(reader))[1] == BODY


async def test_what_is_not_taken_is_called_as_asgi_says(
    app: Desk, wire: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    app.takes = False
    reader, writer = wire
    writer.write(b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n")
    head, _ = await answer_on(reader)
    assert b"x-path: /a\r\n" in head
    assert app.written == []


async def test_nothing_is_written_to_a_client_that_has_gone(
    app: Desk, wire: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    taken: asyncio.Future[HeldRequest] = asyncio.get_running_loop().create_future()
    app.take = lambda request: taken.set_result(request) or True  # type: ignore[method-assign, func-returns-value]
    _, writer = wire
    writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    request = await asyncio.wait_for(taken, 10)
    writer.close()
    await asyncio.sleep(0.1)
    assert request.write(200, (), b"") is False
