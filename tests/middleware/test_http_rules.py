"""Host, trailing slashes, HEAD and broken paths, before any route sees them."""

import pytest
from starlette.types import Message

from middleware.http_rules import HttpRules
from tests.middleware.asgi import Echo, call, client_of, scope_of

pytestmark = [pytest.mark.anyio, pytest.mark.unit]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def status_of(messages: list[Message]) -> int:
    return int(messages[0]["status"])


@pytest.mark.parametrize(
    "host",
    ["shop", "shop.example:8000", "127.0.0.1:8000", "[::1]", "[2001:db8::1]:443", "a_b.example", "x:", "shop:65535"],
)
async def test_a_well_formed_host_passes(host: str) -> None:
    assert status_of(await call(HttpRules(Echo()), scope_of(headers=[(b"host", host.encode())]))) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"")],
        [(b"host", b"a b")],
        [(b"host", b"a/b")],
        [(b"host", b"user@shop")],
        [(b"host", b"shop:port")],
        [(b"host", b"shop:65536")],
        [(b"host", b"shop:1:2")],
        [(b"host", b"[::1")],
        [(b"host", b"::1")],
        [(b"host", b"shop?x")],
        [(b"host", b"sh\xffp")],
        [(b"host", b"a" * 300)],
        [(b"host", b"shop\n")],
        [(b"host", b"shop"), (b"host", b"other")],
    ],
)
async def test_a_malformed_host_is_400(headers: list[tuple[bytes, bytes]]) -> None:
    """I13."""
    app = Echo()
    messages = await call(HttpRules(app), scope_of(headers=headers))

    assert status_of(messages) == 400
    assert (b"content-type", b"application/problem+json") in messages[0]["headers"]
    assert not app.scopes


async def test_http_1_0_needs_no_host() -> None:
    assert status_of(await call(HttpRules(Echo()), scope_of(http_version="1.0", headers=[]))) == 200


@pytest.mark.parametrize(
    ("sent", "routed"),
    [
        ("/clients/", "/clients"),
        ("/clients", "/clients"),
        ("/api/v1/clients/", "/api/v1/clients"),
        ("/", "/"),
        ("/a//", "/a/"),
    ],
)
async def test_one_trailing_slash_is_dropped(sent: str, routed: str) -> None:
    app = Echo()
    scope = scope_of(path=sent)
    await call(HttpRules(app), scope)

    assert (app.scopes[0]["path"], app.scopes[0]["raw_path"]) == (routed, routed.encode())
    assert scope["path"] == sent


async def test_head_is_get_without_a_body() -> None:
    app = Echo()
    async with client_of(HttpRules(app)) as client:
        get, head = await client.get("/clients/"), await client.head("/clients/")

    assert (get.text, head.text) == ("GET /clients", "")
    assert head.headers == get.headers
    assert head.headers["Content-Length"] == str(len(get.content))
    assert [scope["method"] for scope in app.scopes] == ["GET", "GET"]


async def test_the_layers_outside_still_see_head() -> None:
    scope = scope_of("HEAD")
    await call(HttpRules(Echo()), scope)

    assert scope["method"] == "HEAD"


@pytest.mark.parametrize("raw", [b"/clients/%00", b"/%ff", b"/%c3%28", b"/%ED%A0%80"])
async def test_a_path_that_is_no_text_is_404(raw: bytes) -> None:
    app = Echo()
    messages = await call(HttpRules(app), scope_of(path="/clients/�", raw_path=raw))

    assert status_of(messages) == 404
    assert b'"message":"Not Found"' in messages[1]["body"]
    assert not app.scopes


@pytest.mark.parametrize("raw", [b"/caf%C3%A9", b"/a%20b", b"/100%", b"/%EF%BF%BD"])
async def test_a_path_that_is_text_passes(raw: bytes) -> None:
    assert status_of(await call(HttpRules(Echo()), scope_of(raw_path=raw))) == 200


async def test_a_nul_needs_no_raw_path_to_be_seen() -> None:
    assert status_of(await call(HttpRules(Echo()), scope_of(path="/\0", raw_path=None))) == 404


async def test_other_protocols_pass() -> None:
    app = Echo()
    await call(HttpRules(app), scope_of(type="lifespan", path="/x/"))

    assert app.scopes[0]["path"] == "/x/"
