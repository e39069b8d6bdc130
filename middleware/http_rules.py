"""The rules of HTTP that the routes need not know: Host, trailing slashes, HEAD, malformed paths."""

import re
from functools import partial
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from infrastructure.cache.lru_cache import lru_cached_of_short
from middleware.errors import problem

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{0,5}))?")
_HIGHEST_PORT = 65_535
_IS_HEAD = "shop.is_head"
# The longest well-formed value, with a port.
_LONGEST_HOST = 261


class HttpRules:
    """Makes requests uniform before they are routed.

    A malformed or missing `Host` is 400, a path that is no text is 404, one trailing slash is dropped without a redirect,
    and HEAD runs as GET, whose body `Compression` drops. The routes see a copy of the scope; the layers around still see
    what the client sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not _is_host_valid(scope):
            response = problem(scope, 400, "The Host header is missing or malformed")
            await response(scope, receive, send)
            return
        if not _is_text(scope):
            response = problem(scope, 404, "Not Found")
            await response(scope, receive, send)
            return
        if scope["path"].endswith("/") and scope["path"] != "/":
            scope = _without_trailing_slash(scope)
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", _IS_HEAD: True}
        await self.app(scope, receive, send)


def asks_for_head(scope: Scope) -> bool:
    """Whether this GET stands for a HEAD, whose body is dropped."""
    return _IS_HEAD in scope


def _is_host_valid(scope: Scope) -> bool:
    """Whether the request has one well-formed `Host`, as HTTP/1.1 asks."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if not hosts:
        return bool(scope.get("http_version") == "1.0")
    return len(hosts) == 1 and is_host(hosts[0])


@partial(lru_cached_of_short, longest=_LONGEST_HOST, number=256)
def is_host(value: bytes) -> bool:
    """Whether this is a well-formed value of `Host`."""
    match = _HOST.fullmatch(value)
    return match is not None and int(match[1] or 0) <= _HIGHEST_PORT


def _is_text(scope: Scope) -> bool:
    """Whether the path is UTF-8 without NUL. In `path` the server has replaced what is not UTF-8."""
    raw = scope.get("raw_path") or b""
    if b"%" not in raw:
        return "\0" not in scope["path"]
    try:
        return "\0" not in unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return False


def _without_trailing_slash(scope: Scope) -> Scope:
    trimmed = {**scope, "path": scope["path"][:-1]}
    if scope.get("raw_path"):
        trimmed["raw_path"] = scope["raw_path"].removesuffix(b"/")
    return trimmed
