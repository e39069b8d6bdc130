"""The address of a request's client. Only trusted proxies are believed about it."""

from collections.abc import Iterator

from starlette.types import Scope

from config.settings import UNIX, Network
from infrastructure.server.ip_addresses import belongs_to, parse_address

# Longer than any address with brackets, scope and port; keeps garbage out of the caches of addresses.
_LONGEST_HOP = 64


def client_address(scope: Scope, trusted: tuple[Network, ...] = ()) -> str:
    """The address of the client of `scope`.

    That is the peer, unless the peer is in `trusted`: then the rightmost hop of `X-Forwarded-For` that is
    not trusted itself, or else `X-Real-IP`. Hops to the left of it are what the client says of itself.
    """
    address = peer_of(scope)
    if not is_from_proxy(scope, trusted):
        return address
    forwarded = _header(scope, b"x-forwarded-for")
    if forwarded:
        return _rightmost_untrusted(forwarded, trusted) or address
    return _hop(_header(scope, b"x-real-ip")) or address


def is_from_proxy(scope: Scope, trusted: tuple[Network, ...]) -> bool:
    """Whether the peer of `scope` is one of the `trusted` proxies."""
    return bool(trusted) and belongs_to(peer_of(scope), trusted)


def peer_of(scope: Scope) -> str:
    """The address at the other end of the connection; "unix" for one that has none, because it is a Unix socket."""
    peer = scope.get("client")
    if not peer or not peer[0]:
        return UNIX
    return parse_address(peer[0]) or str(peer[0])


def _hop(text: str) -> str | None:
    return parse_address(text) if len(text) <= _LONGEST_HOP else None


def _rightmost_untrusted(forwarded: str, trusted: tuple[Network, ...]) -> str | None:
    last = None
    for hop in _hops_from_the_right(forwarded):
        address = _hop(hop)
        if address is None:
            # No trusted proxy wrote this, so nothing to the left of it can be believed.
            return last
        last = address
        if not belongs_to(address, trusted):
            return address
    return last


def _hops_from_the_right(forwarded: str) -> Iterator[str]:
    rest = forwarded
    while rest:
        rest, _, hop = rest.rpartition(",")
        yield hop


def _header(scope: Scope, name: bytes) -> str:
    """The lines of header `name` as one, as HTTP joins them."""
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)
