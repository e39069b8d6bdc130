"""PgBouncer in front of PostgreSQL: a pool that keeps to sessions serves, others are refused at the start."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

from infrastructure.database.migrations import migrate
from infrastructure.database.suitability import UnsuitableDatabase, require_own_backend
from infrastructure.embedded.servers import never
from infrastructure.server.production_checks import wait_for_database
from tests.faults.faulty import PATIENT
from tests.faults.test_few_connections import statuses
from tests.infrastructure.processes import Shop, free_port
from tests.race.goods import Goods
from tests.servers.debian_postgres import account, debian_postgres, folder_of_server
from tests.shop import environment_of, shop_in_thread, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with debian_postgres() as url:
        migrate(url)
        yield url


@contextmanager
def pgbouncer(server: str, mode: str, size: int = 20) -> Iterator[str]:
    """The URL that leads to the server through a pooler of this mode and size."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    host = make_url(server).query["host"]
    port = free_port()
    with folder_of_server() as folder:
        (folder / "users").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\npostgres = host={host} port=5432 user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder / 'users'}\npool_mode = {mode}\ndefault_pool_size = {size}\n"
            "max_client_conn = 200\n"
        )
        process = subprocess.Popen(
            [program, folder / "pgbouncer.ini"],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **account(),  # type: ignore[call-overload]
        )
        url = f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    psycopg2.connect(url.replace("+psycopg2", "")).close()
                    break
                except psycopg2.OperationalError:
                    assert time.monotonic() < deadline, "PgBouncer does not start"
                    time.sleep(0.05)
            yield url
        finally:
            process.kill()
            process.wait()


def test_a_pool_that_keeps_to_sessions_serves(server: str, tmp_path: Path) -> None:
    with (
        pgbouncer(server, "session", 40) as url,
        shop_processes(environment_of(url, None, tmp_path, **PATIENT)) as (shop, _),
        httpx.Client(base_url=shop, timeout=60) as http,
    ):
        assert set.union(*statuses(http, Goods(http)).values()) == {200, 201}


def test_a_small_pool_makes_requests_wait(server: str, tmp_path: Path) -> None:
    with (
        pgbouncer(server, "session", 7) as url,
        shop_in_thread(environment_of(url, None, tmp_path, **PATIENT)) as shop,
        httpx.Client(base_url=shop, timeout=60) as http,
    ):
        assert set.union(*statuses(http, Goods(http)).values()) == {200, 201}


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pool_that_shares_connections_is_refused_in_one_line(server: str, mode: str, tmp_path: Path) -> None:
    with pgbouncer(server, mode) as url:
        shop = Shop(
            "run_production.py", tmp_path / "data", DATABASE_URL=url, REDIS_ENABLED="false", ALLOW_INSECURE="true"
        )
        assert shop.exit_code() == 1
        (line,) = shop.output.splitlines()
        assert "set `pool_mode = session`" in line


def test_pools_that_keep_to_sessions_and_servers_are_never_refused(server: str) -> None:
    require_own_backend(server)
    for size in (1, 2, 20):
        with pgbouncer(server, "session", size) as url:
            for _ in range(5):
                require_own_backend(url)


def test_a_pool_that_shares_connections_is_noticed_each_time(server: str) -> None:
    with pgbouncer(server, "transaction") as url:
        wait_for_database(url, 5, never)
        for _ in range(20):
            with pytest.raises(UnsuitableDatabase):
                require_own_backend(url)
