"""No way inside: which addresses are refused, in whatever writing, also where a name changes its mind."""

import asyncio
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network

import pytest

from infrastructure.http_client.address_guard import AddressGuard, AddressRefused, as_address, resolved

pytestmark = pytest.mark.unit

INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450:4003:80f::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


def addresses(guard: AddressGuard, host: str) -> list[str]:
    return asyncio.run(guard.addresses(host, 443))


class Resolver:
    """Gives the next answer for each question."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers: Iterator[Sequence[str]] = iter(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return next(self._answers)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_the_inside_are_refused(address: str) -> None:
    for host in (address, f"[{address}]"):
        with pytest.raises(AddressRefused):
            addresses(AddressGuard(), host)
    with pytest.raises(AddressRefused):
        addresses(AddressGuard(resolve=Resolver([address])), "name.example")


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_of_the_internet_are_let_through(address: str) -> None:
    assert addresses(AddressGuard(), address) == [str(ip_address(address))]
    assert addresses(AddressGuard(resolve=Resolver([address])), "name.example") == [str(ip_address(address))]


def test_one_address_of_the_inside_refuses_the_name() -> None:
    with pytest.raises(AddressRefused):
        addresses(AddressGuard(resolve=Resolver(["1.1.1.1", "10.0.0.1"])), "name.example")


def test_a_name_is_asked_for_each_time() -> None:
    guard = AddressGuard(resolve=Resolver(["1.1.1.1"], ["127.0.0.1"], []))
    assert addresses(guard, "name.example") == ["1.1.1.1"]
    with pytest.raises(AddressRefused):
        addresses(guard, "name.example")
    with pytest.raises(OSError, match="no address"):
        addresses(guard, "name.example")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
def test_other_writings_of_an_address_are_resolved_first(host: str) -> None:
    with pytest.raises(AddressRefused):
        addresses(AddressGuard(), host)


def test_names_without_an_address() -> None:
    for host in ("no-such-name.invalid", "a" * 70, "\ud800"):
        with pytest.raises(OSError):  # noqa: PT011 (each system has its own words)
            asyncio.run(resolved(host, 443))


@pytest.mark.parametrize(
    ("network", "let_in", "kept_out"),
    [
        ("10.1.2.0/24", ["10.1.2.3", "::ffff:10.1.2.3"], ["10.1.3.1", "127.0.0.1"]),
        ("fd00::/8", ["fd00:ec2::254"], ["fc00::1", "::1"]),
        ("127.0.0.0/8", ["127.0.0.1"], ["::1"]),
    ],
)
def test_networks_of_ones_own(network: str, let_in: list[str], kept_out: list[str]) -> None:
    guard = AddressGuard([ip_network(network), "unix"])
    for text, is_let in (*((one, True) for one in let_in), *((one, False) for one in kept_out)):
        address = as_address(text)
        assert address is not None
        assert guard.lets_through(address) is is_let, text
