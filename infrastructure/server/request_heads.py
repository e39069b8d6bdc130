"""A cache of request heads: what the HTTP parser made of them, by their bytes.

A client sends the same header lines with all its requests, and many clients request the same targets. A request line and
a block of header lines are cached by themselves: each means the same in every request, as long as the request has no body
and no special header.
"""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeVar, cast

from infrastructure.cache.lru_cache import LruCache
from infrastructure.server.http_methods import READS

T = TypeVar("T")
Headers = Sequence[tuple[bytes, bytes]]

# The bytes of each cache, and of its longest entry. The headers of a browser take some 700 bytes.
_LINES_BYTES, _LONGEST_LINE = 6 * 1024 * 1024, 600
_BLOCKS_BYTES, _LONGEST_BLOCK = 4 * 1024 * 1024, 2000
# The objects of an entry, beside its bytes, which are there up to five times; and the objects of each header, or of each
# part of a header that has a memoized result.
_OBJECTS_BYTES, _COPIES, _PART_BYTES = 900, 5, 220

_END = b"\r\n\r\n"
_LINE_FIELDS = ("method", "path", "raw_path", "query_string")
# A request with one of these may have a body, or end its connection in another way.
_SPECIAL = frozenset(
    (b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection", b"proxy-connection", b"trailer")
)
_KEEP_ALIVE = (b"connection", b"keep-alive")

_RESULTS = "shop.memoize_on_headers"


def memoize_on_headers(scope: Mapping[str, Any], compute: Callable[[Headers], T]) -> T:
    """`compute` of the headers of a request, which must depend on nothing else; memoized for cached heads."""
    results = scope.get(_RESULTS)
    if results is None:
        return compute(scope["headers"])
    if compute not in results:
        results[compute] = compute(scope["headers"])
    return cast(T, results[compute])


class RequestHeads:
    """Request lines and blocks of header lines, each with its fields of the ASGI scope.

    One in `learn_every` unknown heads is cached, because that costs as much as parsing. Frequent heads are soon known all
    the same, and heads that differ each time (by an id, an entity tag, the address that a proxy adds) cost next to nothing.
    """

    def __init__(self, learn_every: int = 8) -> None:
        self._learn_every = learn_every
        self._unknown = 0
        self._lines: LruCache[bytes, dict[str, Any]] = LruCache(_LINES_BYTES)
        # The headers, and the results of `memoize_on_headers`.
        self._blocks: LruCache[bytes, tuple[list[tuple[bytes, bytes]], dict[Any, Any]]] = LruCache(_BLOCKS_BYTES)

    def find(self, data: bytes) -> dict[str, Any] | None:
        """The fields of the scope, with a new list of headers, if `data` is a whole request whose head is known."""
        line, _, block = data.partition(b"\r\n")
        line_fields = self._lines.get(line)
        if line_fields is None:
            return None
        known = self._blocks.get(block)
        return None if known is None else {**line_fields, "headers": known[0].copy(), _RESULTS: known[1]}

    def learn(self, data: bytes, scope: MutableMapping[str, Any]) -> None:
        """Cache the head of `data`, which was one whole request with this scope, if it has no body and nothing special."""
        self._unknown += 1
        if self._unknown % self._learn_every:
            return
        line, _, block = data.partition(b"\r\n")
        if not _is_plain(scope) or len(line) > _LONGEST_LINE or len(block) > _LONGEST_BLOCK:
            return
        # Otherwise the parser has split it at other places than the first line and the end.
        if not line.startswith(scope["method"].encode()) or data.find(_END) != len(data) - len(_END):
            return
        self._lines.put(line, {name: scope[name] for name in _LINE_FIELDS}, _weight(line))
        parts = len(scope["headers"]) + block.count(b",")
        self._blocks.put(block, (scope["headers"].copy(), {}), _weight(block) + parts * _PART_BYTES)


def _weight(text: bytes) -> int:
    return _OBJECTS_BYTES + _COPIES * len(text)


def _is_plain(scope: MutableMapping[str, Any]) -> bool:
    return (
        scope["method"] in READS
        and scope["http_version"] == "1.1"
        and all(name not in _SPECIAL or (name, value.lower()) == _KEEP_ALIVE for name, value in scope["headers"])
    )
