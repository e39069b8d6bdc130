"""Static routes: where a path has no parameter, method and path name its route, and no other has to be tried."""

from collections.abc import Iterator, Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from controllers.routing import ShopRoute


class StaticRoutes:
    """Calls the route that `router` would find among `routes`; `router` gets all requests that take a search."""

    def __init__(self, router: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._router = router
        self._routes = dict(_static(routes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A root path is part of the path.
        is_plain = scope["type"] == "http" and not scope.get("root_path")
        route = self._routes.get((scope["method"], scope["path"])) if is_plain else None
        if route is None:
            await self._router(scope, receive, send)
            return
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
        await route.app(scope, receive, send)


def _static(routes: Sequence[BaseRoute]) -> Iterator[tuple[tuple[str, str], ShopRoute]]:
    """Method and path of each static route, and the route. One that is behind another for the same path is never called."""
    for route in routes:
        if isinstance(route, ShopRoute) and "{" not in route.path:
            for method in route.methods or ():
                scope = {"type": "http", "method": method, "path": route.path}
                first = next(one for one in routes if one.matches(scope)[0] is Match.FULL)
                if first is route:
                    yield (method, route.path), route
