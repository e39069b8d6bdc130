"""A response goes out as uvicorn would send it, in one write where it is one message."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infrastructure.server.http_protocol import ShopProtocol
from tests.infrastructure.server.pipe import Connection

pytestmark = [pytest.mark.unit, pytest.mark.anyio]

JSON = (b"content-type", b"application/json")
LENGTH = (b"content-length", b"2")


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


async def sent(
    kind: type[HttpToolsProtocol], method: str, messages: Sequence[dict[str, Any]]
) -> tuple[bytes, int, bool]:
    """What goes out when an application sends these messages, in how many writes, and whether the end is closed."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(dict(message))

    connection = Connection(kind, around=lambda _: app)
    await connection.feed(f"{method} / HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
    written = re.sub(rb"date: [^\r]*\r\n", b"", bytes(connection.pipe.written))
    return written, connection.pipe.writes, connection.pipe.closing


@pytest.mark.parametrize(
    ("method", "messages", "writes"),
    [
        ("GET", [start(JSON, LENGTH), body(b"{}")], 1),
        ("POST", [start(JSON, LENGTH, status=201), body(b"{}")], 1),
        ("POST", [start(LENGTH, (b"x-a", b"1"), (b"x-a", b"2")), body(b"{}")], 1),
        ("DELETE", [start(status=204), body(b"")], 1),
        ("GET", [start((b"etag", b'"a"'), status=304), body(b"")], 1),
        ("HEAD", [start(JSON, (b"content-length", b"77")), body(b"")], 1),
        ("POST", [start((b"content-length", b"0")), body(b"")], 1),
        ("GET", [start(JSON, LENGTH), body(b"{", more=True), body(b"}")], 3),
        ("GET", [start(JSON), body(b"{}")], 2),
        ("GET", [start(JSON, (b"transfer-encoding", b"chunked")), body(b"{}")], 2),
        ("GET", [start(LENGTH, (b"connection", b"close")), body(b"{}")], 2),
    ],
)
async def test_it_is_what_uvicorn_would_send(method: str, messages: list[dict[str, Any]], writes: int) -> None:
    whole, written, closed = await sent(ShopProtocol, method, messages)
    expected, _, is_closed = await sent(HttpToolsProtocol, method, messages)
    assert (whole, closed) == (expected, is_closed)
    assert written == writes


@pytest.mark.parametrize(
    "messages",
    [
        [start((b"x-text", b"a\r\nset-cookie: b=c"), LENGTH), body(b"{}")],
        [start((b"x-text", b"a\x00b"), LENGTH), body(b"{}")],
        [start((b"x text", b"a"), LENGTH), body(b"{}")],
        [start(JSON, (b"content-length", b"3")), body(b"{}")],
        [start(JSON, LENGTH)],
        [body(b"{}")],
        [],
    ],
)
@pytest.mark.filterwarnings("ignore")
async def test_what_is_no_response_is_an_error(messages: list[dict[str, Any]]) -> None:
    whole, _, closed = await sent(ShopProtocol, "GET", messages)
    assert b"set-cookie" not in whole
    assert closed or whole.startswith(b"HTTP/1.1 500 ")
