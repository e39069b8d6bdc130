"""What every test may ask for: real servers, a migrated database of its own process, and a Redis database.

All processes of a run (pytest-xdist starts several) are guests of one PostgreSQL and one Valkey in a temporary
folder: the first starts them, the last one out stops them, also after failures.
"""

import logging
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import psycopg2
import pytest
import redis
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import settings as hypothesis_settings
from psycopg2 import sql
from sqlalchemy import make_url

from config.settings import Settings, read_settings
from infrastructure.embedded.servers import ServerUrls, running_servers
from tests import started_client
from tests.bounds import in_both_runs
from tests.shop import PATIENT_REDIS_SECONDS, environment_of, shop_in_thread, shop_processes
from tests.tracing import nothing_traced, tracing_of_children, untraced

# The settings of the developer's shell must not reach the tests, least of all the address of a real database.
for _variable in Settings.model_fields:
    os.environ.pop(_variable.upper(), None)

# A shell starts what is in the background with this signal ignored, also in the programs that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

started_client.install()

# Of clients that name none. The library's five seconds are too few on a busy machine.
for _part in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, _part, 60.0)

# A line in the shop's log for every request that a test sends would only take time.
logging.getLogger("httpx").setLevel(logging.WARNING)

hypothesis_settings.register_profile("quick", max_examples=40, deadline=None)
hypothesis_settings.register_profile("thorough", max_examples=1000, deadline=None)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Folders of tests that only talk to a shop, which runs in other threads or processes.
_OUTSIDE = {"benchmarks", "contract", "faults", "openapi", "race", "scripts"}
# Folders whose tests have servers, databases and shops of their own, and take long.
_UNTRACED = {"alembic_migrations", "benchmarks", "faults", "race", "servers"}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave to `make test-faults` what needs a server of the distribution: tests/README.md has the rule."""
    if item.path.parent.name == "servers":
        item.add_marker(pytest.mark.servers)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    in_both_runs(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Leave out of the tracing what only takes longer by it: `tracing.py` says what."""
    if item.path.parent.name not in _UNTRACED:
        return (yield)
    with nothing_traced():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Leave out of the tracing of coverage what a test does as a client."""
    if item.path.parent.name not in _OUTSIDE:
        return (yield)
    with untraced():
        return (yield)


def pytest_sessionfinish() -> None:
    started_client.stop_all()


def _worker_number() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder that all processes of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def servers(shared_folder: Path) -> Iterator[ServerUrls]:
    """The PostgreSQL and the Valkey of this run, which do not wait for the disk."""
    settings = read_settings({"DATA_DIR": str(shared_folder / "servers")})
    with running_servers(settings, durable=False) as urls:
        yield urls


@pytest.fixture(scope="session")
def database_url(servers: ServerUrls) -> str:
    """The URL of a migrated, empty database that only this process uses."""
    from infrastructure.database.migrations import migrate

    name = f"shop_{_worker_number()}"
    connection = psycopg2.connect(servers.database_url.replace("+psycopg2", ""))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connection.close()
    url = make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)
    migrate(url)
    return url


@pytest.fixture(scope="session")
def redis_url(servers: ServerUrls) -> str:
    """The URL of a Redis database that only this process uses."""
    assert servers.redis_url is not None
    url = servers.redis_url.replace("db=0", f"db={_worker_number()}")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="session")
def shop_url(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a shop within this process, on real servers: the quick one, and the one that coverage sees."""
    environment = environment_of(database_url, redis_url, tmp_path_factory.mktemp("shop"))
    with shop_in_thread(environment, redis_seconds=PATIENT_REDIS_SECONDS) as url:
        yield url


@pytest.fixture(scope="session")
def client(shop_url: str) -> Iterator[httpx.Client]:
    """An HTTP client of that shop."""
    with httpx.Client(base_url=shop_url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def live_server(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a production server with two worker processes, on the same database and Redis as `client`."""
    with shop_processes(environment_of(database_url, redis_url, tmp_path_factory.mktemp("live"))) as (url, _):
        yield url


@pytest.fixture
def traced_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has coverage see what the processes do that the test starts: the launcher, which runs nowhere else."""
    for name, value in tracing_of_children().items():
        monkeypatch.setenv(name, value)
