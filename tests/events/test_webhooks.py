"""Webhooks from end to end: a shop, a background process, and a receiver that verifies by the package of the standard."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from standardwebhooks import WebhookVerificationError

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
    with (
        webhook_receiver() as receiver,
        background(url, folder, DRAIN_SECONDS="1", **ALLOWED) as work,
        shop_in_thread(environment_of(url, None, folder, **ALLOWED)) as address,
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
