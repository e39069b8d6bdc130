"""Requests that try to block a worker or to fill its memory: bodies, queries and headers of every shape.

The shapes have names; each is made when it is used, because some of them have 16 MiB.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

MEBIBYTE = 1024 * 1024
# The limits of the routes.
BULK = 16 * MEBIBYTE
SINGLE = MEBIBYTE
# Nearly the limit of the head of a request.
HEAD = 60_000

_JSON = {"Content-Type": "application/json"}
_MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request, and whether the shop has to accept it."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    is_valid: bool = False

    @property
    def size(self) -> int:
        """Its length in bytes, without the usual headers."""
        return len(self.path) + len(self.body or b"") + sum(len(name) + len(it) for name, it in self.headers.items())


def repeated(part: bytes, size: int, before: bytes = b"[", after: bytes = b"]") -> bytes:
    """JSON of about `size` bytes that repeats `part` between `before` and `after`, separated by commas."""
    count = max(1, (size - len(before) - len(after)) // (len(part) + 1))
    return before + b",".join([part] * count) + after


def many_keys(size: int) -> bytes:
    """The members of an object of about `size` bytes: different unknown fields."""
    fields: list[bytes] = []
    length = 0
    while length < size - 20:
        fields.append(b'"%d":0' % len(fields))
        length += len(fields[-1]) + 1
    return b",".join(fields)


def _row(value: bytes) -> bytes:
    return b'{"name":' + value + b"}"


def _values(size: int) -> dict[str, bytes]:
    """JSON values of about `size` bytes, each costly in its own way."""
    depth = size // 2
    return {
        "fractions": repeated(b"1.5", size),
        "integers": repeated(b"12345", size),
        "long integers": repeated(b"9" * 4000, size),
        "one integer": b"9" * size,
        "one fraction": b"1." + b"9" * size,
        "exponents": repeated(b"1e999999999", size),
        "texts": repeated(b'"ab"', size),
        "one text": b'"' + b"x" * size + b'"',
        "one text of two scripts": '"{}\N{GRINNING FACE}"'.format("x" * size).encode(),
        "escapes": b'"' + rb"\u0041" * (size // 6) + b'"',
        "pairs of surrogates": b'"' + rb"\ud83d\ude00" * (size // 12) + b'"',
        "empty objects": repeated(b"{}", size),
        "small objects": repeated(b'{"a":1}', size),
        "empty arrays": repeated(b"[]", size),
        "nested deep": b"[" * depth + b"]" * depth,
        "nested often": repeated(b"[" * 400 + b"]" * 400, size),
        "nested objects": repeated(b'{"a":' * 400 + b"1" + b"}" * 400, size),
        "many fields": b"{" + many_keys(size) + b"}",
        "commas in a text": b'"' + b"," * size + b'"',
        "cut off": repeated(b"1.5", size)[:-1],
    }


def _products(size: int, filler: str, category: int) -> bytes:
    """The largest number of valid products in a request, with descriptions that fill it to `size` bytes."""
    mark = uuid.uuid4().hex[:12]
    room = max(0, size // _MOST_ROWS - 150)
    text = filler * (room // len(filler.encode()))
    rows = [
        {
            "name": f"Chair {mark} {n}",
            "sku": f"{mark}-{n}",
            "description": text,
            "price": 9.5,
            "stock": 3,
            "category_id": category,
        }
        for n in range(_MOST_ROWS)
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def _categories() -> bytes:
    mark = uuid.uuid4().hex
    return json.dumps([{"name": f"Shelf {mark} {n}"} for n in range(_MOST_ROWS)]).encode()


def _bulk(body: bytes, path: str = "/products/bulk", *, valid: bool = False, **headers: str) -> Hostile:
    return Hostile("POST", path, body, {**_JSON, **headers}, valid)


def _keyed(hostile: Hostile) -> Hostile:
    headers = {**hostile.headers, "Idempotency-Key": uuid.uuid4().hex}
    return Hostile(hostile.method, hostile.path, hostile.body, headers, hostile.is_valid)


def _with_values(size: int, made: Callable[[bytes], Hostile], label: str) -> dict[str, Callable[[], Hostile]]:
    """`made` of each costly value, called when the shape is used."""
    return {f"{label}: {name}": partial(lambda one: made(_values(size)[one]), name) for name in _values(100)}


def _bulk_shapes(size: int, category: int) -> dict[str, Callable[[], Hostile]]:
    shapes: dict[str, Callable[[], Hostile]] = {
        "10,000 categories": lambda: _bulk(_categories(), "/categories/bulk", valid=True),
        "10,000 categories under a key": lambda: _keyed(_bulk(_categories(), "/categories/bulk", valid=True)),
        "10,000 long products": lambda: _bulk(_products(size, "wood ", category), valid=True),
        "10,000 long products under a key": lambda: _keyed(_bulk(_products(size, "wood ", category), valid=True)),
        "10,000 products of two scripts": lambda: _bulk(
            _products(size, "wood wood wood \N{GRINNING FACE}", category), valid=True
        ),
        "rows that lack everything": lambda: _bulk(repeated(b"{}", size)),
        "rows of unknown fields": lambda: _bulk(repeated(b"{" + many_keys(2000) + b"}", size)),
        "one row of unknown fields": lambda: _bulk(b"[{" + many_keys(size) + b"}]"),
        "spaces": lambda: _bulk(b"[" + b" " * size + b"]"),
        "a long row": lambda: _bulk(b"[" + _row(b'"' + b"x" * size + b'"') + b"]"),
        "10,001 rows": lambda: _bulk(repeated(b'{"name":"x"}', 13 * 10_001, b"["), "/categories/bulk"),
    }
    shapes |= _with_values(size, _bulk, "rows")
    return shapes | _with_values(min(size, SINGLE) // 2, lambda value: _bulk(b"[" + _row(value) + b"]"), "in a row")


def _single_shapes() -> dict[str, Callable[[], Hostile]]:
    size = SINGLE - 200
    shapes: dict[str, Callable[[], Hostile]] = {
        "unknown fields": lambda: _bulk(b"{" + many_keys(size) + b"}", "/products"),
        "lines of unknown fields": lambda: _bulk(
            repeated(b"{" + many_keys(1150) + b"}", size, b'{"lines":[', b"]}"), "/checkout"
        ),
        "lines that lack everything": lambda: _bulk(repeated(b"{}", size, b'{"lines":[', b"]}"), "/checkout"),
        "1,000 empty lines": lambda: _bulk(repeated(b"{}", 3012, b'{"lines":[', b"]}"), "/checkout"),
        "returned lines of unknown fields": lambda: _bulk(
            repeated(b"{" + many_keys(1150) + b"}", size, b'{"lines":[', b"]}"), "/orders/1/returns"
        ),
        "a body where none is wanted": lambda: _bulk(_values(size)["fractions"], "/orders/1/cancel"),
    }
    shapes |= _with_values(size, lambda value: _bulk(_row(value), "/products"), "a name")
    return shapes | _with_values(size, _ignored, "ignored, under a key")


def _ignored(value: bytes) -> Hostile:
    mark = uuid.uuid4().hex.encode()
    return _keyed(_bulk(b'{"name":"' + mark + b'","id_key":' + value + b"}", "/categories"))


def _head_shapes() -> dict[str, Callable[[], Hostile]]:
    def query(part: str) -> Callable[[], Hostile]:
        return lambda: Hostile("GET", "/products?" + (part * (HEAD // len(part) + 1))[:HEAD])

    def header(name: str, part: str, method: str = "GET", body: bytes | None = None) -> Callable[[], Hostile]:
        kind = {} if body is None else _JSON
        return lambda: Hostile(method, "/products/1", body, {**kind, name: (part * (HEAD // len(part) + 1))[:HEAD]})

    return {
        "query: names": lambda: Hostile("GET", "/products?" + "&".join(f"n{n}=1" for n in range(HEAD // 9))),
        "query: empty parameters": query("&"),
        "query: one letter": query("a&"),
        "query: one parameter again and again": query("skip=0&"),
        "query: escapes": query("%41=%42&"),
        "query: one long value": lambda: Hostile("GET", "/products?q=" + "x" * HEAD),
        "query: a long number": lambda: Hostile("GET", "/products?limit=" + "9" * HEAD),
        "query: a long sort": lambda: Hostile("GET", "/products?sort=" + "price," * (HEAD // 6)),
        "headers: If-None-Match": header("If-None-Match", '"a",'),
        "headers: If-Match": header("If-Match", '"a",', "PUT", b'{"name":"x"}'),
        "headers: Accept": header("Accept", "a/b;q=0.5,"),
        "headers: Accept-Encoding": header("Accept-Encoding", "gzip;q=0.5,"),
        "headers: Cookie": header("Cookie", "a=b; "),
        "headers: Prefer": header("Prefer", "return=minimal, "),
        "headers: X-Forwarded-For": header("X-Forwarded-For", "10.0.0.1,"),
        "headers: Idempotency-Key": header("Idempotency-Key", "x"),
        "headers: Content-Type": lambda: Hostile("POST", "/products", b"{}", {"Content-Type": "a/b;c=d" * (HEAD // 7)}),
        "headers: many": lambda: Hostile("GET", "/products/1", None, {f"x{n}": "" for n in range(HEAD // 12)}),
    }


def shapes(bulk: int = BULK - 100_000, category: int = 1) -> dict[str, Callable[[], Hostile]]:
    """All shapes by name, with bulk requests of about `bulk` bytes, whose products are of the `category`.

    Each call of a shape makes a new request, with unused names and keys.
    """
    return {**_bulk_shapes(bulk, category), **_single_shapes(), **_head_shapes()}
