"""Notifications where something goes wrong on their way: a process killed, a mail server away, a client who does not want them any more."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_client, a_product
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background, background
from tests.mail_server import mail_server
from tests.race.databases import execute, new_database, rows_of
from tests.shop import reserved_port
from tests.told_shop import ToldShop, told_shop

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ONLY_MAIL = {"sms": False, "push": False}


@pytest.fixture
def shop(servers: ServerUrls, tmp_path: Path) -> Iterator[tuple[ToldShop, Background]]:
    """A shop, and background processes that count as dead after three seconds; none is started yet."""
    url = new_database(servers.database_url)
    with told_shop(url, tmp_path) as shop, background(url, tmp_path, DEAD_AFTER="3", DRAIN_SECONDS="1") as work:
        yield shop, work


def order(http: httpx.Client, client: dict[str, Any]) -> None:
    lines = [{"product_id": a_product(http, stock=9)["id_key"], "quantity": 1}]
    cart = {"client_id": client["id_key"], "delivery_method": 3, "payment_type": "card", "lines": lines}
    assert http.post("/checkout", json=cart).status_code == 201


def statuses(url: str) -> list[tuple[str, int]]:
    return rows_of(url, "SELECT status, tries FROM notifications ORDER BY id_key")


def test_a_process_killed_after_a_mail_was_accepted_loses_none(shop: tuple[ToldShop, Background]) -> None:
    """E1: a mail comes twice only with the same Message-ID, and there is one notification."""
    shop_, work = shop
    with mail_server() as (port, inbox):
        settings = {"SMTP_URL": f"smtp://127.0.0.1:{port}"}
        clients = [a_client(shop_.http, notify=ONLY_MAIL) for _ in range(5)]
        process = work.start(**settings)

        def kill(mail: object) -> None:
            inbox.on_mail = None
            os.kill(process.pid, signal.SIGKILL)

        inbox.on_mail = kill
        for client in clients:
            order(shop_.http, client)
        process.wait()
        work.start(**settings)
        wait_for(lambda: statuses(work.url) == [("sent", 0)] * 5, "all notifications to be sent")
        for client in clients:
            ids = {mail["Message-ID"] for mail in inbox.mails if mail["To"] == client["email"]}
            assert len(ids) == 1
        assert len(inbox.mails) > 5, "the first one comes twice"


def test_a_mail_server_that_is_away_is_waited_for(shop: tuple[ToldShop, Background]) -> None:
    """It is nobody's refusal."""
    shop_, work = shop
    with reserved_port() as port:
        pass
    work.start(SMTP_URL=f"smtp://127.0.0.1:{port}")
    order(shop_.http, a_client(shop_.http, notify=ONLY_MAIL))
    errors = "SELECT 1 FROM notifications WHERE error IS NOT NULL AND next_try_at > now()"
    wait_for(lambda: bool(rows_of(work.url, errors)), "the first try")
    assert statuses(work.url) == [("queued", 0)]
    with mail_server(port) as (_, inbox):
        execute(work.url, "UPDATE notifications SET next_try_at = NULL")
        work.defer("send_notifications")
        wait_for(lambda: statuses(work.url) == [("sent", 0)], "the mail")
        assert len(inbox.mails) == 1
    assert rows_of(work.url, "SELECT error FROM notifications") == [(None,)]


def test_what_a_client_has_switched_off_meanwhile_is_not_sent(shop: tuple[ToldShop, Background]) -> None:
    shop_, work = shop
    client = a_client(shop_.http, notify=ONLY_MAIL)
    order(shop_.http, client)
    with reserved_port() as port:
        pass
    work.start(SMTP_URL=f"smtp://127.0.0.1:{port}")
    wait_for(lambda: bool(rows_of(work.url, "SELECT 1 FROM notifications WHERE error IS NOT NULL")), "the first try")
    answer = shop_.http.patch(f"/clients/{client['id_key']}", json={"notify": {"mail": False}})
    assert answer.status_code == 200
    execute(work.url, "UPDATE notifications SET next_try_at = NULL WHERE taken_by IS NULL")
    work.defer("send_notifications")
    wait_for(lambda: statuses(work.url) == [("suppressed", 0)], "the end")


def test_old_notifications_go_with_the_days_of_events(shop: tuple[ToldShop, Background]) -> None:
    shop_, work = shop
    client = a_client(shop_.http)["id_key"]
    execute(
        work.url,
        "INSERT INTO notifications (event_id, kind, channel, recipient, client_id, language, status, created_at) "
        f"SELECT gen_random_uuid(), 'order_placed', 'mail', 'a@b.de', {client}, 'en', status, now() - age "
        "FROM unnest(ARRAY['sent', 'failed', 'sent', 'queued'], ARRAY[interval '31 days', '31 days', '29 days', '31 days'])"
        " AS given (status, age)",
    )
    execute(work.url, "UPDATE notifications SET next_try_at = now() + interval '1 day' WHERE status = 'queued'")
    work.start()
    work.defer("purge_notifications")
    wait_for(lambda: len(statuses(work.url)) == 2, "the clean-up")
    assert statuses(work.url) == [("sent", 0), ("queued", 0)]
    # They go with their client.
    assert shop_.http.delete(f"/clients/{client}").status_code == 204
    assert statuses(work.url) == []
