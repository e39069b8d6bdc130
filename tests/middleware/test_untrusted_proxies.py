"""A proxy that nobody has named is said once."""

from ipaddress import ip_network

import pytest
from starlette.types import Scope

from middleware.request_context import RequestContext
from middleware.untrusted_proxies import UntrustedProxies
from tests.log_records import records_of
from tests.middleware.asgi import Echo, scope_of

pytestmark = pytest.mark.unit

TRUSTED = (ip_network("10.0.0.0/8"),)


class Service:
    draining = False
    tracer = None


def request(peer: str | None, *names: str) -> Scope:
    headers = [(name.lower().encode(), b"198.51.100.1") for name in names]
    return scope_of(headers=headers, client=None if peer is None else (peer, 4711))


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_each_peer_is_warned_of_once(caplog: pytest.LogCaptureFixture, header: str) -> None:
    context = RequestContext(Echo(), service=Service(), trusted=TRUSTED)
    for peer in ("203.0.113.9", "203.0.113.9", "2001:db8::9", "203.0.113.9", "10.1.1.1", None):
        context.begin(request(peer, "Host", header))
    context.begin(request("203.0.113.10", "Host"))

    lines = [record.getMessage() for record in records_of(caplog, "shop.proxies")]
    assert [line.partition(":")[0].partition(" ")[0] for line in lines[:1]] == ["203.0.113.9"]
    assert len(lines) == 3
    for line, peer in zip(lines, ("203.0.113.9", "2001:db8::9", "unix"), strict=True):
        assert line.startswith(f"{peer} sends {header} and is not in TRUSTED_PROXIES")
    assert {record.levelname for record in records_of(caplog, "shop.proxies")} == {"WARNING"}


def test_a_crowd_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    proxies = UntrustedProxies(())
    for number in range(200):
        proxies.warn_once(request(f"203.0.113.{number}"), "X-Forwarded-For")

    assert len(records_of(caplog, "shop.proxies")) == 8
