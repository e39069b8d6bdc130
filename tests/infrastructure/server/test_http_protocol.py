"""Answers in one piece, as clients see them on the wire, and requests as the application sees them."""

import asyncio
import functools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infrastructure.server.deferred_request import DeferredRequest
from infrastructure.server.header_lines import header_lines
from infrastructure.server.http_protocol import ShopProtocol
from infrastructure.server.request_heads import RequestHeads
from tests.infrastructure.server.pipe import Connection, forgetful
from tests.middleware.asgi import served
from tests.waiting import until

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

    def handle_early(self, request: DeferredRequest) -> bool:
        if self.takes:
            asyncio.get_running_loop().call_soon(self.answer, request)
        return self.takes

    def answer(self, request: DeferredRequest) -> None:
        self.written.append(request.write(200, (header_lines(self.headers(request.scope)),), BODY))
        if not self.written[-1]:
            request.fall_through()

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
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    return head, await asyncio.wait_for(reader.readexactly(len(BODY)), 60)


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
    assert await asyncio.wait_for(reader.read(), 60) == b""


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET / HTTP/1.0", b"one two"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive", b"one two"),
        (b"HEAD / HTTP/1.0", b""),
        (b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close", b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"),
    ],
)
async def test_only_who_knows_chunks_gets_chunks(request_line: bytes, expected: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    async with served(app, http=ShopProtocol) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request_line + b"\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert (b"transfer-encoding" in head) == (b"\r\n0\r\n" in expected)
    assert body == expected


async def test_a_client_that_does_not_read_is_waited_for(
    app: Desk, wire: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    reader, writer = wire
    requests = 300
    writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n" * requests)
    # 30 MB are more than the kernel keeps: the server must stop at some point, and go on later.
    await until(lambda: False in app.written)
    await asyncio.sleep(0.1)
    assert 0 < len(app.written) < requests
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
    taken: asyncio.Future[DeferredRequest] = asyncio.get_running_loop().create_future()
    app.handle_early = lambda request: taken.set_result(request) or True  # type: ignore[method-assign, func-returns-value]
    _, writer = wire
    writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    request = await asyncio.wait_for(taken, 60)
    writer.close()
    await until(lambda: request._cycle.disconnected)
    assert request.write(200, (), b"") is False


LINES = [
    b"GET /a?b=1 HTTP/1.1",
    b"HEAD /%C3%A4 HTTP/1.1",
    b"POST /a HTTP/1.1",
    b"GET /a?b=1 HTTP/1.0",
    b"GET / HTTP/1.1",
]
BLOCKS = [
    b"Host: shop\r\n", b"host: shop\r\nAccept: */*\r\nConnection: keep-alive\r\n", b"Host: shop\r\nContent-Length: 4\r\n",
    b"Host: shop\r\nExpect: 100-continue\r\n", b"", b"Host: shop\r\nConnection: close\r\n",
    b"Host: shop\r\nProxy-Connection: close\r\n",
]  # fmt: skip


def whole(line: bytes, block: bytes) -> bytes:
    return line + b"\r\n" + block + b"\r\n" + (b"body" if b"Length" in block else b"")


requests = st.builds(whole, st.sampled_from(LINES), st.sampled_from(BLOCKS[:2] * 3 + BLOCKS))


@st.composite
def pieces(draw: st.DrawFn) -> Sequence[bytes]:
    """What a client sends: mostly a request in each piece, now and then cut or joined."""
    sent: list[bytes] = []
    for request in draw(st.lists(requests, min_size=1, max_size=12)):
        kind = draw(st.sampled_from(["whole", "whole", "whole", "cut", "joined"]))
        cut = draw(st.integers(1, len(request) - 1))
        if kind == "cut":
            sent += [request[:cut], request[cut:]]
        elif kind == "joined" and sent:
            sent[-1] += request
        else:
            sent.append(request)
    return sent


async def seen_by(kind: type[HttpToolsProtocol], sent: Sequence[bytes]) -> tuple[Any, bytes, bool]:
    connection = Connection(kind)
    await connection.feed(*sent)
    connection.end()
    return connection.app.seen, bytes(connection.pipe.written), connection.pipe.closing


@given(pieces())
@settings(max_examples=100, deadline=None)
def test_an_application_sees_the_same_whether_heads_were_parsed_or_remembered(sent: Sequence[bytes]) -> None:
    kind = forgetful()
    expected = asyncio.run(seen_by(HttpToolsProtocol, sent))
    assert asyncio.run(seen_by(kind, sent)) == expected
    # Another connection profits from what was learned on the first.
    assert asyncio.run(seen_by(kind, sent)) == expected


REQUEST = whole(LINES[0], BLOCKS[0])


async def test_a_head_is_not_parsed_again() -> None:
    parsed: list[bytes] = []

    class Watched(ShopProtocol):
        heads = RequestHeads(learn_every=1)

        def on_url(self, url: bytes) -> None:
            parsed.append(url)
            super().on_url(url)

    connection = Connection(Watched)
    await connection.feed(REQUEST, REQUEST, REQUEST)
    assert len(connection.app.seen) == 3
    assert parsed == [b"/a?b=1"]
    connection.end()


async def test_a_server_below_a_root_path_shares_no_heads_with_one_that_is_not() -> None:
    kind, paths = forgetful(), []
    for root in ("", "/shop", "", "/shop"):
        connection = Connection(kind, root_path=root)
        await connection.feed(REQUEST)
        paths.append(connection.app.seen[0][0]["path"])
        connection.end()
    assert paths == ["/a", "/shop/a", "/a", "/shop/a"]


async def test_a_known_request_waits_for_the_one_before_it() -> None:
    connection = Connection(forgetful())
    await connection.feed(REQUEST)
    connection.app.may_answer.clear()
    await connection.feed(REQUEST, REQUEST, REQUEST)
    assert len(connection.app.seen) == 2
    connection.app.may_answer.set()
    await connection.feed(REQUEST)
    assert len(connection.app.seen) == 5
    assert connection.pipe.written.count(b"200 OK") == 5
    connection.end()


async def test_no_more_is_read_while_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(forgetful())
    waiting: list[int] = []
    monkeypatch.setattr(connection.pipe, "resume_reading", lambda: waiting.append(len(connection.protocol.pipeline)))
    # Requests with bodies ask for more by themselves.
    await connection.feed((REQUEST + whole(LINES[2], BLOCKS[2])) * 50)
    await until(lambda: len(connection.app.seen) == 100 and bool(waiting))
    assert waiting == [0]
    connection.end()


@pytest.mark.parametrize("is_known", [True, False])
async def test_of_thousands_of_requests_at_once_few_are_parsed_before_their_turn(is_known: bool) -> None:
    connection = Connection(forgetful())
    await connection.feed(REQUEST)
    connection.app.may_answer.clear()
    one = REQUEST if is_known else b"GET /b HTTP/1.1\r\nHost: b\r\n\r\n"
    await connection.feed(one, one * 4000, one[:10])
    assert len(connection.protocol.pipeline) < 500
    connection.app.may_answer.set()
    await until(lambda: len(connection.app.seen) >= 4002)
    await connection.feed(one[10:], REQUEST)
    assert len(connection.app.seen) == 4004
    assert connection.pipe.written.count(b"200 OK") == 4004
    connection.end()


async def test_a_client_that_has_gone_is_answered_nothing_where_more_of_its_requests_wait() -> None:
    connection = Connection(forgetful())
    connection.app.may_answer.clear()
    await connection.feed(REQUEST * 3)
    connection.end()
    connection.app.may_answer.set()
    await asyncio.sleep(0.01)
    # uvloop raises where asyncio only drops what is written to a connection that is gone.
    assert connection.pipe.written == b""


async def test_a_body_that_looks_like_a_known_request_is_a_body() -> None:
    connection = Connection(forgetful())
    post = b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % (2 * len(REQUEST))
    await connection.feed(REQUEST, post, REQUEST, REQUEST, REQUEST)
    assert [(scope["method"], body) for scope, body in connection.app.seen] == [
        ("GET", b""), ("POST", 2 * REQUEST), ("GET", b""),
    ]  # fmt: skip
    connection.end()


OFFERS = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "websocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "several": b"Connection: upgrade\r\nUpgrade: TLS/1.2, tea/3\r\n",
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("in_pieces_of", [1, 7, 100_000])
@pytest.mark.parametrize("answered_first", [True, False])
async def test_an_offer_of_another_protocol_is_ignored_and_the_body_read(
    offer: bytes, in_pieces_of: int, answered_first: bool
) -> None:
    connection = Connection(forgetful())
    if not answered_first:
        connection.app.may_answer.clear()
    sized = b"POST /a HTTP/1.1\r\nHost: shop\r\n%bContent-Length: %d\r\n\r\n%b" % (offer, len(REQUEST), REQUEST)
    chunked = b"PUT /b HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n%b\r\n4\r\nbody\r\n0\r\n\r\n" % offer
    empty = b"GET /c HTTP/1.1\r\nHost: shop\r\n%b\r\n" % offer
    sent = sized + chunked + empty + REQUEST + sized
    await connection.feed(*(sent[start : start + in_pieces_of] for start in range(0, len(sent), in_pieces_of)))
    connection.app.may_answer.set()
    await until(lambda: connection.pipe.written.count(b"HTTP/1.1 200 OK") >= 5)
    assert [(scope["method"], body) for scope, body in connection.app.seen] == [
        ("POST", REQUEST), ("PUT", b"body"), ("GET", b""), ("GET", b""), ("POST", REQUEST),
    ]  # fmt: skip
    assert all((b"upgrade" in dict(scope["headers"])) is (at != 3) for at, (scope, _) in enumerate(connection.app.seen))
    assert not connection.pipe.closing
    assert connection.pipe.written.count(b"HTTP/1.1 200 OK") == 5
    connection.end()


async def test_uvicorn_s_own_protocol_for_which_operators_are_told_to_ask_reads_the_body_too() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with served(app, http="h11") as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\n%bContent-Length: 4\r\n\r\nbody" % OFFERS["h2c"])
        await reader.readuntil(b"\r\n\r\n")
        assert b"body" in await reader.readuntil(b"body")
        writer.close()


async def test_an_offer_does_not_hide_a_body_that_cannot_be_delimited() -> None:
    connection = Connection(forgetful())
    await connection.feed(b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: gzip\r\n%b\r\nbody" % OFFERS["h2c"])
    assert connection.pipe.closing
    assert connection.pipe.written.startswith(b"HTTP/1.1 400 Bad Request")
    connection.end()


async def test_what_follows_a_connect_is_no_request() -> None:
    connection = Connection(forgetful())
    await connection.feed(b"CONNECT / HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % len(REQUEST) + REQUEST)
    assert [scope["method"] for scope, _ in connection.app.seen] == ["CONNECT"]
    assert connection.pipe.closing
    assert connection.pipe.written.count(b"connection: close") == connection.pipe.written.count(b"HTTP/1.1 ") == 1
    connection.end()


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX: ",
    ],
)
async def test_a_head_without_an_end_is_refused(begun: bytes) -> None:
    connection = Connection(forgetful())
    await connection.feed(begun, *[b"a" * 1000] * 120)
    assert not connection.pipe.closing
    await connection.feed(*[b"a" * 1000] * 20)
    assert connection.pipe.closing
    assert connection.pipe.written.count(b"HTTP/1.1 400 Bad Request") == 1
    connection.end()


async def test_a_body_may_be_longer_than_a_head() -> None:
    connection = Connection(forgetful())
    chunk = b"3e8\r\n%b\r\n" % (b"a" * 1000)
    await connection.feed(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", *[chunk] * 100, b"0\r\n\r\n", REQUEST
    )
    assert [len(body) for _, body in connection.app.seen] == [100_000, 0]
    connection.end()


async def test_where_too_many_are_connected_a_known_request_is_refused_too() -> None:
    kind = functools.partial(Connection, forgetful(), limit_concurrency=2)
    connection = kind()
    await connection.feed(REQUEST, REQUEST)
    assert len(connection.app.seen) == 2
    # Somebody else came.
    connection.state.connections.add(kind().protocol)
    await connection.feed(REQUEST)
    assert len(connection.app.seen) == 2
    assert b"HTTP/1.1 503 Service Unavailable" in connection.pipe.written
    connection.end()


async def until_closing(connection: Connection) -> None:
    await until(lambda: connection.pipe.closing)


async def test_a_connection_is_closed_when_it_was_quiet_for_long_enough_and_not_before() -> None:
    connection = Connection(forgetful(), timeout_keep_alive=2)
    for _ in range(4):
        await connection.feed(REQUEST)
        await asyncio.sleep(0.6)
    assert not connection.pipe.closing
    await until_closing(connection)
    connection.end()


async def test_a_connection_whose_answer_takes_long_is_not_quiet() -> None:
    connection = Connection(forgetful(), timeout_keep_alive=2)
    await connection.feed(REQUEST)
    half = len(REQUEST) // 2
    await connection.feed(REQUEST[:half])
    await asyncio.sleep(2.1)
    assert not connection.pipe.closing
    await connection.feed(REQUEST[half:])
    assert len(connection.app.seen) == 2
    await until_closing(connection)
    connection.end()
