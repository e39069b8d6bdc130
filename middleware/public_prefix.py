"""The public prefix: what a proxy, or the server itself, has taken off the front of the path before it came here.

Clients need it in everything that leads back to the shop. Routes, caches and kept replies know nothing of it: it is put in
front of `Location` and `Link` when an answer leaves, and pages ask `prefix_of`.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

from starlette.types import Scope

from infrastructure.server.request_heads import Headers

_PREFIX = "shop.prefix"
_HEADER = b"x-forwarded-prefix"
# Segments that are neither empty nor dots: what begins with two slashes would lead to another host.
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+;=:@%-]+)+")
# It stands in each link of a page.
_LONGEST = 64


def forwarded_prefix(headers: Headers) -> str:
    """What `X-Forwarded-Prefix` says, joined where several proxies have taken something off; "" for what is no path."""
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


def note_prefix(scope: Scope, prefix: str) -> None:
    """Have `prefix_of` tell it."""
    scope[_PREFIX] = prefix


def prefix_of(scope: Scope) -> str:
    """The public prefix of a request, such as /shop; "" where there is none."""
    return str(scope.get(_PREFIX, ""))


def with_prefix(headers: Iterable[tuple[bytes, bytes]], prefix: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer as they lead clients below `prefix`."""
    return [(name, _led_below(name, value, prefix.encode())) for name, value in headers]


def links_with_prefix(lines: bytes, prefix: str) -> bytes:
    """The same for lines of headers without a `Location`."""
    return lines.replace(b"</", b"<%b/" % prefix.encode())


def _led_below(name: bytes, value: bytes, prefix: bytes) -> bytes:
    if name == b"link":
        return value.replace(b"</", b"<%b/" % prefix)
    return prefix + value if name == b"location" and value.startswith(b"/") else value
