"""A production server with two worker processes and a database of its own, verified after every race."""

from collections.abc import Iterator

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import breaches, new_database, process_number
from tests.race.goods import Goods
from tests.shop import environment_of, shop_processes

# On a busy machine a crowd waits for longer than the shop lets it.
PATIENT = {"DB_POOL_TIMEOUT": "20", "DB_LOCK_TIMEOUT": "20", "DB_STATEMENT_TIMEOUT": "20"}


@pytest.fixture(scope="session")
def race_database(servers: ServerUrls) -> str:
    """The URL of the database of the races; no other test leaves anything in it."""
    return new_database(servers.database_url)


@pytest.fixture(scope="session")
def race_url(race_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a shop with two workers on it."""
    cache_url = redis_url.replace(f"db={process_number()}", f"db={process_number() + 64}")
    environment = environment_of(race_database, cache_url, tmp_path_factory.mktemp("race"), **PATIENT)
    with shop_processes(environment) as (url, _):
        yield url


@pytest.fixture
def http(race_url: str) -> Iterator[httpx.Client]:
    """A client of that shop for what is not a race."""
    with httpx.Client(base_url=race_url, timeout=30) as client:
        yield client


@pytest.fixture
def goods(http: httpx.Client, race_database: str) -> Iterator[Goods]:
    """What races are about. Afterwards all that the shop promises of its data must hold."""
    yield Goods(http)
    assert breaches(race_database) == []
