"""The heads of requests as the HTTP parser understood them, remembered by their bytes.

A client sends the same lines of headers with all of its requests, and many ask for the same targets. A request line
and the lines of headers mean the same with whatever they are put together, as long as the request has no body and
nothing about it is special; both are therefore remembered by themselves.
"""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeVar, cast

from infrastructure.cache.lru_cache import LruCache
from infrastructure.server.http_methods import READS

T = TypeVar("T")
Headers = Sequence[tuple[bytes, bytes]]

# So many bytes are remembered, and nothing that is longer. The headers of a browser take some 700 bytes.
_LINES_BYTES, _LONGEST_LINE = 6 * 1024 * 1024, 600
_BLOCKS_BYTES, _LONGEST_BLOCK = 4 * 1024 * 1024, 2000
# What the objects of one take beside its bytes, which are there up to five times; and those of each header, or part of a
# header that something is said of.
_OBJECTS_BYTES, _COPIES, _PART_BYTES = 900, 5, 220

_END = b"\r\n\r\n"
_OF_THE_LINE = ("method", "path", "raw_path", "query_string")
# With one of these a request may have a body, or its connection another end than others.
_SPECIAL = frozenset(
    (b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection", b"proxy-connection", b"trailer")
)
_KEEP_ALIVE = (b"connection", b"keep-alive")

_SAID = "shop.memoize_on_headers"


def memoize_on_headers(scope: Mapping[str, Any], judge: Callable[[Headers], T]) -> T:
    """What `judge` says of the headers of a request, and of nothing else. Of headers that are known it is asked once."""
    said = scope.get(_SAID)
    if said is None:
        return judge(scope["headers"])
    if judge not in said:
        said[judge] = judge(scope["headers"])
    return cast(T, said[judge])


class RequestHeads:
    """What is known of request lines and of lines of headers, each with what it stands for in an ASGI scope.

    Of the heads that are not known, one in `learn_every` is remembered: it costs as much as to parse it. What comes again
    and again is soon known all the same, and what is different each time (an id, an entity tag, the address that a proxy
    adds) costs next to nothing.
    """

    def __init__(self, learn_every: int = 8) -> None:
        self._learn_every = learn_every
        self._unknown = 0
        self._lines: LruCache[bytes, dict[str, Any]] = LruCache(_LINES_BYTES)
        # The headers, and what was said of them.
        self._blocks: LruCache[bytes, tuple[list[tuple[bytes, bytes]], dict[Any, Any]]] = LruCache(_BLOCKS_BYTES)

    def find(self, data: bytes) -> dict[str, Any] | None:
        """What the head of a request says, if `data` is a whole request whose head is known; with a new list of headers."""
        line, _, block = data.partition(b"\r\n")
        of_line = self._lines.get(line)
        if of_line is None:
            return None
        known = self._blocks.get(block)
        return None if known is None else {**of_line, "headers": known[0].copy(), _SAID: known[1]}

    def learn(self, data: bytes, scope: MutableMapping[str, Any]) -> None:
        """Remember that `data` was one whole request, and that this was its scope, if it may come again like this."""
        self._unknown += 1
        if self._unknown % self._learn_every:
            return
        line, _, block = data.partition(b"\r\n")
        if not _is_plain(scope) or len(line) > _LONGEST_LINE or len(block) > _LONGEST_BLOCK:
            return
        # Else the parser has split it at other places than the first line and the end.
        if not line.startswith(scope["method"].encode()) or data.find(_END) != len(data) - len(_END):
            return
        self._lines.put(line, {name: scope[name] for name in _OF_THE_LINE}, _weight(line))
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
