"""IP addresses: their canonical spelling, the networks they are in, and which addresses count as one client."""

import ipaddress
from functools import lru_cache

from config.settings import UNIX, Network


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
def belongs_to(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether `address`, or "unix", is in one of `networks`; any other text that is no IP address is in none."""
    if address == UNIX:
        return UNIX in networks
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks if not isinstance(network, str))


@lru_cache(maxsize=4096)
def counted_as(address: str) -> str:
    """The client that limits count for an address: the address itself, or for IPv6 its /64, such as 2001:db8:1:2::/64.

    A client with one address of such a network has them all.
    """
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
