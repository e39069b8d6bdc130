"""Mails of real workers: one that is killed while it sends, a mail server that is away, and who gets what at the end."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.infrastructure.processes import wait_for
from tests.mail_server import Inbox, mail_server, text_of
from tests.race.databases import execute, new_database, rows_of
from tests.shop import environment_of, reserved_port, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ADA = {"username": "ada", "email": "ada@example.com", "password": "correct horse", "name": "Ada", "lastname": "L"}


@pytest.fixture
def url(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@contextmanager
def two_workers(url: str, folder: Path, smtp_port: int) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """A shop with this mail server, and its launcher."""
    smtp = {"SMTP_URL": f"smtp://127.0.0.1:{smtp_port}", "SHOP_URL": "https://shop.example"}
    environment = environment_of(url, None, folder, AUTH="on", DATA_DIR=str(folder / "data"), **smtp)
    with shop_processes(environment) as (address, launcher), httpx.Client(base_url=address, timeout=30) as http:
        yield http, psutil.Process(launcher.pid)


def token_in(inbox: Inbox, number: int) -> str:
    match = re.search(r"https://shop\.example/verify-email\?token=([\w-]{43})\s", text_of(inbox.mails[number]))
    assert match is not None
    return match[1]


def waiting(url: str) -> int:
    return int(rows_of(url, "SELECT count(*) FROM outgoing_mails")[0][0])


def test_a_worker_that_is_killed_while_it_sends_leaves_the_mail_to_the_other(url: str, tmp_path: Path) -> None:
    with mail_server() as (port, inbox), two_workers(url, tmp_path, port) as (http, launcher):

        def kill_sender(_: object) -> None:
            """Before the worker learns that the mail was taken."""
            inbox.on_mail = None
            for worker in launcher.children():
                if any(connection.raddr and connection.raddr.port == port for connection in worker.net_connections()):
                    worker.send_signal(signal.SIGKILL)

        inbox.on_mail = kill_sender
        assert http.post("/auth/register", json=ADA).status_code == 201
        wait_for(lambda: len(inbox.mails) == 1, "the first mail")
        assert waiting(url) == 1
        # So long it is the mail of the worker that died.
        execute(url, "UPDATE outgoing_mails SET next_attempt_at = now()")
        wait_for(lambda: waiting(url) == 0, "the mail to be sent again")
        assert [mail["Message-ID"] for mail in inbox.mails] == [inbox.mails[0]["Message-ID"]] * 2
        assert token_in(inbox, 0) == token_in(inbox, 1)
        assert http.post("/auth/email/verify", json={"token": token_in(inbox, 0)}).status_code == 204


def test_a_mail_server_that_is_away_delays_mails_and_nobody_who_registers(url: str, tmp_path: Path) -> None:
    with reserved_port() as port, two_workers(url, tmp_path, port) as (http, _):
        assert http.post("/auth/register", json=ADA).status_code == 201
        log = tmp_path / "logs" / "app.log"
        wait_for(lambda: "Mail 1 waits for another attempt (verify_email)" in log.read_text(), "an attempt")
        assert http.get("/health/ready").status_code == 200
        with mail_server(port) as (_, inbox):
            wait_for(lambda: waiting(url) == 0, "the mail to be sent")
        assert inbox.recipients == ["ada@example.com"]
