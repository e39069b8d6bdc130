"""Warns once of each peer that names other clients without being trusted: most likely a proxy missing in the settings."""

import logging

from starlette.types import Scope

from config.settings import Network
from middleware.client_address import is_from_proxy, peer_of

log = logging.getLogger("shop.proxies")

# The headers by which a proxy names its client.
PROXY_HEADERS = {b"x-forwarded-for": "X-Forwarded-For", b"forwarded": "Forwarded", b"x-real-ip": "X-Real-IP"}
# The most warnings of one worker: any client may send these headers.
_MOST_PEERS = 8


class UntrustedProxies:
    """Warns of peers that are not in `trusted` and send the header of a proxy."""

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted
        self._warned: set[str] = set()

    def warn_once(self, scope: Scope, header: str) -> None:
        """Warn if the peer of this request, which has such a `header`, is not trusted and had no warning yet."""
        peer = peer_of(scope)
        if peer in self._warned or len(self._warned) == _MOST_PEERS or is_from_proxy(scope, self._trusted):
            return
        self._warned.add(peer)
        log.warning(
            "%s sends %s and is not in TRUSTED_PROXIES: the header is ignored, and all clients behind this peer "
            "share one rate limit. If it is your proxy, name it there",
            peer,
            header,
        )
