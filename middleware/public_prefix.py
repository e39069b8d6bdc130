"""The public prefix: what a proxy, or the server itself, has taken off the front of the path.

Clients need it in every link to the shop. Routes, caches and kept replies do not know it: it is added to `Location` and
`Link` when a response is sent, and the documentation asks `prefix_of`.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

from starlette.types import Scope

from infrastructure.server.request_heads import Headers

_PREFIX = "shop.prefix"
_HEADER = b"x-forwarded-prefix"
# Segments are neither empty nor dots: a link that begins with two slashes leads to another host.
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+;=:@%-]+)+")
# It is in each link of a page.
_LONGEST = 64


def forwarded_prefix(headers: Headers) -> str:
    """The value of `X-Forwarded-Prefix`, joined if there are several; "" for one that is no path."""
    parts = b",".join(value for name, value in headers if name == _HEADER).decode("latin-1").split(",")
    prefix = "".join(part.strip().rstrip("/") for part in parts)
    return prefix if len(prefix) <= _LONGEST and _PATH.fullmatch(prefix) else ""


def take_off_root_path(scope: Scope) -> str:
    """Take the server's `root_path` off the paths of `scope`; returns it in the form of a prefix."""
    root = scope["root_path"]
    scope["root_path"] = ""
    scope["path"] = _below(root, scope["path"])
    if scope.get("raw_path"):
        scope["raw_path"] = _below(root, scope["raw_path"].decode("latin-1")).encode("latin-1")
    names = root.strip("/")
    return f"/{quote(names)}" if names else ""


def _below(root: str, path: str) -> str:
    for front in (root, root.rstrip("/")):
        rest = path.removeprefix(front)
        if rest != path and rest[:1] in ("", "/"):
            return rest or "/"
    return path


def keep_prefix(scope: Scope, prefix: str) -> None:
    """Keep the prefix of a request for `prefix_of`."""
    scope[_PREFIX] = prefix


def prefix_of(scope: Scope) -> str:
    """The public prefix of a request, such as /shop; "" where there is none."""
    return str(scope.get(_PREFIX, ""))


def with_prefix(headers: Iterable[tuple[bytes, bytes]], prefix: str) -> list[tuple[bytes, bytes]]:
    """The headers of a response, with `prefix` in their links."""
    return [(name, _prefixed(name, value, prefix.encode())) for name, value in headers]


def links_with_prefix(lines: bytes, prefix: str) -> bytes:
    """The same for lines of headers without a `Location`."""
    return lines.replace(b"</", b"<%b/" % prefix.encode())


def _prefixed(name: bytes, value: bytes, prefix: bytes) -> bytes:
    if name == b"link":
        return value.replace(b"</", b"<%b/" % prefix)
    return prefix + value if name == b"location" and value.startswith(b"/") else value
