"""The shop of these tests: AUTH=on, on a database of its own."""

from collections.abc import Iterator

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.guarded_shop import GuardedShop, guarded_shop
from tests.identity.accounts import AccountShop, account_shop
from tests.race.databases import new_database


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedShop]:
    """One shop for the tests of a module."""
    with guarded_shop(new_database(servers.database_url), redis_url, tmp_path_factory.mktemp("guarded")) as shop:
        yield shop


@pytest.fixture(scope="module", params=["on", "off"])
def accounts(
    request: pytest.FixtureRequest, servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AccountShop]:
    """One shop for the tests of a module about accounts, in each mode: the calls below /auth are the same in both."""
    folder = tmp_path_factory.mktemp("accounts")
    with account_shop(new_database(servers.database_url), redis_url, folder, AUTH=request.param) as shop:
        yield shop
