"""Large bodies are refused with or without a length, without being held, and the client hears of it (I1)."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Message, Receive, Scope, Send

from middleware.body_limit import BodyLimit
from tests.middleware.asgi import Echo, call, scope_of, served

pytestmark = pytest.mark.anyio

LIMIT = 100_000
BULK_LIMIT = 1_000_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def limit_of(path: str) -> int:
    return BULK_LIMIT if path.endswith("/bulk") else LIMIT


class Reader:
    """Reads the whole body, counts it, and answers with the count."""

    def __init__(self) -> None:
        self.seen = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            self.seen += len(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"%d" % self.seen
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


def post(*headers: tuple[bytes, bytes], path: str = "/things") -> Scope:
    return scope_of("POST", path, headers=[(b"host", b"shop"), *headers])


def chunk(size: int, more: bool = True) -> Message:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


def is_refused(messages: list[Message], status: int) -> bool:
    start, *bodies = messages
    headers = dict(start["headers"])
    body = json.loads(b"".join(message.get("body", b"") for message in bodies))
    return (
        start["status"] == body["status"] == status
        and headers[b"connection"] == b"close"
        and headers[b"content-type"] == b"application/problem+json"
        and [message.get("more_body", False) for message in bodies] == [True, False]
    )


@pytest.mark.unit
async def test_a_stated_length_is_refused_before_anything_is_read() -> None:
    app = Reader()
    messages = await call(BodyLimit(app, limit_of=limit_of), post((b"content-length", b"%d" % (LIMIT + 1))))

    assert is_refused(messages, 413)
    assert app.seen == 0


@pytest.mark.unit
async def test_a_body_without_length_is_refused_where_it_exceeds() -> None:
    app = Reader()
    messages = await call(BodyLimit(app, limit_of=limit_of), post(), *[chunk(10_000)] * 50, chunk(0, more=False))

    assert is_refused(messages, 413)
    assert app.seen <= LIMIT


@pytest.mark.unit
@pytest.mark.parametrize("headers", [(), ((b"content-length", b"%d" % LIMIT),)])
async def test_a_body_at_the_limit_passes(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    messages = await call(
        BodyLimit(Reader(), limit_of=limit_of), post(*headers), chunk(LIMIT // 2), chunk(LIMIT // 2, more=False)
    )

    assert (messages[0]["status"], messages[1]["body"]) == (200, b"%d" % LIMIT)


@pytest.mark.unit
async def test_a_path_may_have_a_limit_of_its_own() -> None:
    limited = BodyLimit(Reader(), limit_of=limit_of)

    assert (await call(limited, post(path="/things/bulk"), chunk(LIMIT + 1, more=False)))[0]["status"] == 200
    assert is_refused(await call(limited, post(path="/things/bulk"), chunk(BULK_LIMIT + 1, more=False)), 413)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("lengths", "status"),
    [([b"-1"], 400), ([b"+5"], 400), ([b"5x"], 400), ([b""], 400), ([b"5", b"6"], 400), ([b"9" * 5000], 413)],
)
async def test_a_length_that_is_none_is_refused(lengths: list[bytes], status: int) -> None:
    headers = [(b"content-length", length) for length in lengths]

    assert is_refused(await call(BodyLimit(Echo(), limit_of=limit_of), post(*headers)), status)


@pytest.mark.unit
async def test_what_the_application_makes_of_the_missing_rest_is_dropped() -> None:
    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await Reader()(scope, receive, send)
        except Exception:
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"bad"})
            raise RuntimeError("whatever") from None

    assert is_refused(await call(BodyLimit(stubborn, limit_of=limit_of), post(), chunk(LIMIT + 1)), 413)


@pytest.mark.unit
async def test_an_error_of_the_applications_own_passes() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError):
        await call(BodyLimit(broken, limit_of=limit_of), post(), chunk(1, more=False))


@pytest.mark.unit
async def test_an_answer_that_has_begun_is_finished() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await Reader()(scope, receive, send)

    messages = await call(BodyLimit(early, limit_of=limit_of), post(), chunk(LIMIT + 1, more=False))
    assert [message.get("status") for message in messages] == [200, 200, None]


@pytest.mark.unit
async def test_other_protocols_pass() -> None:
    app = Echo()
    await call(BodyLimit(app, limit_of=limit_of), scope_of(type="lifespan"))

    assert len(app.scopes) == 1


def fastapi_app() -> FastAPI:
    class Thing(BaseModel):
        name: str

    app = FastAPI()

    @app.post("/things")
    def create(thing: Thing) -> Thing:
        return thing

    return app


@pytest.mark.integration
@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize("size", [LIMIT + 1, 20_000_000])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_client_that_sends_on_still_hears_the_413(
    http: str, size: int, chunked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body is longer than all buffers on the way: closing on the unread rest would lose the answer."""
    # A busy machine must not pass for a client that sends too slowly.
    for bound in ("_DISCARD_SECONDS", "_SILENCE_SECONDS"):
        monkeypatch.setattr(f"middleware.body_limit.{bound}", 60.0)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // 10_000 + 1):
            yield b" " * 10_000

    app = BodyLimit(fastapi_app(), limit_of=limit_of)
    async with served(app, http) as (host, port), httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        content = chunks() if chunked else b" " * size
        response = await client.post(
            "/things", content=content, headers={"Content-Type": "application/json"}, timeout=60
        )
        after = await client.post("/things", json={"name": "x"})

    assert response.status_code == 413
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Connection"] == "close"
    assert after.json() == {"name": "x"}


@pytest.mark.integration
async def test_a_refused_client_that_falls_silent_is_let_go() -> None:
    async with served(BodyLimit(Reader(), limit_of=limit_of)) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 999999999\r\n\r\nabc")
        async with asyncio.timeout(60):
            answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 413 ")
