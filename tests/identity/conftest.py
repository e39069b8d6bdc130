"""The shop of these tests: AUTH=on, on a database of its own."""

from collections.abc import Iterator

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.guarded_shop import GuardedShop, guarded_shop
from tests.race.databases import new_database


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedShop]:
    """One shop for the tests of a module."""
    with guarded_shop(new_database(servers.database_url), redis_url, tmp_path_factory.mktemp("guarded")) as shop:
        yield shop
