"""Webhook endpoints over HTTP: what is accepted, the secret that is shown once, and what is refused before anything is sent."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.builders import a_webhook_endpoint
from tests.contract.answers import assert_malformed, assert_problem

pytestmark = pytest.mark.integration

Json = dict[str, Any]


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    """One that coverage sees: nothing else reaches all of these rules in the services."""
    return traced_client


@pytest.fixture
def endpoint(client: httpx.Client) -> Iterator[Json]:
    row = a_webhook_endpoint(client)
    yield row
    client.delete(f"/webhook_endpoints/{row['id_key']}")


def path_of(endpoint: Json) -> str:
    return f"/webhook_endpoints/{endpoint['id_key']}"


def test_the_secret_is_shown_once_and_by_a_rotation(client: httpx.Client) -> None:
    made = client.post("/webhook_endpoints", json={"url": "https://example.com/x?y=1", "types": ["*"]})
    assert made.status_code == 201, made.text
    assert made.headers["Cache-Control"] == "no-store"
    row = made.json()
    secret = row.pop("secret")
    assert secret.startswith("whsec_")
    assert (row["active"], row["failing_since"], row["user_id"], row["types"]) == (True, None, None, ["*"])
    shown = client.get(made.headers["Location"])
    assert shown.json() == row
    rotated = client.post(f"{path_of(row)}/rotate_secret")
    assert rotated.json()["secret"] not in (secret, None)
    assert rotated.json()["previous_secret_until"] > rotated.json()["updated_at"]
    for response in (shown, client.get(path_of(row)), client.get("/webhook_endpoints", params={"limit": 1000})):
        assert "whsec_" not in response.text


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "example.com",
        "https://",
        "https:///x",
        "https://user:password@example.com/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:70000/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://example.com\\@10.0.0.1/",
        "https://127.0.0.1/",
        "https://10.1.2.3:8443/x",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/latest/meta-data",
        "https://169.254.169.254/",
        "https://example.com/" + "x" * 2000,
        7,
        None,
        "",
    ],
)
def test_urls_that_are_refused(client: httpx.Client, endpoint: Json, url: object) -> None:
    if url == "https://example.com/\n":
        url = "https://example.com/\n/x"
    assert_malformed(client.post("/webhook_endpoints", json={"url": url, "types": ["*"]}), "body", "url")
    assert_malformed(client.patch(path_of(endpoint), json={"url": url}), "body", "url")


@pytest.mark.parametrize(
    "types", [[], None, "order.*", ["order"], ["no.such"], [7], ["order.*", ""], ["order.created,*"]]
)
def test_types_that_are_refused(client: httpx.Client, types: object) -> None:
    response = client.post("/webhook_endpoints", json={"url": "https://example.com/", "types": types})
    assert_malformed(response, "body", "types")


def test_types_are_kept_as_they_are(client: httpx.Client, endpoint: Json) -> None:
    changed = client.patch(path_of(endpoint), json={"types": ["stock.low", "order.*", "stock.low"]})
    assert changed.json()["types"] == ["order.*", "stock.low"]


def test_what_the_shop_writes_is_read_only(client: httpx.Client, endpoint: Json) -> None:
    row = client.get(path_of(endpoint)).json()
    sent_back = {**row, "failing_since": "2026-01-01T00:00:00Z", "user_id": 7, "previous_secret_until": None}
    assert client.put(path_of(endpoint), json=sent_back).json() == row
    assert_problem(client.patch(path_of(endpoint), json={"secret": "whsec_x"}), 422)


def test_a_test_is_a_delivery(client: httpx.Client, endpoint: Json) -> None:
    made = client.post(f"{path_of(endpoint)}/test")
    assert made.status_code == 201, made.text
    row = made.json()
    assert {name: row[name] for name in ("status", "tries", "codes", "durations", "error", "sequence", "type")} == {
        "status": "pending",
        "tries": 0,
        "codes": [],
        "durations": [],
        "error": None,
        "sequence": None,
        "type": "webhook.test",
    }
    assert client.get(made.headers["Location"]).json() == row
    assert client.get(f"{path_of(endpoint)}/deliveries", params={"status": "pending"}).json() == [row]
    assert client.get("/webhook_deliveries", params={"endpoint_id": endpoint["id_key"]}).json() == [row]
    assert client.get(f"{path_of(endpoint)}/deliveries", params={"status": "failed"}).json() == []
    again = client.post(f"/webhook_deliveries/{row['id_key']}/redeliver")
    assert again.json()["next_try_at"] > row["next_try_at"]
    client.delete(path_of(endpoint))
    assert_problem(client.get(made.headers["Location"]), 404)


@pytest.mark.parametrize(
    "body", [{}, {"after": None}, {"after": -1}, {"after": "x"}, {"after": 1.5}, {"after": 2**63}, {"x": 1}]
)
def test_redeliveries_that_are_refused(client: httpx.Client, endpoint: Json, body: Json) -> None:
    assert_malformed(client.post(f"{path_of(endpoint)}/redeliver", json=body), "body", next(iter(body), "after"))


def test_nothing_is_sent_to_an_endpoint_that_is_off(client: httpx.Client, endpoint: Json) -> None:
    delivery = client.post(f"{path_of(endpoint)}/test").json()
    assert client.patch(path_of(endpoint), json={"active": False}).json()["active"] is False
    for path, body in (
        (f"{path_of(endpoint)}/test", None),
        (f"{path_of(endpoint)}/redeliver", {"after": 0}),
        (f"/webhook_deliveries/{delivery['id_key']}/redeliver", None),
    ):
        assert assert_problem(client.post(path, json=body), 409)["code"] == "webhook_endpoint_off"
