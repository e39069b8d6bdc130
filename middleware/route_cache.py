"""What is remembered of targets that were read before: how they are read, not what the answer was.

Whether an answer is still good is decided where it is cached. Nothing here knows an entity.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from starlette.types import Scope

from infrastructure.cache.batching import SharedAnswer
from infrastructure.cache.lru_cache import Memo
from infrastructure.cache.rendered_response import Answer
from infrastructure.cache.tags import Found
from infrastructure.server.request_heads import Headers, said_of_headers
from middleware.http_rules import is_host

# So many bytes are remembered of targets, and of none that is longer. How a list is read takes some 6 kB beside its
# target, whose parts are there several times: as parameters, as filters, as keys in the cache.
_TARGETS_BYTES = 28 * 1024 * 1024
_LONGEST_TARGET = 512
_READ_BYTES, _COPIES = 6000, 8

_REMEMBER = "shop.remember"
_READS = frozenset(("GET", "HEAD"))
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding"))


class Read(Protocol):
    """How the GET of one target is answered, again and again."""

    @property
    def cache_control(self) -> bytes:
        """What caches on the way may do with the answer."""

    def look(self) -> SharedAnswer[Found] | None:
        """Begin to find out whether a cached answer is good; the result is for `recall` or `answer`."""

    def recall(self, found: Found) -> Answer | None:
        """The cached answer, if this worker has it and it is good by what was found."""

    def answer(self, found: SharedAnswer[Found] | None = None) -> Awaitable[tuple[Answer, bool | None]]:
        """The answer, and whether the cache had it (None: it is never cached). Raises `ShopError`."""


def remember(scope: Scope, read: Read) -> None:
    """Let later requests of the same target be answered by `read`. To be called when it has answered once."""
    remember_target: Callable[[Read], None] | None = scope.get(_REMEMBER)
    if remember_target is not None:
        remember_target(read)


class KnownReads:
    """The reads of one worker, by target."""

    def __init__(self) -> None:
        self._reads: Memo[tuple[bytes, bytes], Read] = Memo(_TARGETS_BYTES)

    def find(self, scope: Scope) -> Read | None:
        """The read of the target of `scope`. If there is none, `remember` may tell one later."""
        if scope["method"] not in _READS or not said_of_headers(scope, _is_plain):
            return None
        target = (scope.get("raw_path", b""), scope["query_string"])
        read = self._reads.get(target)
        length = len(target[0]) + len(target[1])
        if read is None and length <= _LONGEST_TARGET:
            scope[_REMEMBER] = partial(self._reads.put, target, weight=_READ_BYTES + _COPIES * length)
        return read


def _is_plain(headers: Headers) -> bool:
    """Whether nothing but the target decides the answer: one well-formed Host, no body, and no header twice."""
    names = dict(headers)
    # What is odd about a header that came twice is for the routes to say.
    return len(names) == len(headers) and _BODY_HEADERS.isdisjoint(names) and is_host(names.get(b"host", b""))
