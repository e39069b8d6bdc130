"""E1: background processes are killed again and again while orders are placed, and everybody is told all the same.

Those who are told: a webhook, the readers of the broker, a mail server, and jobs.
"""

import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background, background
from tests.mail_server import mail_server
from tests.race.databases import breaches, new_database, rows_of
from tests.race.goods import Goods, made
from tests.servers.broker_reader import BrokerReader
from tests.servers.rabbitmq import RabbitMQ, needs_rabbitmq
from tests.shop import environment_of, shop_processes
from tests.webhook_receiver import webhook_receiver

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.chaos, needs_rabbitmq]

log = logging.getLogger(__name__)

# The contract has 200 kills and 5,000 orders, which take a quarter of an hour: E1_KILLS=200 E1_ORDERS=5000.
KILLS, ORDERS = int(os.environ.get("E1_KILLS", "30")), int(os.environ.get("E1_ORDERS", "750"))
PROCESSES = 3
SECONDS_BETWEEN_KILLS = 1.0


class Customers:
    """Place orders until there are enough, move some of them on, and ask for some that are refused."""

    def __init__(self, goods: Goods) -> None:
        self._goods, self._product = goods, goods.product(stock=10 * ORDERS)
        self.placed: list[int] = []
        self.moved: set[int] = set()
        self.refused = 0
        self._thread = threading.Thread(target=self._buy)

    def _buy(self) -> None:
        http = self._goods.http
        for number in range(ORDERS):
            self.placed.append(int(self._goods.bought((self._product, 1))["id_key"]))
            if number % 10 == 0:
                answer = http.post("/checkout", json=self._goods.cart((self._product, 100 * ORDERS)))
                assert answer.status_code == 400, answer.text
                self.refused += 1
            if number % 5 == 0:
                assert http.put(f"/orders/{self.placed[-1]}", json={"status": 2}).status_code == 200
                self.moved.add(self.placed[-1])

    def __enter__(self) -> "Customers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


@contextmanager
def everybody(servers: ServerUrls, folder: Path) -> Iterator[tuple[Background, Goods, ExitStack]]:
    """A shop without background processes, and what starts those."""
    with ExitStack() as stack:
        url = new_database(servers.database_url)
        inside = {"WEBHOOKS_ALLOW_INSECURE": "true", "WEBHOOKS_ALLOW_NETWORKS": "127.0.0.0/8"}
        environment = environment_of(url, None, folder, **inside)
        address, _ = stack.enter_context(shop_processes(environment, workers=1))
        http = stack.enter_context(httpx.Client(base_url=address, timeout=60))
        yield stack.enter_context(background(url, folder, DEAD_AFTER="5", **inside)), Goods(http), stack


def kill_again_and_again(work: Background) -> None:
    choice = random.Random(KILLS)
    living = [work.start() for _ in range(PROCESSES)]
    for _ in range(KILLS):
        time.sleep(SECONDS_BETWEEN_KILLS * choice.uniform(0.5, 1.5))
        process = living.pop(choice.randrange(PROCESSES))
        process.kill()
        process.wait()
        living.append(work.start())


@pytest.mark.timeout(1800)
def test_e1_everybody_is_told_of_everything_however_often_processes_are_killed(
    servers: ServerUrls, tmp_path: Path
) -> None:
    with everybody(servers, tmp_path) as (work, goods, stack):
        broker = stack.enter_context(RabbitMQ(tmp_path / "rabbitmq"))
        reader = stack.enter_context(BrokerReader(broker.url, "order.*"))
        smtp_port, inbox = stack.enter_context(mail_server())
        receiver = stack.enter_context(webhook_receiver())
        work.settings |= {"RABBITMQ_URL": broker.url, "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}"}
        made(goods.http.post("/webhook_endpoints", json={"url": receiver.url("/hook"), "types": ["order.*"]}))
        with Customers(goods) as customers:
            kill_again_and_again(work)

        # None for an order that was refused.
        events = {
            str(key): order_id
            for key, order_id in rows_of(work.url, "SELECT id, resource_id FROM events WHERE type LIKE 'order.%'")
        }
        assert Counter(events.values()) == Counter(customers.placed) + Counter(customers.moved)
        assert customers.refused == -(-ORDERS // 10)

        reader.wait_for_all(set(events), 300)
        reader.require_order()
        wait_for(lambda: set(events) <= {one.message_id for one in receiver.got}, "all webhooks", 300)
        assert set(events) == {one.message_id for one in receiver.got}

        told = "SELECT event_id::text, status FROM notifications WHERE channel = 'mail' AND kind LIKE 'order_%'"
        wait_for(
            lambda: Counter(status for _, status in rows_of(work.url, told)) == {"sent": len(events)}, "mails", 300
        )
        assert Counter(event_id for event_id, _ in rows_of(work.url, told)) == Counter(list(events))
        # A mail that came twice has the same id.
        assert len({mail["Message-ID"] for mail in inbox.mails}) == len(events)

        work.wait_until_done()
        sequences = dict(rows_of(work.url, "SELECT id::text, sequence FROM events"))
        assert Counter(work.effects()) == Counter(f"event {key} {sequences[key]}" for key in events)
        assert breaches(work.url) == []
        doubled = len(receiver.got) - len(events), len(inbox.mails) - len(events)
        log.info("Doubled by %d kills: %d messages, %d webhooks, %d mails", KILLS, reader.doubled, *doubled)
