"""A shop of its own for the tests that send it anything, and the document that they hold it to."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from config.settings import read_settings
from infrastructure.embedded.servers import ServerUrls
from main import create_fastapi_app
from tests.openapi.documented import Document
from tests.race.databases import new_database
from tests.shop import environment_of, shop_processes


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The OpenAPI document, which takes no server to make."""
    return create_fastapi_app(read_settings({"REDIS_ENABLED": "false"})).openapi()


@pytest.fixture(scope="session")
def own_shop(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty shop."""
    environment = environment_of(new_database(servers.database_url), redis_url, tmp_path_factory.mktemp("openapi"))
    with shop_processes(environment, workers=1) as (url, _):
        yield url


@pytest.fixture(scope="session")
def understood(document: dict[str, Any]) -> Document:
    """The document with what it takes to hold answers against it."""
    return Document(document)


@pytest.fixture
def documented(understood: Document) -> Document:
    """The document, to hold answers against."""
    return understood.unseen()


@pytest.fixture
def http(client: httpx.Client, documented: Document) -> Iterator[httpx.Client]:
    """A client of the shop that all tests share; each of its answers must be as the document says."""
    with httpx.Client(base_url=client.base_url, timeout=30, event_hooks={"response": [documented.check]}) as http:
        yield http
