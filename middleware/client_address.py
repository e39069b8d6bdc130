"""Who is asking: the address that a request counts for, with proxies believed only where they are trusted."""

import ipaddress
from collections.abc import Iterator
from functools import lru_cache

from starlette.types import Scope

from config.settings import Network

# What a peer without an address is called: it came through a Unix socket.
LOCAL = "local"

# Longer than any address with brackets, scope and port; keeps garbage out of the caches below.
_LONGEST_HOP = 64


def client_address(scope: Scope, trusted: tuple[Network, ...] = ()) -> str:
    """The address of the client of `scope`.

    That is the peer, unless the peer is in `trusted`: then the rightmost hop of `X-Forwarded-For` that is
    not trusted itself, or else `X-Real-IP`. Hops to the left of it are what the client says of itself.
    """
    peer = scope.get("client")
    if not peer or not peer[0]:
        return LOCAL
    address = parse_address(peer[0]) or str(peer[0])
    if not is_from_proxy(scope, trusted):
        return address
    forwarded = _header(scope, b"x-forwarded-for")
    if forwarded:
        return _rightmost_untrusted(forwarded, trusted) or address
    return _hop(_header(scope, b"x-real-ip")) or address


def is_from_proxy(scope: Scope, trusted: tuple[Network, ...]) -> bool:
    """Whether the peer of `scope` is one of the `trusted` proxies."""
    peer = scope.get("client")
    if not trusted or not peer or not peer[0]:
        return False
    return belongs_to(parse_address(peer[0]) or str(peer[0]), trusted)


@lru_cache(maxsize=4096)
def belongs_to(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether `address` is in one of `networks`; what is not an IP address is in none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


@lru_cache(maxsize=4096)
def parse_address(text: str) -> str | None:
    """The IP address in `text`, in its usual spelling, without brackets and port; None for anything else.

    An IPv4 address mapped into IPv6 is the IPv4 address: both reach the same client.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


@lru_cache(maxsize=4096)
def limited_as(address: str) -> str:
    """What an address is counted as: itself, or for IPv6 its network of 64 bits, such as 2001:db8:1:2::/64."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


def _hop(text: str) -> str | None:
    return parse_address(text) if len(text) <= _LONGEST_HOP else None


def _rightmost_untrusted(forwarded: str, trusted: tuple[Network, ...]) -> str | None:
    last = None
    for hop in _hops_from_the_right(forwarded):
        address = _hop(hop)
        if address is None:
            # Whoever wrote this is no proxy of ours, and what stands left of it is hearsay.
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
