"""The edge: requests of resolved routes are answered without the routes, all others call them."""

from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.rendered_response import RenderedResponse
from middleware.cache_control import SHARED
from middleware.edge import Edge
from middleware.rate_limit import RateLimit
from middleware.route_cache import register
from services.errors import NotFound
from tests.middleware.asgi import client_of

pytestmark = [pytest.mark.anyio, pytest.mark.unit]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Thing:
    """The resolved route of a thing that may be gone."""

    cache_control = SHARED

    def __init__(self) -> None:
        self.exists = True
        self.broken = False

    def check(self) -> None:
        return None

    def get_if_fresh(self, current: Any) -> None:
        return None

    async def get_or_load(self, current: Any = None) -> tuple[RenderedResponse, bool | None]:
        if self.broken:
            raise RuntimeError("a secret")
        if not self.exists:
            raise NotFound("Thing", 1)
        return RenderedResponse(b'{"id_key":1}', '"v1"', {"X-Total-Count": "1"}), True


class Routes:
    """An application that counts its requests, and registers their route."""

    def __init__(self) -> None:
        self.asked = 0
        self.thing = Thing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        register(scope, self.thing)
        await Response(b"from the routes")(scope, receive, send)


@pytest.fixture
def routes() -> Routes:
    return Routes()


async def test_a_registered_target_is_answered_without_the_routes(routes: Routes) -> None:
    async with client_of(Edge(routes)) as client:
        first, second = await client.get("/things/1?a=b"), await client.get("/things/1?a=b")

    assert (first.text, second.text, routes.asked) == ("from the routes", '{"id_key":1}', 1)
    assert second.headers["Content-Type"] == "application/json"
    assert second.headers["Content-Length"] == "12"
    assert (second.headers["ETag"], second.headers["X-Cache-Hit"], second.headers["X-Total-Count"]) == (
        '"v1"',
        "true",
        "1",
    )


@pytest.mark.parametrize(
    ("method", "target", "headers", "content"),
    [
        ("GET", "/things/1?a=c", {}, None),
        ("GET", "/things/1/?a=b", {}, None),
        ("GET", "/things/1?a=b", {}, b"{}"),
        ("GET", "/things/1?a=b", {"Host": "a b"}, None),
        ("POST", "/things/1?a=b", {}, None),
        ("DELETE", "/things/1?a=b", {}, None),
    ],
)
async def test_all_other_requests_call_the_routes(
    routes: Routes, method: str, target: str, headers: dict[str, str], content: bytes | None
) -> None:
    async with client_of(Edge(routes)) as client:
        await client.get("/things/1?a=b")
        response = await client.request(method, target, headers=headers, content=content)

    assert (response.text, routes.asked) == ("from the routes", 2)


async def test_a_target_of_endless_length_is_not_cached(routes: Routes) -> None:
    target = "/things?" + "a" * 1000
    async with client_of(Edge(routes)) as client:
        for _ in range(3):
            assert (await client.get(target)).text == "from the routes"


async def test_head_and_conditional_requests_are_answered_too(routes: Routes) -> None:
    async with client_of(Edge(routes)) as client:
        await client.get("/things/1")
        head = await client.head("/things/1")
        same = await client.get("/things/1", headers={"If-None-Match": 'W/"v1"'})
        other = await client.get("/things/1", headers={"If-None-Match": '"v0"'})

    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "12")
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", '"v1"')
    assert (other.status_code, other.content) == (200, b'{"id_key":1}')
    assert routes.asked == 1


async def test_an_error_of_the_domain_has_the_shape_of_every_error(routes: Routes) -> None:
    async with client_of(Edge(routes)) as client:
        await client.get("/things/1")
        routes.thing.exists = False
        response = await client.get("/things/1")

    assert response.status_code == 404
    assert response.json()["message"] == "Thing with id 1 not found"
    assert response.headers["Content-Type"] == "application/problem+json"


async def test_an_unexpected_error_has_the_shape_of_every_error_and_is_logged(
    routes: Routes, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(Edge(routes)) as client:
        await client.get("/things/1")
        routes.thing.broken = True
        response = await client.get("/things/1")

    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "secret" not in response.text
    assert response.json()["error_id"] in caplog.text


async def test_resolved_routes_are_counted_and_refused_like_all_others(routes: Routes) -> None:
    edge = Edge(routes, limit=RateLimit(gateway=RedisGateway(None), calls=2, period=60))
    async with client_of(edge, "192.0.2.7") as client:
        responses = [await client.get("/things/1") for _ in range(4)]

    assert [response.status_code for response in responses] == [200, 200, 429, 429]
    assert [response.headers["X-RateLimit-Remaining"] for response in responses] == ["1", "0", "0", "0"]
    assert routes.asked == 1
