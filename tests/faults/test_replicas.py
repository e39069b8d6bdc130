"""Many replicas start at once on an empty database: one migrates, all serve."""

import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

from config.settings import PROJECT_ROOT
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import breaches, connected, process_number, rows_of
from tests.race.goods import Goods
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# Five processes that migrate: forks, because each import of what a migration needs takes a second.
_MIGRATE = """
import os, sys, traceback
import alembic.command
from infrastructure.database.migrations import migrate

def migrate_in_a_fork():
    child = os.fork()
    if child:
        return child
    try:
        migrate(sys.argv[1])
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

children = [migrate_in_a_fork() for _ in range(5)]
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


@pytest.fixture
def empty_database(servers: ServerUrls) -> str:
    """The URL of a database without any table."""
    name = f"empty_{process_number()}_{uuid.uuid4().hex[:8]}"
    with connected(servers.database_url) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
    return make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)


def test_f21_many_migrations_at_once(empty_database: str) -> None:
    # Somebody else holds the database back for a moment, so that all of them are there when it begins.
    blocker = psycopg2.connect(empty_database.replace("+psycopg2", ""))
    blocker.cursor().execute("SELECT pg_advisory_lock(7240119)")
    processes = subprocess.Popen(
        [sys.executable, "-c", _MIGRATE, empty_database], cwd=PROJECT_ROOT, stderr=subprocess.PIPE
    )
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    while rows_of(empty_database, waiting) != [(5,)]:
        assert processes.poll() is None
        time.sleep(0.05)
    blocker.close()
    _, errors = processes.communicate(timeout=60)
    assert processes.returncode == 0, errors
    assert rows_of(empty_database, "SELECT count(*) FROM alembic_version") == [(1,)]


@pytest.mark.chaos
def test_f21_replicas_on_an_empty_database_all_serve(empty_database: str, tmp_path: Path) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(3) as threads:
        shops = [shop_processes(environment_of(empty_database, None, tmp_path), workers=1) for _ in range(3)]
        urls = [url for url, _ in threads.map(stack.enter_context, shops)]
        for url in urls:
            with httpx.Client(base_url=url, timeout=30) as http:
                goods = Goods(http)
                goods.bought((goods.product(stock=1), 1))
        assert rows_of(empty_database, "SELECT count(*) FROM orders") == [(3,)]
    assert breaches(empty_database) == []
