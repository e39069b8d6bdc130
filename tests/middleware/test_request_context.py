"""What every answer carries, and what the access log says of it."""

import logging
import re
import uuid
from dataclasses import dataclass

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from infrastructure.observability.access_log import AccessLog
from infrastructure.observability.log_lines import request_id
from middleware.request_context import RequestContext
from tests.middleware.asgi import Echo, call, client_of, scope_of

pytestmark = [pytest.mark.anyio, pytest.mark.unit]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Service:
    draining: bool = False
    tracer = None


async def answer(app: RequestContext, path: str = "/products", **headers: str) -> httpx.Response:
    async with client_of(app) as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize("sent", ["abc-123", "A.b_c-9", "x" * 128])
async def test_a_clients_request_id_is_kept(sent: str) -> None:
    app = Echo()
    response = await answer(RequestContext(app, service=Service()), **{"X-Request-ID": sent})

    assert response.headers.get_list("X-Request-ID") == [sent]
    assert app.scopes[0]["shop.request_id"] == sent


@pytest.mark.parametrize(
    "sent", [b"", b"x" * 129, b"a b", b"a\r\nX-Evil: 1", b"\x1b[31m", b"\xff", b"a" * 4096, b"a/b"]
)
async def test_another_one_is_replaced(sent: bytes) -> None:
    """I12."""
    app = Echo()
    context = RequestContext(app, service=Service())
    start, _ = await call(context, scope_of(headers=[(b"host", b"shop"), (b"x-request-id", sent)]))
    (identity,) = [value.decode() for name, value in start["headers"] if name == b"x-request-id"]

    assert uuid.UUID(identity).version == 4
    assert app.scopes[0]["shop.request_id"] == identity


async def test_every_answer_has_the_headers_of_the_contract() -> None:
    response = await answer(RequestContext(Echo(status=404), service=Service()))

    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert re.fullmatch(r"\d+\.\d\d", response.headers["X-Response-Time"])
    assert "Connection" not in response.headers


@pytest.mark.parametrize("content_type", [b"application/json", b"application/problem+json"])
async def test_data_may_load_nothing(content_type: bytes) -> None:
    response = await answer(RequestContext(Echo(content_type), service=Service()))

    assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("said", [(b"content-security-policy", b"default-src 'self'"), (b"cache-control", b"no-store")])
async def test_what_an_answer_says_itself_stands(said: tuple[bytes, bytes]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 304, "headers": [said]})
        await send({"type": "http.response.body"})

    start, _ = await call(RequestContext(app, service=Service()), scope_of())

    assert [value for name, value in start["headers"] if name == said[0]] == [said[1]]


async def test_a_service_that_drains_asks_to_close() -> None:
    service = Service()
    context = RequestContext(Echo(), service=service)
    assert "Connection" not in (await answer(context)).headers
    service.draining = True
    assert (await answer(context)).headers["Connection"] == "close"


async def test_the_id_is_known_while_the_request_runs_and_only_then() -> None:
    seen: list[str | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(request_id.get())
        await Echo()(scope, receive, send)

    await call(RequestContext(app, service=Service()), scope_of(headers=[(b"x-request-id", b"abc-123")]))

    assert seen == ["abc-123"]
    assert request_id.get() is None


@pytest.mark.parametrize(
    ("raw", "shown"),
    [(b"/products/7", "/products/7"), (b"/a%0d%0aGET%20/evil", "/a%0d%0aGET%20/evil"), (None, "/a%0A%C3%A9")],
)
async def test_the_path_is_known_as_it_was_sent(raw: bytes | None, shown: str) -> None:
    app = Echo()
    await call(RequestContext(app, service=Service()), scope_of(path="/a\né", raw_path=raw))

    assert app.scopes[0]["shop.path"] == shown


def access_lines(access_log: AccessLog, caplog: pytest.LogCaptureFixture) -> list[str]:
    access_log.write()
    return [record.getMessage() for record in caplog.records if record.name == "shop.access"]


async def test_each_request_is_one_line_in_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop.access")
    access_log = AccessLog()
    await answer(RequestContext(Echo(), service=Service(), access_log=access_log), **{"X-Request-ID": "abc-123"})
    await answer(RequestContext(Echo(), service=Service(), access_log=None))

    (line,) = access_lines(access_log, caplog)
    assert re.fullmatch(r"\[abc-123\] GET /products - 200 OK \(\d+ms\) 203\.0\.113\.9", line)


async def test_a_request_that_fails_is_logged_as_500(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop.access")
    access_log = AccessLog()

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError):
        await call(RequestContext(broken, service=Service(), access_log=access_log), scope_of(path="/broken"))

    assert " GET /broken - 500 " in access_lines(access_log, caplog)[0]


async def test_other_protocols_pass() -> None:
    app = Echo()
    await call(RequestContext(app, service=Service()), scope_of(type="lifespan"))

    assert "shop.request_id" not in app.scopes[0]
