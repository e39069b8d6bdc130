"""Notifications from the change in the shop to the mail server, with a background process of its own."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_client, a_product
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background, background
from tests.mail_server import Inbox, mail_server
from tests.race.databases import execute, new_database, rows_of
from tests.told_shop import told_shop

pytestmark = pytest.mark.integration


@dataclass
class Shop:
    """A shop, a background process of it, and what it has sent."""

    http: httpx.Client
    work: Background
    inbox: Inbox
    # The path and the body of each call of the services of SMS and push messages.
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def order(self, client: dict[str, Any]) -> int:
        """An order of the client; its key."""
        product = a_product(self.http, price=12.5, stock=9)
        lines = [{"product_id": product["id_key"], "quantity": 2}]
        cart = {"client_id": client["id_key"], "delivery_method": 3, "payment_type": "card", "lines": lines}
        answer = self.http.post("/checkout", json=cart)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id_key"])

    def notifications(self, client: dict[str, Any], **filters: str) -> list[tuple[str, str, str]]:
        """Kind, channel and status of those of the client, the oldest first."""
        rows = self.http.get("/notifications", params={"client_id": client["id_key"], **filters}).json()
        return [(row["kind"], row["channel"], row["status"]) for row in rows]

    def mails_to(self, address: str) -> list[Any]:
        return [mail for mail in self.inbox.mails if mail["To"] == address]

    def wait_for_mails(self, address: str, count: int) -> list[Any]:
        """So many mails to the address, once they are there."""
        wait_for(lambda: len(self.mails_to(address)) >= count, f"{count} mails to {address}")
        return self.mails_to(address)


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    url, folder = new_database(servers.database_url), tmp_path_factory.mktemp("notifications")
    with mail_server() as (port, inbox), receiver() as (receiving, calls):
        settings = {
            "SMTP_URL": f"smtp://127.0.0.1:{port}",
            "MAIL_FROM": "The Shop <shop@example.com>",
            "SHOP_URL": "https://shop.example.com",
            "SMS_URL": f"json://127.0.0.1:{receiving}/sms/{{recipient}}",
            "PUSH_URL": f"json://127.0.0.1:{receiving}/push/",
            "STAFF_MAIL": "staff@example.com",
        }
        with told_shop(url, folder, **settings) as shop, background(url, folder, **settings) as work:
            work.start()
            yield Shop(shop.http, work, inbox, calls)


def receiver() -> Any:
    """The port of a service that takes short messages, and what it was given."""
    calls: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            calls.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return serving(Handler, calls)


class serving:
    """The port on which the handler serves, and what is handed on with it."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], calls: list[tuple[str, Any]]) -> None:
        self._server, self._calls = ThreadingHTTPServer(("127.0.0.1", 0), handler), calls

    def __enter__(self) -> tuple[int, list[tuple[str, Any]]]:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self._server.server_address[1], self._calls

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


ONLY_MAIL = {"sms": False, "mail": True, "push": False}


def test_an_order_on_its_way(shop: Shop) -> None:
    """Each step of an order is a mail, in the language of the client, as text and as HTML."""
    client = a_client(shop.http, name="Ada", language="es", notify=ONLY_MAIL)
    order = shop.order(client)
    for _ in range(2):
        assert shop.http.post(f"/orders/{order}/advance").status_code == 200
    mails = shop.wait_for_mails(client["email"], 3)
    assert {mail["Subject"] for mail in mails} == {
        f"Su pedido {order}",
        f"Su pedido {order} está en camino",
        f"Su pedido {order} se ha entregado",
    }
    placed = next(mail for mail in mails if mail["Subject"] == f"Su pedido {order}")
    assert placed["From"] == "The Shop <shop@example.com>"
    text, html = (placed.get_body((kind,)).get_content() for kind in ("plain", "html"))
    for said in (text, html):
        assert "Hola, Ada:" in said
        assert "25,00\N{NO-BREAK SPACE}€" in said
        assert f"https://shop.example.com/orders/{order}" in said
    assert '<html lang="es">' in html
    assert len({mail["Message-ID"] for mail in mails}) == 3
    told = [("order_placed", "mail", "sent"), ("order_on_its_way", "mail", "sent"), ("order_delivered", "mail", "sent")]
    wait_for(lambda: sorted(shop.notifications(client, channel="mail")) == sorted(told), "the marks")


def test_what_is_canceled_or_comes_back(shop: Shop) -> None:
    client = a_client(shop.http, language="en", notify=ONLY_MAIL)
    canceled, returned = shop.order(client), shop.order(client)
    assert shop.http.post(f"/orders/{canceled}/cancel").status_code == 200
    assert shop.http.post(f"/orders/{returned}/advance").status_code == 200
    line = shop.http.get("/order_details", params={"order_id": returned}).json()[0]["id_key"]
    lines = {"lines": [{"order_detail_id": line, "quantity": 1}]}
    assert shop.http.post(f"/orders/{returned}/returns", json=lines).status_code == 201
    subjects = {mail["Subject"] for mail in shop.wait_for_mails(client["email"], 5)}
    assert f"Your order {canceled} was canceled" in subjects
    assert f"€12.50 for your order {returned} go back to you" in subjects


def test_short_messages_go_to_one_recipient_a_call(shop: Shop) -> None:
    client = a_client(shop.http, telephone="+34600100200", language="en", notify={"sms": True, "push": True})
    order = shop.order(client)

    def calls() -> list[tuple[str, Any]]:
        return [call for call in shop.calls if f"order {order}" in call[1]["title"]]

    wait_for(lambda: len(calls()) == 2, "both messages")
    assert {path for path, _ in calls()} == {"/sms/+34600100200", f"/push/{client['id_key']}"}
    for _, body in calls():
        assert "thank you for your order" in body["message"]
    everything = [("order_placed", channel, "sent") for channel in ("mail", "push", "sms")]
    wait_for(lambda: sorted(shop.notifications(client)) == everything, "the marks")


def test_channels_that_are_off(shop: Shop) -> None:
    client = a_client(shop.http, notify={"sms": False, "mail": False, "push": False})
    shop.order(client)
    suppressed = [("order_placed", channel, "suppressed") for channel in ("mail", "push", "sms")]
    wait_for(lambda: sorted(shop.notifications(client)) == suppressed, "the notifications")
    assert not shop.mails_to(client["email"])
    one = shop.http.get("/notifications", params={"client_id": client["id_key"]}).json()[0]
    assert shop.http.post(f"/notifications/{one['id_key']}/resend").status_code == 409


def test_staff_is_told_of_low_stock(shop: Shop) -> None:
    product = a_product(shop.http, stock=10, reorder_level=5)
    assert shop.http.patch(f"/products/{product['id_key']}", json={"stock": 4}).status_code == 200

    def told() -> list[Any]:
        return [mail for mail in shop.mails_to("staff@example.com") if product["name"] in mail["Subject"]]

    wait_for(lambda: len(told()) == 1, "the mail to staff")
    assert f"https://shop.example.com/products/{product['id_key']}" in told()[0].get_body(("plain",)).get_content()


def tasks(shop: Shop) -> set[str]:
    """The tasks with a job that is not done."""
    return {name for (name,) in rows_of(shop.work.url, "SELECT task FROM jobs WHERE status IN ('queued', 'running')")}


def test_staff_is_told_of_a_dead_job_once(shop: Shop) -> None:
    job = shop.work.defer("no_such_task")
    execute(shop.work.url, f"UPDATE procrastinate_jobs SET status = 'failed', attempts = 8 WHERE id = {job}")
    for _ in range(2):
        shop.work.defer("tell_of_dead_jobs")
        wait_for(lambda: "tell_of_dead_jobs" not in tasks(shop), "the task")
    wait_for(lambda: [m for m in shop.mails_to("staff@example.com") if "no_such_task" in m["Subject"]], "the mail")
    assert rows_of(shop.work.url, "SELECT count(*) FROM notifications WHERE kind = 'job_dead'") == [(1,)]


def test_a_mail_that_is_sent_again_is_another_mail(shop: Shop) -> None:
    """To the address that the client has by now."""
    client = a_client(shop.http, notify=ONLY_MAIL)
    shop.order(client)
    first = shop.wait_for_mails(client["email"], 1)[0]
    wait_for(lambda: shop.notifications(client, status="sent"), "the mark")
    other = client["email"].replace("@", ".new@")
    assert shop.http.patch(f"/clients/{client['id_key']}", json={"email": other}).status_code == 200
    one = shop.http.get("/notifications", params={"client_id": client["id_key"], "channel": "mail"}).json()[0]
    again = shop.http.post(f"/notifications/{one['id_key']}/resend")
    assert (again.status_code, again.json()["status"], again.json()["recipient"]) == (200, "queued", other)
    second = shop.wait_for_mails(other, 1)[0]
    assert second["Message-ID"] != first["Message-ID"]


def is_due_now(shop: Shop) -> Callable[[], bool]:
    def done() -> bool:
        execute(
            shop.work.url, "UPDATE notifications SET next_try_at = NULL WHERE status = 'queued' AND taken_by IS NULL"
        )
        shop.work.defer("send_notifications")
        return bool(rows_of(shop.work.url, "SELECT 1 FROM notifications WHERE status = 'failed'"))

    return done


def test_a_bad_address_is_tried_five_times(shop: Shop) -> None:
    client = a_client(shop.http, notify=ONLY_MAIL)
    shop.inbox.replies += ["550 No such user"] * 5
    shop.order(client)
    wait_for(is_due_now(shop), "the last try")
    found = shop.http.get("/notifications", params={"client_id": client["id_key"], "channel": "mail"}).json()[0]
    assert (found["status"], found["tries"]) == ("failed", 5)
    assert "550" in found["error"]
    assert not shop.inbox.replies
    assert not shop.mails_to(client["email"])
    # It can be sent again, with all its tries before it.
    assert shop.http.post(f"/notifications/{found['id_key']}/resend").json()["tries"] == 0
    shop.wait_for_mails(client["email"], 1)


def test_events_that_are_read_twice_tell_once(shop: Shop) -> None:
    client = a_client(shop.http, notify=ONLY_MAIL)
    shop.order(client)
    shop.wait_for_mails(client["email"], 1)
    wait_for(lambda: shop.notifications(client, status="sent"), "the mark")
    ((last,),) = rows_of(shop.work.url, "SELECT max(sequence) FROM events")
    before = rows_of(shop.work.url, "SELECT count(*) FROM notifications")
    shop.work.defer("notify", after=0, until=last)
    shop.work.wait_until_done()
    assert rows_of(shop.work.url, "SELECT count(*) FROM notifications") == before
    assert len(shop.mails_to(client["email"])) == 1


def test_mails_of_a_shop_without_a_mail_server_are_files(servers: ServerUrls, tmp_path: Path) -> None:
    url = new_database(servers.database_url)
    settings = {"DATA_DIR": str(tmp_path / "data")}
    with told_shop(url, tmp_path, **settings) as shop, background(url, tmp_path, **settings) as work:
        work.start()
        client = a_client(shop.http)
        assert shop.http.post("/checkout", json=_cart(shop.http, client)).status_code == 201
        folder = tmp_path / "data" / "mail"
        wait_for(lambda: any(client["email"] in file.read_text() for file in folder.glob("*.eml")), "the file")


def _cart(http: httpx.Client, client: dict[str, Any]) -> dict[str, Any]:
    lines = [{"product_id": a_product(http, stock=9)["id_key"], "quantity": 1}]
    return {"client_id": client["id_key"], "delivery_method": 3, "payment_type": "card", "lines": lines}
