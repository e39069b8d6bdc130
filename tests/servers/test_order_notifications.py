"""NOTIFY_FROM=amqp: notifications of orders are made of the messages of `order_notifications`."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from infrastructure.broker.connection import connected
from infrastructure.embedded.servers import ServerUrls
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background, background
from tests.race.databases import execute, new_database, rows_of
from tests.servers.rabbitmq import RabbitMQ, needs_rabbitmq

pytestmark = [pytest.mark.integration, pytest.mark.slow, needs_rabbitmq]

_CLIENT = """
    INSERT INTO clients (name, lastname, email, email_key) VALUES ('Ada', 'Byron', 'ada@example.com', 'ada@example.com')
"""
_ORDERS = """
    INSERT INTO events (type, resource, resource_id, client_id, data)
    SELECT 'order.created', 'orders', n, (SELECT min(id_key) FROM clients), json_build_object('id_key', n)
    FROM generate_series(1, %s) AS n
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path / "rabbitmq") as broker:
        yield broker


@pytest.fixture
def work(servers: ServerUrls, broker: RabbitMQ, tmp_path: Path) -> Iterator[Background]:
    settings = {"RABBITMQ_URL": broker.url, "NOTIFY_FROM": "amqp", "DATA_DIR": str(tmp_path / "data")}
    with background(new_database(servers.database_url), tmp_path, **settings) as work:
        execute(work.url, _CLIENT)
        yield work


def unmet(work: Background) -> list[tuple[Any, ...]]:
    """Events of orders without their one notification."""
    return rows_of(
        work.url,
        "SELECT events.id FROM events LEFT JOIN notifications ON event_id = events.id AND channel = 'mail' "
        "WHERE type = 'order.created' GROUP BY 1 HAVING count(notifications) <> 1",
    )


def messages_of(broker: RabbitMQ, queue: str) -> int:
    async def count() -> int:
        async with connected(broker.url, "test") as (connection, _):
            channel = await connection.channel()
            declared = await channel.declare_queue(queue, passive=True)
            return int(declared.declaration_result.message_count or 0)

    return asyncio.run(count())


def send(broker: RabbitMQ, message: aio_pika.Message, topic: str = "order.created") -> None:
    async def publish() -> None:
        async with connected(broker.url, "test") as (connection, _):
            exchange = await (await connection.channel()).get_exchange("order_events")
            await exchange.publish(message, topic)

    asyncio.run(publish())


def test_orders_are_told_once_while_processes_and_the_broker_die(work: Background, broker: RabbitMQ) -> None:
    """What is not an order is told from the table as ever."""
    execute(work.url, _ORDERS, 30)
    first = work.start()
    wait_for(lambda: not unmet(work), "the first notifications")
    execute(work.url, _ORDERS, 200)
    other = work.start()
    wait_for(lambda: len(unmet(work)) < 200, "some more")
    first.kill()
    broker.kill()
    execute(work.url, _ORDERS, 200)
    broker.start()
    other.kill()
    work.start()
    wait_for(lambda: not unmet(work), "all notifications", 120)
    wait_for(lambda: messages_of(broker, "order_notifications") == 0, "the queue to be empty")
    assert messages_of(broker, "order_notifications.dead") == 0


def test_what_is_no_event_is_a_dead_letter_and_holds_nobody_up(work: Background, broker: RabbitMQ) -> None:
    work.start()
    execute(work.url, _ORDERS, 1)
    wait_for(lambda: not unmet(work), "the first notification")
    send(broker, aio_pika.Message(b"what is this?", message_id="none"))
    # An event that is not there any more is nobody's fault.
    send(broker, aio_pika.Message(b"{}", message_id=str(uuid.uuid4())))
    execute(work.url, _ORDERS, 1)
    wait_for(lambda: not unmet(work), "the second notification")
    wait_for(lambda: messages_of(broker, "order_notifications.dead") == 1, "the dead letter")
    assert messages_of(broker, "order_notifications") == 0


def test_what_fails_again_and_again_is_a_dead_letter_in_the_end(work: Background, broker: RabbitMQ) -> None:
    execute(work.url, "ALTER TABLE notifications RENAME COLUMN recipient TO addressee")
    execute(work.url, _ORDERS, 1)
    work.start()
    wait_for(lambda: messages_of_if_there(broker, "order_notifications.dead") == 1, "the dead letter", 110)
    execute(work.url, "ALTER TABLE notifications RENAME COLUMN addressee TO recipient")
    execute(work.url, _ORDERS, 1)
    wait_for(lambda: len(unmet(work)) == 1, "the notification of the other one")


def messages_of_if_there(broker: RabbitMQ, queue: str) -> int:
    try:
        return messages_of(broker, queue)
    except aio_pika.exceptions.ChannelClosed:
        return 0
