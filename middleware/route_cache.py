"""The route cache: how a target is read, once its route has answered it. It holds no responses, and knows no entity."""

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Protocol

from starlette.types import Scope

from infrastructure.cache.batcher import SharedFuture
from infrastructure.cache.lru_cache import LruCache
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import TagValues
from infrastructure.server.http_methods import READS
from infrastructure.server.request_heads import Headers, memoize_on_headers
from middleware.http_rules import is_host

# The bytes of all entries, and of the longest target. The resolved route of a list takes some 6 kB beside its target, whose
# parts are there several times: as parameters, as filters, as keys in the cache.
_TARGETS_BYTES = 28 * 1024 * 1024
_LONGEST_TARGET = 512
_ROUTE_BYTES, _COPIES = 6000, 8

_REGISTER = "shop.register"
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding"))


class ResolvedRoute(Protocol):
    """How the GET of one target is answered, each time it comes."""

    @property
    def cache_control(self) -> bytes:
        """The Cache-Control of its responses."""

    def check(self) -> SharedFuture[TagValues] | None:
        """Begin to check whether the cached response is fresh; the result is for `get_if_fresh` or `get_or_load`."""

    def get_if_fresh(self, current: TagValues) -> RenderedResponse | None:
        """This worker's copy of the response, if it has one that is fresh by the result of `check`."""

    def get_or_load(
        self, current: SharedFuture[TagValues] | None = None
    ) -> Awaitable[tuple[RenderedResponse, bool | None]]:
        """The response, and whether it came from the cache (None: it is never cached). Raises `ShopError`."""


def register(scope: Scope, route: ResolvedRoute) -> None:
    """Let `route` answer later requests of the same target. To be called when it has answered once."""
    register_target: Callable[[ResolvedRoute], None] | None = scope.get(_REGISTER)
    if register_target is not None:
        register_target(route)


class RouteCache:
    """The resolved routes of one worker, by target and audience.

    What depends on who asks is another entry for each audience (`security.principal`). So a route that has let a caller
    in is found for callers of the same audience only, whom it would let in as well.
    """

    def __init__(self) -> None:
        self._routes: LruCache[tuple[bytes, bytes, Hashable], ResolvedRoute] = LruCache(_TARGETS_BYTES)

    def find(self, scope: Scope, audience: Hashable = None) -> ResolvedRoute | None:
        """The resolved route of the target of `scope`. If there is none, `register` may add one later."""
        if scope["method"] not in READS or not memoize_on_headers(scope, _is_plain):
            return None
        target = (scope.get("raw_path", b""), scope["query_string"], audience)
        route = self._routes.get(target)
        length = len(target[0]) + len(target[1])
        if route is None and length <= _LONGEST_TARGET:
            scope[_REGISTER] = partial(self._routes.put, target, weight=_ROUTE_BYTES + _COPIES * length)
        return route


def _is_plain(headers: Headers) -> bool:
    """Whether the target alone decides the response: one well-formed Host, no body, and no header twice."""
    names = dict(headers)
    # What a header that came twice means is for the routes to decide.
    return len(names) == len(headers) and _BODY_HEADERS.isdisjoint(names) and is_host(names.get(b"host", b""))
