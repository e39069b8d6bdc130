"""Whose address counts: the peer's, unless the peer is a trusted proxy (I10)."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from config.settings import UNIX
from middleware.client_address import client_address

pytestmark = pytest.mark.unit

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


def scope_of(peer: str | None, *headers: tuple[str, str]) -> Scope:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": "http", "client": None if peer is None else (peer, 4711), "headers": raw}


def forwarded(*lines: str) -> list[tuple[str, str]]:
    return [("X-Forwarded-For", line) for line in lines]


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::9", "::ffff:203.0.113.9", "testclient"])
def test_an_untrusted_peer_cannot_choose_its_address(peer: str) -> None:
    plain = client_address(scope_of(peer), TRUSTED)
    claimed = scope_of(peer, ("X-Forwarded-For", "198.51.100.1"), ("X-Real-IP", "198.51.100.2"))

    assert client_address(claimed, TRUSTED) == plain
    assert client_address(claimed, ()) == plain


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1, 10.1.1.1,10.2.2.2"], "198.51.100.1"),
        (["6.6.6.6", "198.51.100.1", "10.1.1.1"], "198.51.100.1"),
        (["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        (["198.51.100.1:4711"], "198.51.100.1"),
        (["[2001:DB8::1]:4711"], "2001:db8::1"),
        (["2001:db8:0:0::1"], "2001:db8::1"),
        (["::ffff:198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6, unknown, 10.2.2.2"], "10.2.2.2"),
        (["6.6.6.6, unknown"], "10.0.0.1"),
        (["6.6.6.6,"], "10.0.0.1"),
        ([f"6.6.6.6, {'9' * 5000}"], "10.0.0.1"),
        (["1.2.3.4\xff"], "10.0.0.1"),
    ],
)
def test_from_a_trusted_peer_the_rightmost_untrusted_hop_counts(lines: list[str], address: str) -> None:
    assert client_address(scope_of("10.0.0.1", *forwarded(*lines)), TRUSTED) == address


def test_a_unix_socket_is_believed_where_it_is_trusted() -> None:
    scope = scope_of(None, *forwarded("198.51.100.1"))
    assert client_address(scope, TRUSTED) == UNIX
    assert client_address(scope, (*TRUSTED, UNIX)) == "198.51.100.1"
    assert client_address(scope_of("203.0.113.9", *forwarded("198.51.100.1")), (UNIX,)) == "203.0.113.9"


def test_a_trusted_peer_may_name_its_client_by_x_real_ip() -> None:
    assert client_address(scope_of("::1", ("X-Real-IP", "198.51.100.1")), TRUSTED) == "198.51.100.1"
    assert client_address(scope_of("::1", ("X-Real-IP", "garbage")), TRUSTED) == "::1"
    assert client_address(scope_of("::1"), TRUSTED) == "::1"
    both = scope_of("::1", ("X-Forwarded-For", "198.51.100.1"), ("X-Real-IP", "198.51.100.2"))
    assert client_address(both, TRUSTED) == "198.51.100.1"


def test_a_proxy_that_comes_in_over_ipv6_is_the_same_proxy() -> None:
    assert client_address(scope_of("::ffff:10.0.0.1", *forwarded("198.51.100.1")), TRUSTED) == "198.51.100.1"


@pytest.mark.parametrize("client", [None, ("", 0)])
def test_a_peer_without_address_is_local(client: tuple[str, int] | None) -> None:
    scope: Scope = {"type": "http", "client": client, "headers": [(b"x-forwarded-for", b"198.51.100.1")]}

    assert client_address(scope, TRUSTED) == UNIX


@given(st.lists(st.sampled_from(["10.0.0.2", "::1", "junk", "", "198.51.100.1", " 203.0.113.7 :1"]), max_size=6))
def test_what_stands_left_of_the_first_stranger_never_matters(left: list[str]) -> None:
    scope = scope_of("10.0.0.1", *forwarded(", ".join([*left, "192.0.2.1", "10.9.9.9"])))

    assert client_address(scope, TRUSTED) == "192.0.2.1"
