"""Answers in one piece, as clients see them on the wire."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from config.http_protocol import ShopProtocol, header_lines, writer_of
from tests.middleware.asgi import served

pytestmark = [pytest.mark.anyio, pytest.mark.unit]

BODY = b"x" * 100_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Whole:
    """Answers in one piece where it can, else by messages; and remembers which."""

    def __init__(self) -> None:
        self.written: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % len(BODY)), (b"x-path", scope["raw_path"])]
        self.written.append(writer_of(scope)(200, header_lines(headers), BODY))
        if not self.written[-1]:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": BODY})


@pytest.fixture
async def app() -> Whole:
    return Whole()


@pytest.fixture
async def wire(app: Whole) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with served(app, http=ShopProtocol) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        yield reader, writer
        writer.close()


async def answer_on(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    return head, await asyncio.wait_for(reader.readexactly(len(BODY)), 10)


async def test_it_is_a_whole_answer_and_the_connection_stays(
    app: Whole, wire: tuple[asyncio.StreamReader, asyncio.StreamWriter]
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
    app: Whole, wire: tuple[asyncio.StreamReader, asyncio.StreamWriter]
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


async def test_an_answer_is_only_given_once() -> None:
    second: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        write = writer_of(scope)
        write(200, b"content-length: 0\r\n", b"")
        second.append(write(200, b"content-length: 0\r\n", b""))

    async with served(app, http=ShopProtocol) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 10)).count(b"HTTP/1.1 200") == 1
        writer.close()
    assert second == [False]


def test_without_the_protocol_nothing_is_written() -> None:
    assert writer_of({"type": "http"})(200, b"", b"") is False
