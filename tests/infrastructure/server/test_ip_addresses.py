"""One notion of addresses, for the limits of requests and of connections and for proxies."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.server.ip_addresses import belongs_to, counted_as, parse_address

pytestmark = pytest.mark.unit

NETWORKS = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@given(st.text(max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    address = parse_address(text)

    assert address is None or parse_address(address) == address


@pytest.mark.parametrize("text", ["10.1.2.3", "10.1.2.3:4711", "::ffff:10.1.2.3", "[::ffff:10.1.2.3]:80", " 10.1.2.3 "])
def test_all_writings_of_an_address_are_one(text: str) -> None:
    assert parse_address(text) == "10.1.2.3"


def test_what_is_no_address_is_in_no_network() -> None:
    assert belongs_to("10.1.2.3", NETWORKS)
    assert belongs_to("::1", NETWORKS)
    assert not belongs_to("203.0.113.9", NETWORKS)
    assert not belongs_to("local", NETWORKS)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("local", "local"),
        ("no:address", "no:address"),
    ],
)
def test_an_ipv6_client_has_a_whole_network(address: str, client: str) -> None:
    assert counted_as(address) == client
