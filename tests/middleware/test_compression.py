"""The layer that compresses what comes to it plain, and keeps back the bodies of HEAD."""

import gzip

import pytest
from starlette.types import Message, Receive, Scope, Send

from middleware.compression import Compression
from tests.middleware.asgi import call, scope_of

pytestmark = [pytest.mark.anyio, pytest.mark.unit]

LARGE = b'{"a":"' + b"lamp " * 300 + b'"}\n'
JSON = (b"content-type", b"application/problem+json")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Says:
    """Answers with these headers and these pieces of a body."""

    def __init__(self, *pieces: bytes, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.pieces, self.status = pieces, status
        self.headers = [JSON] if headers is None else headers
        if len(pieces) == 1:
            self.headers = [*self.headers, (b"content-length", b"%d" % len(pieces[0]))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        for number, piece in enumerate(self.pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(self.pieces)})


async def asked(app: Says, coding: bytes | None = b"gzip", method: str = "GET") -> tuple[dict[bytes, bytes], bytes]:
    """The headers and the body that are sent for a request which takes this coding."""
    headers = [(b"host", b"shop")] + ([] if coding is None else [(b"accept-encoding", coding)])
    messages: list[Message] = await call(Compression(app), scope_of(method, headers=headers))
    names = [name for name, _ in messages[0]["headers"]]
    assert len(names) == len(set(names)), "a header came twice"
    return dict(messages[0]["headers"]), b"".join(message["body"] for message in messages[1:])


async def test_who_takes_it_gets_it_compressed() -> None:
    headers, body = await asked(Says(LARGE))
    assert (headers[b"content-encoding"], headers[b"vary"]) == (b"gzip", b"Accept-Encoding")
    assert headers[b"content-length"] == b"%d" % len(body)
    assert gzip.decompress(body) == LARGE


@pytest.mark.parametrize("coding", [None, b"", b"identity", b"gzip;q=0"])
async def test_who_does_not_take_it_gets_it_plain_and_is_published_that_it_varies(coding: bytes | None) -> None:
    headers, body = await asked(Says(LARGE), coding)
    assert (headers[b"vary"], headers[b"content-length"], body) == (b"Accept-Encoding", b"%d" % len(LARGE), LARGE)
    assert b"content-encoding" not in headers


async def test_a_compressed_answer_has_a_tag_of_its_own() -> None:
    headers, _ = await asked(Says(LARGE, headers=[JSON, (b"etag", b'"v1"')]))
    assert headers[b"etag"] == b'"v1-gzip"'


async def test_what_it_varies_by_already_stays() -> None:
    headers, _ = await asked(Says(LARGE, headers=[JSON, (b"vary", b"Origin")]))
    assert headers[b"vary"] == b"Origin, Accept-Encoding"


@pytest.mark.parametrize(
    "app",
    [
        Says(b'{"a":1}\n'),
        Says(b"", status=204, headers=[]),
        Says(b"", status=304),
        Says(LARGE, headers=[(b"content-type", b"image/png")]),
        Says(LARGE, headers=[JSON, (b"content-encoding", b"br")]),
        Says(LARGE, headers=[JSON, (b"vary", b"Origin, accept-encoding")]),
        Says(LARGE, headers=[]),
    ],
)
async def test_anything_else_goes_on_as_it_is(app: Says) -> None:
    assert await asked(app) == (dict(app.headers), app.pieces[0])


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    app = Says(LARGE, headers=[JSON, (b"etag", b'"v1"')])
    for coding in (None, b"gzip"):
        headers, body = await asked(app, coding, "HEAD")
        assert body == b""
        assert headers == (await asked(app, coding))[0]


async def test_a_body_in_pieces_is_compressed_piece_by_piece() -> None:
    headers, body = await asked(Says(b"[1", b",2" * 500_000, b"]", headers=[JSON, (b"content-length", b"1000003")]))
    assert headers[b"content-encoding"] == b"gzip"
    assert b"content-length" not in headers
    assert gzip.decompress(body) == b"[1" + b",2" * 500_000 + b"]"
