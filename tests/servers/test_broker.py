"""Events on their way to a real RabbitMQ: E2, and what messages look like."""

import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background, background
from tests.race.databases import execute, new_database, rows_of
from tests.servers.broker_reader import BrokerReader
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.rabbitmq import RabbitMQ, needs_rabbitmq

pytestmark = [pytest.mark.integration, pytest.mark.slow, needs_rabbitmq]

# Several events of each of some clients, and those of products between them.
_EVENTS = """
    INSERT INTO events (type, resource, resource_id, data)
    SELECT CASE n %% 3 WHEN 0 THEN 'product.updated' ELSE 'client.updated' END,
        CASE n %% 3 WHEN 0 THEN 'products' ELSE 'clients' END, n %% 7, '{"total": 12.50}'
    FROM generate_series(1, %s) AS n
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """One for all tests, each of which has an exchange of its own."""
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as broker:
        yield broker


@pytest.fixture
def exchange(request: pytest.FixtureRequest) -> str:
    return re.sub(r"\W", "_", request.node.name)


@pytest.fixture
def work(servers: ServerUrls, broker: RabbitMQ, exchange: str, tmp_path: Path) -> Iterator[Background]:
    settings = {"RABBITMQ_URL": broker.url, "RABBITMQ_EXCHANGE": exchange, "DRAIN_SECONDS": "10"}
    with background(new_database(servers.database_url), tmp_path, **settings) as work:
        yield work


@pytest.fixture
def reader(broker: RabbitMQ, exchange: str) -> Iterator[BrokerReader]:
    with BrokerReader(broker.url, exchange=exchange, queue=exchange) as reader:
        yield reader


def ids(work: Background) -> set[str]:
    return {str(event_id) for (event_id,) in rows_of(work.url, "SELECT id FROM events")}


def is_sent(work: Background) -> bool:
    rest = (
        "SELECT FROM events WHERE sequence IS NULL "
        "OR sequence > (SELECT last_sequence FROM event_relays WHERE name = 'broker')"
    )
    return not rows_of(work.url, rest)


@contextmanager
def load(work: Background) -> Iterator[None]:
    """Events all the time."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.1):
            execute(work.url, _EVENTS, 10)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def test_every_event_is_one_persistent_message_as_a_cloud_event(work: Background, reader: BrokerReader) -> None:
    execute(work.url, _EVENTS, 5)
    execute(work.url, "INSERT INTO events (type, resource, data) VALUES ('catalog.imported', 'products', '{}')")
    work.start(SHOP_URL="https://shop.example")
    reader.wait_for_all(ids(work))
    wait_for(lambda: is_sent(work), "the cursor to follow")
    assert reader.doubled == 0
    (row,) = rows_of(work.url, "SELECT id, type, sequence, occurred_at FROM events WHERE resource_id = 1")
    (message,) = (one for one in reader.messages if one.message_id == str(row[0]))
    assert (message.routing_key, message.type, message.content_type) == (row[1], row[1], "application/cloudevents+json")
    assert message.delivery_mode == 2
    event = json.loads(message.body)
    assert event == {
        "specversion": "1.0", "id": str(row[0]), "source": "https://shop.example", "type": row[1], "subject": "clients/1",
        "time": event["time"], "datacontenttype": "application/json", "sequence": f"{row[2]:019}", "data": {"total": 12.5},
    }  # fmt: skip


def test_what_no_queue_is_bound_for_is_sent(work: Background) -> None:
    execute(work.url, _EVENTS, 700)
    process = work.start()
    wait_for(lambda: is_sent(work), "the events to be sent")
    assert process.poll() is None


def test_several_processes_send_each_event_once_and_a_stop_doubles_nothing(
    work: Background, reader: BrokerReader
) -> None:
    processes = [work.start() for _ in range(2)]
    with load(work):
        wait_for(lambda: len(reader.events) > 200, "some events")
        for process in processes:
            process.terminate()
            assert process.wait(60) == 0
        work.start()
        seen = len(reader.events)
        wait_for(lambda: len(reader.events) > seen + 100, "more events")
    reader.wait_for_all(ids(work))
    reader.require_order()
    assert reader.doubled == 0


@pytest.mark.parametrize("fault", ["stopped", "killed", "frozen"])
def test_e2_a_broker_that_is_away_delays_events_and_loses_none(
    work: Background, reader: BrokerReader, broker: RabbitMQ, fault: str
) -> None:
    process = work.start()
    with load(work):
        wait_for(lambda: len(reader.events) > 100, "some events")
        {"stopped": broker.stop, "killed": broker.kill, "frozen": broker.freeze}[fault]()
        wait_for(lambda: "Events wait for the broker" in work.log(), "the relay to notice")
        if fault == "frozen":
            broker.thaw()
        else:
            broker.start()
        wait_for(lambda: "Events are sent to the broker again" in work.log(), "the relay to go on")
    reader.wait_for_all(ids(work))
    reader.require_order()
    assert process.poll() is None


def test_e2_a_connection_that_is_cut_in_the_middle_of_a_publish_loses_nothing(
    work: Background, reader: BrokerReader, broker: RabbitMQ
) -> None:
    execute(work.url, _EVENTS, 400)
    with CuttingProxy(broker.address, first=3000, step=1777) as proxy:
        process = work.start(RABBITMQ_URL=f"amqp://guest:guest@127.0.0.1:{proxy.port}/")
        wait_for(lambda: proxy.cuts >= 8, "some cuts")
        proxy.is_cutting = False
        reader.wait_for_all(ids(work))
    reader.require_order()
    assert process.poll() is None


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_e2_a_broker_that_is_away_for_a_minute_under_load(
    work: Background, reader: BrokerReader, broker: RabbitMQ
) -> None:
    work.start()
    with load(work):
        wait_for(lambda: len(reader.events) > 100, "some events")
        broker.stop()
        time.sleep(60)
        broker.start()
        wait_for(lambda: "Events are sent to the broker again" in work.log(), "the relay to go on")
    reader.wait_for_all(ids(work))
    reader.require_order()


def test_e2_killed_and_frozen_processes_lose_nothing_and_keep_the_order(work: Background, reader: BrokerReader) -> None:
    frozen = work.start()
    with load(work):
        wait_for(lambda: len(reader.events) > 20, "some events")
        frozen.send_signal(signal.SIGSTOP)
        for number in range(4):
            seen = len(reader.events)
            process = work.start()
            wait_for(lambda seen=seen: len(reader.events) > seen + 20, "some events")  # type: ignore[misc]
            time.sleep(0.03 * number)
            process.kill()
        frozen.send_signal(signal.SIGCONT)
        seen = len(reader.events)
        wait_for(lambda: len(reader.events) > seen + 20, "the thawed process to go on")
    reader.wait_for_all(ids(work))
    reader.require_order()
