"""A look-up finds the route that the router would find, or leaves the request to the router."""

from collections.abc import Sequence

import pytest
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from application.assembly import assemble
from config.settings import read_settings
from controllers.static_routes import StaticRoutes
from infrastructure.server.http_methods import READS

pytestmark = [pytest.mark.unit, pytest.mark.anyio]

METHODS = (*sorted(READS), "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class Router:
    """Remembers the requests that it gets."""

    def __init__(self) -> None:
        self.searched: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.searched.append(scope)


async def found(routes: Sequence[BaseRoute], scope: Scope) -> object:
    """What is called for a request: a route, or the router."""
    router = Router()
    called: list[object] = []
    static = StaticRoutes(router, routes)

    async def receive() -> dict[str, str]:
        raise AssertionError("nothing is read")

    async def send(message: object) -> None:
        raise AssertionError("nothing is sent")

    for route in routes:

        async def app(scope: Scope, receive: Receive, send: Send, route: BaseRoute = route) -> None:
            called.append(route)

        route.app = app  # type: ignore[attr-defined]
    await static(scope, receive, send)
    return called[0] if called else router if router.searched == [scope] else None


@pytest.mark.parametrize("prefix", ["", pytest.param("/api/v1", marks=pytest.mark.chaos)])
async def test_a_look_up_finds_what_the_router_finds(prefix: str) -> None:
    routes = assemble(read_settings({"API_PREFIX": prefix})).router.routes
    paths = [route.path for route in routes if "{" not in route.path]  # type: ignore[attr-defined]
    assert f"{prefix}/checkout" in paths
    looked_up = 0
    for method in METHODS:
        for path in [*paths, f"{prefix}/products/1", f"{prefix}/nothing", f"{prefix}/checkout/"]:
            scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
            expected = next((one for one in routes if one.matches(scope)[0] is Match.FULL), None)
            route = await found(routes, scope)
            if not isinstance(route, Router):
                looked_up += 1
                assert route is expected
                assert (scope["route"], scope["path_params"]) == (expected, {})
    assert looked_up > 30


async def test_below_a_root_path_the_router_searches() -> None:
    routes = assemble(read_settings({})).router.routes
    scope = {"type": "http", "method": "POST", "path": "/checkout", "root_path": "/shop"}
    assert isinstance(await found(routes, scope), Router)
