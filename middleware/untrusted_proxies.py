"""Says once of each peer that speaks for others without being trusted: most likely it is a proxy nobody has named."""

import logging

from starlette.types import Scope

from config.settings import Network
from middleware.client_address import is_from_proxy, peer_of

log = logging.getLogger("shop.proxies")

# By these a proxy says whom it speaks for.
PROXY_HEADERS = {b"x-forwarded-for": "X-Forwarded-For", b"forwarded": "Forwarded", b"x-real-ip": "X-Real-IP"}
# So many peers are told of by one worker: anybody may send these headers.
_MOST_PEERS = 8


class UntrustedProxies:
    """Looks for peers that are not in `trusted` and say whom they speak for."""

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted
        self._told: set[str] = set()

    def look_at(self, scope: Scope, header: str) -> None:
        """Warn if the peer of this request, which has such a header, is one of them and was not told of before."""
        peer = peer_of(scope)
        if peer in self._told or len(self._told) == _MOST_PEERS or is_from_proxy(scope, self._trusted):
            return
        self._told.add(peer)
        log.warning(
            "%s sends %s and is not in TRUSTED_PROXIES: the header is ignored, and all who come through this peer "
            "share one rate limit. If it is your proxy, name it there",
            peer,
            header,
        )
