"""Random requests for fuzzing: for all operations of the OpenAPI document, with something odd in each.

The same seed gives the same requests, as long as the document and the keys are the same. Most are nearly valid, because
the first check would refuse a request that is invalid everywhere.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.odd_values import (
    EXTREMES,
    HEADERS,
    HOSTS,
    IGNORED,
    LONG_TEXTS,
    LONG_VALUES,
    PATHS,
    QUERY_NAMES,
    TEXTS,
    UNKNOWN,
    VALUES,
)

# The oddness of a valid body; with oddness 0 there are no odd values, but there may be additional members.
_RIGHT = -1

_METHODS = (b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"PROPFIND")
_RESOURCES = {
    "client_id": "clients",
    "category_id": "categories",
    "product_id": "products",
    "order_id": "orders",
    "address_id": "addresses",
    "order_detail_id": "order_details",
}
# In this order, because later rows refer to earlier ones.
RIGHT = (
    "/categories",
    "/clients",
    "/products",
    "/addresses",
    "/reviews",
    "/bills",
    "/orders",
    "/order_details",
    "/checkout",
)
# Fields whose texts must be unique.
_UNIQUE = frozenset(("name", "sku", "email", "bill_number"))


_ENDLESS = ("stream_events",)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the document, with its query parameters, and a valid body."""

    method: bytes
    path: str
    query: tuple[bytes, ...]
    body: Any = None


def operations_of(document: Mapping[str, Any]) -> list[Operation]:
    """All operations of an OpenAPI document that come to an end."""
    return [
        Operation(
            method.upper().encode(),
            path,
            tuple(it["name"].encode() for it in operation.get("parameters", ()) if it.get("in") == "query"),
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example"),
        )
        for path, calls in document["paths"].items()
        for method, operation in calls.items()
        if isinstance(operation, dict) and "responses" in operation and operation["operationId"] not in _ENDLESS
    ]


class FuzzedRequests:
    """Endless different requests. `remember` takes headers of the responses, so that some requests refer to existing rows."""

    def __init__(self, operations: Sequence[Operation], seed: int) -> None:
        self._operations = operations
        # No secret depends on it.
        self._dice = random.Random(seed)
        self._number = 0
        self._seed = seed
        self._keys: list[bytes] = [b"first"]
        self._tags: list[bytes] = [b'"1-1"']
        self._rows: dict[str, list[int]] = {}

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """The method and the bytes of each request."""
        while True:
            self._number += 1
            yield self._request()

    def right(self, path: str) -> bytes:
        """A valid POST to `path`."""
        example = next(it.body for it in self._operations if (it.method, it.path) == (b"POST", path))
        self._number += 1
        body = self._written(example, _RIGHT)
        head = b"Host: shop\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        return b"POST %b HTTP/1.1\r\n%b\r\n" % (path.encode(), head) + body

    def remember(self, tag: str | None, location: str | None) -> None:
        """Use the entity tag and the row of a response in later requests."""
        if location is not None and location.count("/") == 2:
            _, resource, key = location.split("/")
            rows = self._rows.setdefault(resource, [])
            rows.append(int(key))
            del rows[:-12]
        if tag is None:
            return
        self._tags.append(tag.encode("latin-1"))
        del self._tags[:-50]

    def _chance(self, percent: int) -> bool:
        return self._dice.randrange(100) < percent

    def _request(self) -> tuple[bytes, bytes]:
        operation = self._dice.choice(self._operations)
        method = self._dice.choice(_METHODS) if self._chance(6) else operation.method
        target = self._path(operation) + self._query(operation)
        headers = self._headers(method)
        body = b""
        if operation.body is not None or self._chance(5):
            body = self._body(operation.body)
            if not any(name == b"Content-Type" for name, _ in headers):
                headers.append((b"Content-Type", b"application/json"))
        if body and self._chance(10):
            headers.append((b"Transfer-Encoding", b"chunked"))
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif body or method in (b"POST", b"PUT", b"PATCH"):
            headers.append((b"Content-Length", b"%d" % len(body)))
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, b"".join(b"%b: %b\r\n" % one for one in headers))
        return method, head + body

    # -- the target --------------------------------------------------------------------------------

    def _path(self, operation: Operation) -> bytes:
        if self._chance(4):
            return self._dice.choice(PATHS)
        path = operation.path.encode()
        while b"{" in path:
            before, _, rest = path.partition(b"{")
            key = b"%d" % self._key_of(before.decode().split("/")[1]) if self._chance(90) else self._odd_text()
            path = before + key.replace(b"/", b"") + rest.partition(b"}")[2]
        return path + b"/" if self._chance(5) else path

    def _query(self, operation: Operation) -> bytes:
        if not self._chance(60 if operation.query else 8):
            return b""
        names = operation.query or QUERY_NAMES
        parts = []
        for _ in range(self._dice.randint(1, 3)):
            name = self._dice.choice(names if self._chance(92) else QUERY_NAMES)
            parts.append(name + b"=" + self._odd_text() if self._chance(96) else name)
        return b"?" + b"&".join(parts)

    def _key_of(self, resource: str) -> int:
        """The key of a row that probably exists."""
        return self._dice.choice(self._rows.get(resource) or range(1, 13))

    def _odd_text(self) -> bytes:
        return self._dice.choice(TEXTS if self._chance(95) else LONG_TEXTS).replace(b" ", b"+")

    # -- headers -----------------------------------------------------------------------------------

    def _headers(self, method: bytes) -> list[tuple[bytes, bytes]]:
        headers = [(b"Host", b"shop" if self._chance(97) else self._dice.choice(HOSTS))]
        if method == b"POST" and self._chance(40):
            headers.append((b"Idempotency-Key", self._key()))
        if self._chance(15):
            headers.append((self._dice.choice((b"If-Match", b"If-None-Match")), self._dice.choice(self._tags)))
        for _ in range(self._dice.randrange(3) if self._chance(50) else 0):
            name = self._dice.choice(tuple(HEADERS))
            headers.append((name, self._dice.choice(HEADERS[name])))
        return headers

    def _key(self) -> bytes:
        if self._chance(30):
            return self._dice.choice(self._keys)
        self._keys.append(b"fuzz-%d-%d" % (self._seed, self._number))
        del self._keys[:-30]
        return self._keys[-1]

    # -- the body ----------------------------------------------------------------------------------

    def _body(self, example: Any) -> bytes:
        if example is None or self._chance(4):
            return self._odd_value()
        odd = self._dice.choice((0, 4, 12, 40))
        body = self._written(example, odd)
        if self._chance(2):
            place = self._dice.randrange(len(body))
            body = (
                body[:place] + self._dice.choice((b"", b"\x00", b"\xff", b",", b'"', b"}", b"\\")) + body[place + 1 :]
            )
        return body

    def _odd_value(self) -> bytes:
        if self._chance(15):
            return self._dice.choice(EXTREMES)
        return self._dice.choice(VALUES if self._chance(96) else LONG_VALUES)

    def _written(self, value: Any, odd: int, name: str = "") -> bytes:
        if name and self._chance(odd):
            return self._odd_value()
        if isinstance(value, dict):
            members = [
                b"%b:%b" % (json.dumps(key).encode(), self._written(one, odd, key))
                for key, one in value.items()
                if not self._chance(odd // 4)
            ]
            if odd != _RIGHT and self._chance(20):
                members.append(b'"%b":%b' % (self._dice.choice(IGNORED), self._odd_value()))
            if self._chance(odd // 4):
                members.append(b'"%b":%b' % (self._dice.choice(UNKNOWN), self._odd_value()))
            return b"{" + b",".join(members) + b"}"
        if isinstance(value, list):
            count = self._dice.choice((1, 1, 2, 3, 0)) if odd > 0 else 1
            return b"[" + b",".join(self._written(value[0], odd, "item") for _ in range(count)) + b"]"
        if name in _UNIQUE and isinstance(value, str) and self._chance(80):
            value = f"{self._seed}{self._number}{value}"
        elif name.endswith("_id") and isinstance(value, int):
            value = self._key_of(_RESOURCES.get(name, "bills"))
        elif name == "id_key":
            value = self._key_of("products")
        return json.dumps(value).encode()
