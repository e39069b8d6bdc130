"""Address guard: which addresses the shop may connect to for somebody else. Those of the inside are refused.

Names are resolved here, and the caller connects to an address that was checked: what a name leads to may change at any time.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
# The addresses of a name; an `OSError` where it has none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# What Python counts as global, in this version or in others, and is not: assignments of protocols, relays for 6to4, and the address at
# which machines of Azure ask for their secrets.
_REFUSED_V4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
# All addresses of the internet are in here, and these parts of it are for protocols, tunnels and documentation.
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# An IPv4 address behind it is what NAT64 connects to.
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """The name, or the address itself, leads to where the shop does not connect to."""


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, by the system.

    Each in a thread of its own, which ends by itself: names whose servers do not answer hold up no others, nor the end of
    the process.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[str]] = loop.create_future()

    def settle(found: Sequence[str], error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)

    def look_up() -> None:
        found: Sequence[str] = ()
        failure: Exception | None = None
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except (OSError, UnicodeError) as error:
            failure = error if isinstance(error, OSError) else OSError("it is no name")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return await answer


class AddressGuard:
    """Lets through addresses of the internet, and those in the networks `allowed`."""

    def __init__(self, allowed: Sequence[object] = (), resolve: Resolve = resolved) -> None:
        self._allowed = [network for network in allowed if isinstance(network, IPv4Network | IPv6Network)]
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of the host. Raises `AddressRefused` if any of them is refused, `OSError` if there are none."""
        literal = as_address(host)
        texts = [host] if literal is not None else await self._resolve(host, port)
        found = [as_address(text) for text in texts]
        if not found:
            raise OSError("the name has no address")
        if not all(address is not None and self.lets_through(address) for address in found):
            raise AddressRefused(host)
        return [str(address) for address in found]

    def lets_through(self, address: IpAddress) -> bool:
        """Whether the shop may connect to the address."""
        inner = _behind(address)
        if any(one in network for one in (address, inner) for network in self._allowed):
            return True
        if isinstance(inner, IPv4Address):
            is_special = inner.is_multicast or inner.is_reserved or inner.is_unspecified
            return inner.is_global and not is_special and not any(inner in network for network in _REFUSED_V4)
        return inner in _GLOBAL_V6 and not any(inner in network for network in _REFUSED_V6)


def as_address(host: str) -> IpAddress | None:
    """The address that the host is written as; None for a name. The interface of a link-local one is left out."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None


def _behind(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
