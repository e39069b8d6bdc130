"""Protection against forged requests (CSRF): pages of other origins change nothing.

From any page a browser sends a form, or a POST without a body, to any server without a preflight. In `Origin` and
`Sec-Fetch-Site`, which no page can forge, it names the origin of the page. Other clients send neither, and pass.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from config.settings import Network
from infrastructure.server.http_methods import SAFE
from middleware.client_address import is_from_proxy
from middleware.errors import refusal_of
from services.errors import CrossOrigin

# "none": the user typed the address, or used a bookmark.
_OWN_SITES = frozenset((b"same-origin", b"none"))
# A longer value is no origin of a page, and would be kept in the cache of `urlsplit`.
_LONGEST_ORIGIN = 300
_DEFAULT_PORTS = {"http": 80, "https": 443}


class SameOrigin:
    """Refuses with 403 a request that would change something, if its page is neither the shop's own nor of `allowed`.

    `allowed` are origins, or "*" for any. The shop's own host is the one of `Host`, or of `X-Forwarded-Host` where the
    peer is in `trusted`; whether a proxy speaks TLS with the browser does not matter.
    """

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str] = (), trusted: tuple[Network, ...] = ()) -> None:
        self.app = app
        self._allowed = frozenset(origin.encode("latin-1", "replace") for origin in allowed)
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE and not self._may_change(scope):
            await refusal_of(CrossOrigin(), scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _may_change(self, scope: Scope) -> bool:
        origin = site = None
        for name, value in scope["headers"]:
            if name == b"origin":
                # Several values: none is believed.
                origin = value if origin is None else b""
            elif name == b"sec-fetch-site":
                site = value if site is None else b""
        if origin is None and site is None:
            return True
        if origin is not None and (origin in self._allowed or b"*" in self._allowed):
            return True
        if site is not None:
            return site in _OWN_SITES
        return origin is not None and len(origin) <= _LONGEST_ORIGIN and self._is_own(origin, scope)

    def _is_own(self, origin: bytes, scope: Scope) -> bool:
        names = [b"host"]
        if is_from_proxy(scope, self._trusted):
            names.append(b"x-forwarded-host")
        hosts = [host for name, value in scope["headers"] if name in names for host in value.split(b",")]
        return any(_is_at(origin, host) for host in hosts)


def _is_at(origin: bytes, host: bytes) -> bool:
    """Whether the origin is at this host; a missing port is the default of the origin's scheme."""
    try:
        page = urlsplit(origin.decode("ascii"))
        server = urlsplit(f"//{host.decode('ascii').strip()}")
        default = _DEFAULT_PORTS[page.scheme]
        return page.hostname is not None and (page.hostname, page.port or default) == (
            server.hostname,
            server.port or default,
        )
    except (ValueError, KeyError):
        return False
