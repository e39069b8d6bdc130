"""What the tests of the contract share: a production server to talk to, and every resource in turn."""

from collections.abc import Iterator

import httpx
import pytest

from config.settings import read_settings
from main import create_fastapi_app
from tests.builders import BUILDERS, Builder
from tests.openapi.documented import Document


@pytest.fixture(scope="session")
def documented() -> Document:
    """The OpenAPI document. The clients below fail at a code that it does not declare for the operation."""
    return Document(create_fastapi_app(read_settings({"REDIS_ENABLED": "false"})).openapi())


@pytest.fixture(scope="session")
def client(live_server: str, documented: Document) -> Iterator[httpx.Client]:
    """A client of a production server: what clients rely on, and at half the cost, since coverage traces none of it."""
    hooks = {"response": [documented.check_code]}
    with httpx.Client(base_url=live_server, timeout=30, event_hooks=hooks) as client:
        yield client


@pytest.fixture(scope="session")
def traced_client(shop_url: str, documented: Document) -> Iterator[httpx.Client]:
    """A client of a shop that coverage sees, for what nothing else reaches in the services."""
    hooks = {"response": [documented.check_code]}
    with httpx.Client(base_url=shop_url, timeout=30, event_hooks=hooks) as client:
        yield client


@pytest.fixture(params=BUILDERS.values(), ids=list(BUILDERS))
def resource(request: pytest.FixtureRequest) -> Builder:
    """The builder of each resource in turn."""
    builder: Builder = request.param
    return builder
