"""What is remembered of targets that were read before: how they are read, not what the answer was.

Whether an answer is still good is decided where it is cached. Nothing here knows an entity.
"""

from collections.abc import Awaitable, Callable
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

# So many bytes are remembered of targets, and of none that is longer. How a list is read takes some 6 kB beside its
# target, whose parts are there several times: as parameters, as filters, as keys in the cache.
_TARGETS_BYTES = 28 * 1024 * 1024
_LONGEST_TARGET = 512
_READ_BYTES, _COPIES = 6000, 8

_REGISTER = "shop.remember"
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding"))


class ResolvedRoute(Protocol):
    """How the GET of one target is answered, again and again."""

    @property
    def cache_control(self) -> bytes:
        """What caches on the way may do with the answer."""

    def check(self) -> SharedFuture[TagValues] | None:
        """Begin to find out whether a cached answer is good; the result is for `recall` or `answer`."""

    def get_if_fresh(self, found: TagValues) -> RenderedResponse | None:
        """The cached answer, if this worker has it and it is good by what was found."""

    def answer(self, found: SharedFuture[TagValues] | None = None) -> Awaitable[tuple[RenderedResponse, bool | None]]:
        """The answer, and whether the cache had it (None: it is never cached). Raises `ShopError`."""


def register(scope: Scope, route: ResolvedRoute) -> None:
    """Let later requests of the same target be answered by `read`. To be called when it has answered once."""
    remember_target: Callable[[ResolvedRoute], None] | None = scope.get(_REGISTER)
    if remember_target is not None:
        remember_target(route)


class RouteCache:
    """The reads of one worker, by target."""

    def __init__(self) -> None:
        self._reads: LruCache[tuple[bytes, bytes], ResolvedRoute] = LruCache(_TARGETS_BYTES)

    def find(self, scope: Scope) -> ResolvedRoute | None:
        """The read of the target of `scope`. If there is none, `remember` may tell one later."""
        if scope["method"] not in READS or not memoize_on_headers(scope, _is_plain):
            return None
        target = (scope.get("raw_path", b""), scope["query_string"])
        route = self._reads.get(target)
        length = len(target[0]) + len(target[1])
        if route is None and length <= _LONGEST_TARGET:
            scope[_REGISTER] = partial(self._reads.put, target, weight=_READ_BYTES + _COPIES * length)
        return route


def _is_plain(headers: Headers) -> bool:
    """Whether nothing but the target decides the answer: one well-formed Host, no body, and no header twice."""
    names = dict(headers)
    # What is odd about a header that came twice is for the routes to say.
    return len(names) == len(headers) and _BODY_HEADERS.isdisjoint(names) and is_host(names.get(b"host", b""))
