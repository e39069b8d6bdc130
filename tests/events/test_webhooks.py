"""Webhooks from end to end: a shop, a background process, and a receiver that verifies by the package of the standard."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
from standardwebhooks import WebhookVerificationError

from events.webhook_try import PAUSES
from events.webhooks import ROOM
from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_category, a_product, unique
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background, background
from tests.race.databases import execute, new_database, rows_of
from tests.shop import environment_of, shop_in_thread
from tests.webhook_receiver import Received, Receiver, status, webhook_receiver

pytestmark = pytest.mark.integration

Json = dict[str, Any]
ALLOWED = {
    "WEBHOOKS_ALLOW_INSECURE": "true",
    "WEBHOOKS_ALLOW_NETWORKS": "127.0.0.0/8",
    "SHOP_URL": "https://shop.example",
}


@dataclass(frozen=True)
class Hooks:
    """A shop with AUTH=off, a background process on its database, and a receiver."""

    http: httpx.Client
    work: Background
    receiver: Receiver

    def endpoint(self, *types: str, path: str = "") -> tuple[Json, str, str]:
        """A new endpoint, its secret and the path at which the receiver gets what is sent to it."""
        path = path or f"/{unique('hook').replace(' ', '-')}"
        made = self.http.post(
            "/webhook_endpoints", json={"url": self.receiver.url(path), "types": types or ("category.*",)}
        )
        assert made.status_code == 201, made.text
        row = made.json()
        return row, row.pop("secret"), path

    def got(self, path: str, count: int = 1) -> list[Received]:
        """The first requests at this path."""
        wait_for(lambda: len(self.receiver.at(path)) >= count, f"{count} requests")
        return self.receiver.at(path)

    def deliveries(self, endpoint: Json) -> list[Json]:
        found = self.http.get(f"/webhook_endpoints/{endpoint['id_key']}/deliveries")
        assert found.status_code == 200, found.text
        rows: list[Json] = found.json()
        return rows

    def settled(self, endpoint: Json, wanted: str = "delivered") -> list[Json]:
        """The deliveries to the endpoint, once all of them are there."""
        wait_for(lambda: {row["status"] for row in self.deliveries(endpoint)} == {wanted}, f"all to be {wanted}")
        return self.deliveries(endpoint)

    def wait_for_tries(self, endpoint: Json, number: int) -> Json:
        """The only delivery to the endpoint, once so many tries of it have ended."""
        wait_for(lambda: [len(row["durations"]) for row in self.deliveries(endpoint)] == [number], f"{number} tries")
        return self.deliveries(endpoint)[0]

    def shown(self, endpoint: Json) -> Json:
        row: Json = self.http.get(f"/webhook_endpoints/{endpoint['id_key']}").json()
        return row

    def hurry(self, endpoint: Json) -> None:
        """Have what waits for its next try tried now."""
        execute(
            self.work.url,
            "UPDATE webhook_deliveries SET next_try_at = now() WHERE endpoint_id = %s AND status = 'pending'",
            endpoint["id_key"],
        )


@pytest.fixture(scope="module")
def hooks(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hooks]:
    url, folder = new_database(servers.database_url), tmp_path_factory.mktemp("hooks")
    settings = {**ALLOWED, "DATA_DIR": str(folder / "data")}
    with (
        webhook_receiver() as receiver,
        background(url, folder, DRAIN_SECONDS="1", **settings) as work,
        shop_in_thread(environment_of(url, None, folder, **settings)) as address,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        work.start()
        yield Hooks(http, work, receiver)


def test_an_event_is_delivered_signed_and_as_a_cloud_event(hooks: Hooks) -> None:
    endpoint, secret, path = hooks.endpoint("category.*")
    a_product(hooks.http)
    category = a_category(hooks.http)
    # That of the product was told too, and no product.
    subject = f"categories/{category['id_key']}"
    (received,) = (one for one in hooks.got(path, 2) if one.event["subject"] == subject)
    event = received.verified(secret)
    assert event["data"] == category
    assert {name: event[name] for name in ("specversion", "source", "type", "subject", "datacontenttype")} == {
        "specversion": "1.0",
        "source": "https://shop.example",
        "type": "category.created",
        "subject": subject,
        "datacontenttype": "application/json",
    }
    assert received.headers["content-type"] == "application/cloudevents+json"
    assert event["id"] == received.message_id
    assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 300
    told = hooks.http.get(f"/events/{event['id']}").json()
    assert (int(event["sequence"]), event["time"]) == (told["sequence"], told["occurred_at"])
    with pytest.raises(WebhookVerificationError):
        received.verified(hooks.endpoint()[1])
    assert len(hooks.settled(endpoint)) == 2
    (delivery,) = (row for row in hooks.deliveries(endpoint) if row["event_id"] == event["id"])
    assert (delivery["tries"], delivery["codes"], delivery["error"], delivery["next_try_at"]) == (1, [204], None, None)
    assert len(delivery["durations"]) == 1
    assert delivery["sequence"] == told["sequence"]


def test_a_failure_is_tried_again_with_the_same_id(hooks: Hooks) -> None:
    endpoint, secret, path = hooks.endpoint()
    hooks.receiver.answers[path] = status(500)
    a_category(hooks.http)
    hooks.got(path)
    wait_for(lambda: hooks.deliveries(endpoint)[0]["codes"] == [500], "the first failure")
    row = hooks.deliveries(endpoint)[0]
    assert (row["status"], row["error"], row["tries"]) == ("pending", "the answer was 500", 1)
    assert hooks.shown(endpoint)["failing_since"] is not None
    hooks.receiver.answers[path] = status(200)
    first, second = hooks.got(path, 2)
    assert second.at - first.at > 2.5
    assert first.message_id == second.message_id
    assert first.body == second.body
    assert second.verified(secret)
    row = hooks.settled(endpoint)[0]
    assert (row["codes"], row["tries"], len(row["durations"])) == ([500, 200], 2, 2)
    assert hooks.shown(endpoint)["failing_since"] is None


def test_both_secrets_sign_for_a_day(hooks: Hooks) -> None:
    endpoint, old, path = hooks.endpoint()
    rotated = hooks.http.post(f"/webhook_endpoints/{endpoint['id_key']}/rotate_secret").json()
    hooks.http.post(f"/webhook_endpoints/{endpoint['id_key']}/test")
    received = hooks.got(path)[0]
    assert len(received.headers["webhook-signature"].split(" ")) == 2
    for secret in (old, rotated["secret"]):
        assert received.verified(secret)["type"] == "webhook.test"
    execute(
        hooks.work.url,
        "UPDATE webhook_endpoints SET previous_secret_until = now() WHERE id_key = %s",
        endpoint["id_key"],
    )
    hooks.http.post(f"/webhook_endpoints/{endpoint['id_key']}/test")
    later = hooks.got(path, 2)[1]
    assert later.verified(rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        later.verified(old)
    stored = rows_of(
        hooks.work.url, "SELECT secret, previous_secret FROM webhook_endpoints WHERE id_key = %s", endpoint["id_key"]
    )
    for secret in (old, rotated["secret"]):
        assert secret.encode() not in b"".join(map(bytes, stored[0]))


def test_what_is_not_delivered_for_good(hooks: Hooks) -> None:
    """The tenth failure is the last one; `Retry-After` makes a pause longer and never shorter."""
    endpoint, _, path = hooks.endpoint()
    hooks.receiver.answers[path] = status(503, Retry_After="3600")
    a_category(hooks.http)
    for number in range(1, 10):
        hooks.wait_for_tries(endpoint, number)
        waits = "SELECT extract(epoch FROM next_try_at - now()) FROM webhook_deliveries WHERE endpoint_id = %s"
        ((seconds,),) = rows_of(hooks.work.url, waits, endpoint["id_key"])
        assert seconds > max(3600, PAUSES[number - 1]) * 0.95
        hooks.hurry(endpoint)
    row = hooks.settled(endpoint, "failed")[0]
    assert (row["codes"], row["tries"], row["next_try_at"]) == ([503] * 10, 10, None)
    hooks.receiver.answers.pop(path)
    again = hooks.http.post(f"/webhook_deliveries/{row['id_key']}/redeliver")
    assert (again.status_code, again.json()["status"]) == (200, "pending")
    row = hooks.settled(endpoint)[0]
    assert row["codes"] == [503] * 10 + [204]
    assert len({one.message_id for one in hooks.receiver.at(path)}) == 1


def test_410_switches_the_endpoint_off(hooks: Hooks) -> None:
    endpoint, _, path = hooks.endpoint()
    hooks.receiver.answers[path] = status(410)
    a_category(hooks.http)
    wait_for(lambda: hooks.shown(endpoint)["active"] is False, "the endpoint to be off")
    assert hooks.settled(endpoint, "failed")[0]["codes"] == [410]
    a_category(hooks.http)
    # What was missed can be sent again, once.
    _, _, other_path = hooks.endpoint()
    a_category(hooks.http)
    hooks.got(other_path)
    assert len(hooks.receiver.at(path)) == 1
    hooks.receiver.answers.pop(path)
    on = hooks.http.patch(f"/webhook_endpoints/{endpoint['id_key']}", json={"active": True})
    assert on.json()["failing_since"] is None
    first = hooks.receiver.at(path)[0].event
    again = hooks.http.post(
        f"/webhook_endpoints/{endpoint['id_key']}/redeliver", json={"after": int(first["sequence"]) - 1}
    )
    assert again.status_code == 202
    again_ids = [one.message_id for one in hooks.got(path, 4)[1:]]
    assert len(set(again_ids)) == 3
    assert first["id"] in again_ids
    assert len(hooks.settled(endpoint)) == 3
    replay = "SELECT replay_after, replay_until FROM webhook_endpoints WHERE id_key = %s"
    assert rows_of(hooks.work.url, replay, endpoint["id_key"]) == [(None, None)]


def test_who_fails_for_five_days_is_switched_off_and_the_owner_told(hooks: Hooks) -> None:
    endpoint, _, path = hooks.endpoint()
    ((user_id,),) = rows_of(
        hooks.work.url,
        "INSERT INTO users (username, email, email_key, role) VALUES ('ada', 'ada@example.com', 'ada@example.com', 'admin') RETURNING id_key",
    )
    own = "UPDATE webhook_endpoints SET user_id = %s, failing_since = now() - interval '%s days' WHERE id_key = %s"
    hooks.receiver.answers[path] = status(500)
    execute(hooks.work.url, own, user_id, 4, endpoint["id_key"])
    a_category(hooks.http)
    wait_for(lambda: [row["codes"] for row in hooks.deliveries(endpoint)] == [[500]], "a failure")
    assert hooks.shown(endpoint)["active"]
    execute(hooks.work.url, own, user_id, 5, endpoint["id_key"])
    hooks.hurry(endpoint)
    wait_for(lambda: hooks.shown(endpoint)["active"] is False, "the endpoint to be off")
    folder = hooks.work.folder / "data" / "mail"
    of_owner = "To: ada@example.com"

    def mails() -> list[str]:
        """Those to the owner; staff gets some, too."""
        return [text for one in folder.glob("*.eml") if of_owner in (text := one.read_text())]

    wait_for(mails, "the mail")
    (mail,) = mails()
    assert "because it has failed for five days" in " ".join(mail.split())
    assert "is switched off: nothing has succeeded for 5 days" in hooks.work.log()


def test_events_about_one_thing_come_in_their_order(hooks: Hooks) -> None:
    """Also where the first of them fails at first: the others wait for it."""
    endpoint, _, path = hooks.endpoint()
    failures = iter([500])

    def once(handler: Any, received: Received) -> None:
        status(next(failures, 200))(handler, received)

    hooks.receiver.answers[path] = once
    category = a_category(hooks.http)
    for number in range(4):
        hooks.http.patch(f"/categories/{category['id_key']}", json={"name": f"{category['name']} {number}"})
    hooks.settled(endpoint)
    wait_for(lambda: len(hooks.receiver.at(path)) == 6, "all")
    sequences = [one.event["sequence"] for one in hooks.receiver.at(path)]
    assert sequences[0] == sequences[1]
    assert sequences[1:] == sorted(set(sequences))


def test_one_that_hangs_delays_no_other(hooks: Hooks) -> None:
    slow, _, slow_path = hooks.endpoint()
    quick, _, quick_path = hooks.endpoint()
    go_on = threading.Event()

    def hang(handler: Any, received: Received) -> None:
        go_on.wait(60)

    hooks.receiver.answers[slow_path] = hang
    try:
        for _ in range(30):
            a_category(hooks.http)
        hooks.got(quick_path, 30)
        assert len(hooks.receiver.at(slow_path)) <= ROOM
    finally:
        go_on.set()
        hooks.http.delete(f"/webhook_endpoints/{slow['id_key']}")
    assert len(hooks.settled(quick)) == 30


def test_e5_what_receivers_do(hooks: Hooks) -> None:
    def close(handler: Any, received: Received) -> None:
        handler.connection.close()

    def flood(handler: Any, received: Received) -> None:
        handler.send_response(500)
        handler.send_header("Content-Length", str(100 * 1024 * 1024))
        handler.end_headers()
        for _ in range(1600):
            handler.wfile.write(b"x" * 65536)

    answers = {
        "the answer was 302": status(302, Location="http://169.254.169.254/latest/meta-data"),
        "the answer was 500": flood,
        "the connection ended without a complete answer": close,
    }
    (process,) = [psutil.Process(one.pid) for one in hooks.work.processes if one.poll() is None]
    before = process.memory_info().rss
    for error, answer in answers.items():
        endpoint, _, path = hooks.endpoint()
        hooks.receiver.answers[path] = answer
        hooks.http.post(f"/webhook_endpoints/{endpoint['id_key']}/test")
        assert hooks.wait_for_tries(endpoint, 1)["error"] == error
    assert process.memory_info().rss - before < 30 * 1024 * 1024
    # An address that the settings forbid meanwhile, and a secret under a key that is gone.
    endpoint, _, path = hooks.endpoint()
    execute(
        hooks.work.url,
        "UPDATE webhook_endpoints SET url = 'http://169.254.169.254/' WHERE id_key = %s",
        endpoint["id_key"],
    )
    hooks.http.post(f"/webhook_endpoints/{endpoint['id_key']}/test")
    assert "address" in hooks.wait_for_tries(endpoint, 1)["error"]
    other, _, _ = hooks.endpoint()
    execute(hooks.work.url, "UPDATE webhook_endpoints SET secret = 'x' WHERE id_key = %s", other["id_key"])
    hooks.http.post(f"/webhook_endpoints/{other['id_key']}/test")
    assert "rotate it" in hooks.wait_for_tries(other, 1)["error"]


def test_a_process_that_is_killed_leaves_its_deliveries_to_another(hooks: Hooks) -> None:
    """At the worst moment: the receiver has it, and the shop does not know. It comes again with the same id."""
    endpoint, _, path = hooks.endpoint()
    process = next(one for one in hooks.work.processes if one.poll() is None)

    def kill(handler: Any, received: Received) -> None:
        hooks.receiver.answers.pop(path)
        process.kill()
        process.wait()

    hooks.receiver.answers[path] = kill
    a_category(hooks.http)
    wait_for(lambda: process.poll() is not None, "the process to be killed")
    hooks.work.start()
    assert hooks.deliveries(endpoint)[0]["status"] == "pending"
    hooks.hurry(endpoint)
    first, second = hooks.got(path, 2)
    assert (first.message_id, first.body) == (second.message_id, second.body)
    row = hooks.settled(endpoint)[0]
    assert (row["tries"], row["codes"]) == (2, [204])
