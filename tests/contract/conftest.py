"""What the tests of the contract share: a production server to talk to, and every resource in turn."""

from collections.abc import Iterator

import httpx
import pytest

from tests.builders import BUILDERS, Builder


@pytest.fixture(scope="session")
def client(live_server: str) -> Iterator[httpx.Client]:
    """A client of a production server: what clients rely on, and at half the cost, since coverage traces none of it."""
    with httpx.Client(base_url=live_server, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def traced_client(shop_url: str) -> Iterator[httpx.Client]:
    """A client of a shop that coverage sees, for what nothing else reaches in the services."""
    with httpx.Client(base_url=shop_url, timeout=30) as client:
        yield client


@pytest.fixture(params=BUILDERS.values(), ids=list(BUILDERS))
def resource(request: pytest.FixtureRequest) -> Builder:
    """The builder of each resource in turn."""
    builder: Builder = request.param
    return builder
