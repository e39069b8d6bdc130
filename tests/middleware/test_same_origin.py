"""Pages of other origins change nothing; whoever is no browser passes."""

from ipaddress import ip_network
from typing import Any

import pytest

from middleware.same_origin import SameOrigin
from tests.middleware.asgi import Echo, call, scope_of

pytestmark = [pytest.mark.anyio, pytest.mark.unit]

PROXY = "10.0.0.1"
TRUSTED = (ip_network("10.0.0.0/8"),)
OWN = {"host": "shop.example"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def status_of(headers: Any, method: str = "POST", peer: str = "203.0.113.9", **options: Any) -> int:
    """What a request with these headers gets; 200 where it reaches the application."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    scope = scope_of(method, headers=raw, client=(peer, 4711))
    messages = await call(SameOrigin(Echo(), trusted=TRUSTED, **options), scope)
    return int(messages[0]["status"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://shop.example"},
        {"Origin": "http://shop.example"},
        {"Origin": "https://shop.example:443"},
        {"Origin": "HTTPS://SHOP.example"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        # A proxy has changed the Host, and the browser knows better.
        {"Origin": "https://front.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_the_shops_own_pages_and_other_clients_pass(headers: dict[str, str]) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
        assert await status_of(OWN | headers, method) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://blog.shop.example", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://blog.shop.example"},
        {"Origin": "https://shop.example.evil.example"},
        {"Origin": "https://shop.example:8443"},
        {"Origin": "http://shop.example:443"},
        {"Origin": "https://shop.example@evil.example"},
        {"Origin": "ftp://shop.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://[::1"},
        {"Origin": "https://shop.example:999999"},
        {"Origin": "\xff"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "whatever"},
        # Only a trusted proxy says what the browser saw.
        {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
    ],
)
async def test_pages_of_other_origins_may_read_and_nothing_else(headers: dict[str, str]) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert await status_of(OWN | headers, method) == 403
    for method in ("GET", "HEAD", "OPTIONS"):
        assert await status_of(OWN | headers, method) == 200


async def test_a_header_that_came_twice_is_not_believed() -> None:
    own, evil = ("Origin", "https://shop.example"), ("Origin", "https://evil.example")
    for origins in ([own, evil], [evil, own], [own, own]):
        assert await status_of([*OWN.items(), *origins]) == 403
    sites = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin")]
    assert await status_of([*OWN.items(), *sites]) == 403


async def test_a_trusted_proxy_tells_the_host_that_the_browser_saw() -> None:
    headers = {"host": "internal:8000", "origin": "https://front.example", "x-forwarded-host": "front.example"}
    assert await status_of(headers, peer=PROXY) == 200
    assert await status_of(headers | {"x-forwarded-host": "front.example, internal"}, peer=PROXY) == 200
    assert await status_of(headers | {"origin": "https://evil.example"}, peer=PROXY) == 403
    assert await status_of(headers) == 403


async def test_allowed_origins_pass() -> None:
    headers = OWN | {"origin": "https://admin.example", "sec-fetch-site": "cross-site"}
    assert await status_of(headers, allowed=("https://admin.example",)) == 200
    assert await status_of(headers, allowed=("*",)) == 200
    assert await status_of(headers, allowed=("https://admin.example:444", "http://admin.example")) == 403


async def test_other_protocols_pass() -> None:
    app = Echo()
    await call(SameOrigin(app), scope_of(type="lifespan"))
    assert len(app.scopes) == 1
