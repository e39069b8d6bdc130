"""Requests that nobody would write by hand: of all that the OpenAPI document tells of, with something odd in each.

The same seed gives the same requests, as long as the document and the keys are the same. Most are nearly right, since
what is wrong everywhere is refused by the first who looks.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# -- What is odd: JSON as it travels, values of queries and parts of paths, values of headers ------------------------

_VALUES = (
    b"null true false 0 -0 -0.0 1 -1 0.5 0.01 0.001 1.0 1e0 1E+2 1e-2 1e400 -1e400 1e9999999999 1e-9999999999 0e9999999999 "
    b"1e999999999999999999 1e-999999999999999999 1e99999999999999999999 NaN Infinity -Infinity 01 1. .5 +1 0x10 "
    b"2147483647 2147483648 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 "
    b'9999999999.99 9999999999.995 10000000000 1e15 1e18 1e19 [] {} [[]] [null] [{}] {"a":{}} "" " " "0" "true" "null" '
    b'"\\u0000" "\\ud800" "\\udc00" "\\ud83d\\ude00" "\\u202e" "\\ufeff" "\\u200b" "\\u00ad" "e\\u0301" "\\ufffe" '
    b'"2026-11-16" "2026-11-16T10:00:00Z" "2026-11-16T10:00:00+23:59" "2026-11-16T24:00:00Z" "2026-12-31T23:59:60Z" '
    b'"0001-01-01" "0001-01-01T00:00:00+14:00" "9999-12-31T23:59:59.999999999-12:00" "0000-01-01" "9999-12-31" '
    b'"10000-01-01" "2026-02-30" "infinity" "-infinity" "now" "2026-11-16T10:00:00-00:00" "+442071234567" "a@b.c" '
    b'"ada@example.com" "ADA@EXAMPLE.COM" "\\"@x.example" "a@xn--.example" "a@\\u00fc.example" "http://[::1" '
    b'"http://x:99999/" "javascript:1" "cash" "CARD" "BILL-2026-000001" "CREDIT-9999-999999999999" "%" "_" "\\\\" '
    b'"\'; DROP TABLE orders; --" "{0}" "%s" "%(key)s" "$1" ":name" 1 2 3 5 7 10 20 1000'
).split(b" ")
_LONG_VALUES = (
    b"9" * 999,
    b"9" * 4301,
    b"0." + b"9" * 5000,
    b'"' + b"x" * 70_000 + b'"',
    b'"' + "\N{GRINNING FACE}".encode() * 250 + b'"',
    b"[" * 300 + b"]" * 300,
    b"[" * 5000 + b"]" * 5000,
    b"[" + b",".join([b"1.5"] * 3000) + b"]",
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\x00"',
    b'"\x1f"',
)
# How odd a body is that has nothing odd in it: less than one that has no odd value, which may still have more members.
_RIGHT = -1

# Numbers whose writing is short, and which are not.
_EXTREMES = b"1e9999999999 -1e9999999999 1e-9999999999 0e9999999999 1e999999999999999999 1e3999 1e-400".split(b" ")
_IGNORED = (b"id_key", b"created_at", b"updated_at", b"returned_total")
_UNKNOWN = (b"__class__", b"\\u0000", b"\\ud800", b"a%00", b"$where", b"")
_TEXTS = (
    b"0 1 -1 2 3 7 100 1000 1001 9223372036854775807 9223372036854775808 -9223372036854775809 1e3 1.5 0x1 %D9%A1 %2B1 +1 "
    b"%00 a%00b %FF %ED%A0%80 %C0%AF %F0%9F%98%80 %E2%80%AE %0D%0AX:%201 %20 % %2 %zz true false True TRUE yes null "
    b"2026-11-16 0001-01-01 0001-01-01T00:00:00%2B14:00 9999-12-31T23:59:59-14:00 9999-12-31 10000-01-01 infinity now "
    b"2026-11-16T10:00:00Z 2026-11-16T10:00:00+02:00 cash CARD 1,2 1,,2 , order_details bill,client id_key -price,name "
    b"price,price created_at,-id_key x';-- %25 _ \\ * ( [ ~ lamp l%C3%A4mp %D0%BD%D0%BE%D1%83%D1%82 %E6%9C%A8 '%22 .. . a@b.c"
).split()
_LONG_TEXTS = (b"9" * 5000, b"x" * 9000, b"%F0%9F%98%80" * 300, b"a " * 10, b"1," * 2000, b"id_key," * 300)
_QUERY_NAMES = (b"skip limit after sort q id_key fields expand _ utm_source unknown %00 %FF %ED%A0%80 [] a[b]").split()
_PATHS = (
    b"/ // /. /.. /%2e%2e/ /%00 /%ff /%ed%a0%80 /%2f /* /products/%00 /products/%ff/stock /orders/1/unknown /docs /redoc "
    b"/openapi.json /metrics /health_check /health/live /health/ready /favicon.ico /robots.txt /docs-assets/ "
    b"/docs-assets/%2e%2e/main.py /docs-assets/%00 /products/bulk /products/bulk/ /products/bulk_delete /Products "
    b"/products;x /products%3Fa /clients/1/orders/ /products/1/ /products// /%F0%9F%98%80 /products/%F0%9F%98%80"
).split()
_HEADERS: dict[bytes, Sequence[bytes]] = {
    b"Idempotency-Key": (
        b"k",
        b"a b",
        b"\xff",
        b"\xe2\x82\xac",
        b'"quoted"',
        b"x" * 255,
        b"x" * 256,
        b"",
        b"\\",
        b"'",
        b"%s",
    ),
    b"If-Match": (
        b"*",
        b"",
        b'"',
        b'""',
        b'W/"1"',
        b'"a", *',
        b"\xff",
        b'"1-2.3"',
        b", ,",
        b'"' + b"x" * 5000 + b'"',
        b"1",
    ),
    b"If-None-Match": (
        b"*",
        b"",
        b'"',
        b'W/"a"',
        b'"a","b"',
        b"\xff\xfe",
        b'"\xe2\x82\xac"',
        b'"x"' * 900,
        b"x",
        b'W/"',
    ),
    b"If-Modified-Since": (b"Sat, 28 Nov 2026 10:00:00 GMT", b"never", b"\xff"),
    b"Accept": (
        b"*/*",
        b"",
        b"text/html",
        b"application/json;q=x",
        b";",
        b",",
        b"\xff/\xff",
        b"a/b;q=1e999",
        b"*/*;q=-1",
    ),
    b"Accept-Encoding": (
        b"gzip",
        b"zstd;q=1",
        b"br, gzip;q=0",
        b"*;q=0",
        b"identity;q=0",
        b"gzip;q=nan",
        b";q=",
        b"\xff",
        b"",
    ),
    b"Accept-Language": (b"\xff", b"de;q=2"),
    b"Content-Type": (
        b"application/json",
        b"application/merge-patch+json",
        b"APPLICATION/JSON; charset=utf-16",
        b"text/plain",
        b"",
        b"/",
        b";",
        b"application/",
        b"\xff",
        b'application/json; boundary="',
        b"a" * 3000,
        b"multipart/form-data",
        b"application/x-www-form-urlencoded",
        b"application/json;charset*=utf-8''%ff",
    ),
    b"Content-Encoding": (b"identity", b"gzip", b"\xff", b"", b","),
    b"Prefer": (
        b"return=minimal",
        b"return=representation",
        b"return=",
        b"=,;",
        b"\xff",
        b'return="minimal',
        b"respond-async",
    ),
    b"X-Request-ID": (b"abc", b"a b", b"\xff", b"x" * 129, b""),
    b"traceparent": (
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-0-0-0",
        b"\xff",
        b"ff-" + b"0" * 60,
    ),
    b"tracestate": (b"a=b", b"\xff", b"=" * 600),
    b"X-Forwarded-For": (b"1.2.3.4", b"::1", b"\xff", b",", b"[", b"fe80::1%eth0", b"1.2.3.4:x", b"999.1.1.1"),
    b"X-Real-IP": (b"\xff", b"::ffff:1.2.3.4"),
    b"Origin": (b"null", b"http://shop", b"https://other.example", b"\xff", b"http://[", b"//", b"http://x:99999"),
    b"Sec-Fetch-Site": (b"same-origin", b"cross-site", b"none", b"\xff"),
    b"Access-Control-Request-Method": (b"PUT", b"\xff"),
    b"Range": (b"bytes=0-1", b"bytes=-", b"bytes=9-1,1-9", b"\xff"),
    b"Cookie": (b"a=b", b"\xff"),
    b"Authorization": (b"Bearer \xff", b"Basic !"),
    b"Upgrade": (b"websocket", b"h2c"),
    b"X-HTTP-Method-Override": (b"DELETE",),
}
_HOSTS = (
    b"shop",
    b"shop",
    b"shop:80",
    b"[::1]",
    b"[::1",
    b"\xff",
    b"a b",
    b"shop:99999",
    b"",
    b"127.0.0.1:8000",
    b"xn--",
    b"%00",
)
_METHODS = (b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"PROPFIND")
_RESOURCES = {
    "client_id": "clients",
    "category_id": "categories",
    "product_id": "products",
    "order_id": "orders",
    "address_id": "addresses",
    "order_detail_id": "order_details",
}
# What the others point to comes first.
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
# Texts that must be unique are made so.
_UNIQUE = frozenset(("name", "sku", "email", "bill_number"))


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that the document tells of: its parameters of the query, and a body that is right."""

    method: bytes
    path: str
    query: tuple[bytes, ...]
    body: Any = None


def operations_of(document: Mapping[str, Any]) -> list[Operation]:
    """All calls that an OpenAPI document tells of."""
    return [
        Operation(
            method.upper().encode(),
            path,
            tuple(it["name"].encode() for it in operation.get("parameters", ()) if it.get("in") == "query"),
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example"),
        )
        for path, calls in document["paths"].items()
        for method, operation in calls.items()
        if isinstance(operation, dict) and "responses" in operation
    ]


class FuzzedRequests:
    """Endless different requests. `remember` takes what they were answered with, so that some are about rows there are."""

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
        """The method and the whole of each request."""
        while True:
            self._number += 1
            yield self._request()

    def right(self, path: str) -> bytes:
        """A POST to `path` with nothing odd in it."""
        example = next(it.body for it in self._operations if (it.method, it.path) == (b"POST", path))
        self._number += 1
        body = self._written(example, _RIGHT)
        head = b"Host: shop\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        return b"POST %b HTTP/1.1\r\n%b\r\n" % (path.encode(), head) + body

    def remember(self, tag: str | None, location: str | None) -> None:
        """Use the entity tag and the row of an answer in requests to come."""
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
            return self._dice.choice(_PATHS)
        path = operation.path.encode()
        while b"{" in path:
            before, _, rest = path.partition(b"{")
            key = b"%d" % self._key_of(before.decode().split("/")[1]) if self._chance(90) else self._odd_text()
            path = before + key.replace(b"/", b"") + rest.partition(b"}")[2]
        return path + b"/" if self._chance(5) else path

    def _query(self, operation: Operation) -> bytes:
        if not self._chance(60 if operation.query else 8):
            return b""
        names = operation.query or _QUERY_NAMES
        parts = []
        for _ in range(self._dice.randint(1, 3)):
            name = self._dice.choice(names if self._chance(92) else _QUERY_NAMES)
            parts.append(name + b"=" + self._odd_text() if self._chance(96) else name)
        return b"?" + b"&".join(parts)

    def _key_of(self, resource: str) -> int:
        """The key of a row that is probably there."""
        return self._dice.choice(self._rows.get(resource) or range(1, 13))

    def _odd_text(self) -> bytes:
        return self._dice.choice(_TEXTS if self._chance(95) else _LONG_TEXTS).replace(b" ", b"+")

    # -- headers -----------------------------------------------------------------------------------

    def _headers(self, method: bytes) -> list[tuple[bytes, bytes]]:
        headers = [(b"Host", b"shop" if self._chance(97) else self._dice.choice(_HOSTS))]
        if method == b"POST" and self._chance(40):
            headers.append((b"Idempotency-Key", self._key()))
        if self._chance(15):
            headers.append((self._dice.choice((b"If-Match", b"If-None-Match")), self._dice.choice(self._tags)))
        for _ in range(self._dice.randrange(3) if self._chance(50) else 0):
            name = self._dice.choice(tuple(_HEADERS))
            headers.append((name, self._dice.choice(_HEADERS[name])))
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
            return self._dice.choice(_EXTREMES)
        return self._dice.choice(_VALUES if self._chance(96) else _LONG_VALUES)

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
                members.append(b'"%b":%b' % (self._dice.choice(_IGNORED), self._odd_value()))
            if self._chance(odd // 4):
                members.append(b'"%b":%b' % (self._dice.choice(_UNKNOWN), self._odd_value()))
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
