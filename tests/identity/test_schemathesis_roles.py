"""schemathesis as each kind of caller: no fault of the server, and customers never see another's row."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from config.settings import PROJECT_ROOT
from infrastructure.embedded.servers import ServerUrls
from tests.guarded_shop import Caller, GuardedShop, guarded_processes
from tests.identity.shelf import Customer, Shelf
from tests.race.databases import new_database

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
THOROUGH = settings.get_current_profile_name() == "thorough"
EXAMPLES = "100" if THOROUGH else "1"
# As many as there are low keys, for which schemathesis asks.
CUSTOMERS = 5


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedShop]:
    database, folder = new_database(servers.database_url), tmp_path_factory.mktemp("roles")
    with guarded_processes(database, redis_url, folder, RATE_LIMIT_CALLS_AUTHENTICATED="1000000") as shop:
        yield shop


@pytest.fixture(scope="module")
def customers(shop: GuardedShop) -> list[Customer]:
    shelf = Shelf(shop)
    return [shelf.a_customer() for _ in range(CUSTOMERS)]


def secrets_of(customer: Customer) -> list[str]:
    return [customer.canary, customer.client["email"], customer.bill["bill_number"]]


@pytest.mark.timeout(3000 if THOROUGH else 300)
@pytest.mark.parametrize(
    "role", ["customer", *(pytest.param(role, marks=pytest.mark.chaos) for role in ("nobody", "staff", "admin"))]
)
def test_nothing_is_a_fault_and_nobody_sees_what_is_not_theirs(
    shop: GuardedShop, customers: list[Customer], tmp_path: Path, role: str
) -> None:
    # One in the middle: keys above and below are those of others.
    own = customers[CUSTOMERS // 2]
    callers: dict[str, Callable[[], Caller | None]] = {"nobody": lambda: None, "customer": lambda: own.caller}
    caller = callers.get(role, lambda: shop.user(role))()
    hidden = [customer for customer in customers if customer is not own or role == "nobody"]
    secrets = [] if role in ("staff", "admin") else [secret for customer in hidden for secret in secrets_of(customer)]
    token = "" if caller is None else caller.headers["Authorization"].removeprefix("Bearer ")
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            CONFIGURATION,
            "--no-color",
            "run",
            "--checks",
            "not_a_server_error,shows_no_row_of_others",
            # These end the session with which all the others are called.
            "--exclude-path-regex",
            "logout|sessions",
            "--phases",
            "fuzzing",
            "--max-examples",
            EXAMPLES,
            f"{shop.url}/openapi.json",
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT_ROOT),
            "SHOP_TEST_TOKEN": token,
            "SHOP_TEST_SECRETS": json.dumps(secrets),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
