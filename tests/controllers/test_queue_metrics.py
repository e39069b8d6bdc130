"""What /metrics says of jobs and events."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from infrastructure.observability.background_memory import background_memory, note_memory
from tests.jobs.queue_rows import a_job
from tests.race.databases import execute, new_database
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration


@pytest.fixture
def own_database(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture
def url(own_database: str, tmp_path: Path) -> Iterator[str]:
    """A shop without a background process."""
    with shop_in_thread(environment_of(own_database, None, tmp_path)) as url:
        yield url


def gauges(url: str) -> dict[str, float]:
    found = re.findall(r"^(shop_(?:jobs|events)\S*) (\S+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_they_are_there_before_any_background_process(url: str) -> None:
    assert gauges(url) == {
        'shop_jobs{status="queued"}': 0,
        'shop_jobs{status="running"}': 0,
        'shop_jobs{status="failed"}': 0,
        "shop_jobs_oldest_seconds": 0,
        "shop_events_not_relayed": 0,
    }


def test_jobs_are_counted_by_status_and_age_and_events_until_they_are_relayed(url: str, own_database: str) -> None:
    for status, count in (("todo", 3), ("doing", 2), ("failed", 4), ("cancelled", 5)):
        for _ in range(count):
            a_job(own_database, status)
    assert gauges(url)["shop_jobs_oldest_seconds"] == 0
    execute(
        own_database, "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '2 hours' WHERE status = 'todo'"
    )
    execute(
        own_database, "INSERT INTO events (type, resource, data) SELECT 'a.b', 'a', '{}' FROM generate_series(1, 7)"
    )
    execute(
        own_database,
        "INSERT INTO events (type, resource, data, sequence) SELECT 'a.b', 'a', '{}', n FROM generate_series(1, 20) AS n",
    )
    execute(own_database, "UPDATE event_relays SET last_sequence = 15")
    found = gauges(url)
    age = found.pop("shop_jobs_oldest_seconds")
    assert age == pytest.approx(7200, abs=300)
    assert found == {
        'shop_jobs{status="queued"}': 3,
        'shop_jobs{status="running"}': 2,
        'shop_jobs{status="failed"}': 4,
        "shop_events_not_relayed": 12,
    }


def test_the_memory_of_a_background_process_is_known_to_its_workers(tmp_path: Path) -> None:
    assert background_memory(None) == background_memory(tmp_path) == []
    note_memory(None)
    note_memory(tmp_path)
    (memory,) = background_memory(tmp_path)
    assert memory > 1_000_000
    (tmp_path / "background.1").write_text("")
    assert background_memory(tmp_path) == [memory]


def test_events_wait_for_the_broker_where_there_is_one(own_database: str, tmp_path: Path) -> None:
    execute(
        own_database, "INSERT INTO events (type, resource, data) SELECT 'a.b', 'a', '{}' FROM generate_series(1, 7)"
    )
    execute(
        own_database,
        "INSERT INTO events (type, resource, data, sequence) SELECT 'a.b', 'a', '{}', n FROM generate_series(1, 20) AS n",
    )
    execute(own_database, "UPDATE event_relays SET last_sequence = CASE name WHEN 'broker' THEN 12 ELSE 20 END")
    with shop_in_thread(environment_of(own_database, None, tmp_path, RABBITMQ_URL="amqp://127.0.0.1:1")) as url:
        found = gauges(url)
    assert found["shop_events_not_sent"] == 15
    assert found["shop_events_not_relayed"] == 7
