"""For each test of a fault a database of its own, whose data must be sound when the fault is over."""

from collections.abc import Iterator

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import breaches, new_database


@pytest.fixture
def database(servers: ServerUrls) -> Iterator[str]:
    """The URL of an empty shop's database; afterwards all that the shop promises of its data must hold."""
    url = new_database(servers.database_url)
    yield url
    assert breaches(url) == []
