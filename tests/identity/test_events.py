"""Who reads events: staff, administrators and keys all of them, and a customer those of their own orders."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.events.event_streams import streamed
from tests.guarded_shop import Caller, GuardedShop
from tests.identity.shelf import Customer, Shelf
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

_WRITE = """
    INSERT INTO events (type, resource, resource_id, client_id, data)
    VALUES ('order.updated', 'orders', 1, %s, '{}') RETURNING id::text
"""


@pytest.fixture(scope="module")
def shelf(shop: GuardedShop) -> Shelf:
    return Shelf(shop)


@pytest.fixture
def own(shelf: Shelf) -> Customer:
    return shelf.a_customer()


@pytest.fixture
def other(shelf: Shelf) -> Customer:
    return shelf.a_customer()


def write(shop: GuardedShop, customer: Customer | None) -> str:
    client_id = None if customer is None else customer.client["id_key"]
    return str(rows_of(shop.database_url, _WRITE, client_id)[0][0])


def end_of(shop: GuardedShop, caller: Caller) -> int:
    after = -1
    while True:
        response = shop(caller, "GET", "/events", params={"after": after, "limit": 1000})
        reached = int(response.headers["x-next-after"])
        if not response.json():
            return reached
        after = reached


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [event["id"] for event in response.json()]


def test_a_customer_sees_the_events_of_their_orders_and_no_others(
    shop: GuardedShop, own: Customer, other: Customer
) -> None:
    after = end_of(shop, shop.user("staff"))
    mine, theirs, nobodys = write(shop, own), write(shop, other), write(shop, None)
    everything = [mine, theirs, nobodys]
    for params in ({}, {"type": "order.*"}, {"resource_id": 1}, {"type": "order.updated", "resource_id": 1}):
        asked = {"after": after, **params}
        assert ids(shop(own.caller, "GET", "/events", params=asked)) == [mine]
        for caller in (shop.user("staff"), shop.user("admin"), shop.key("events:read")):
            assert ids(shop(caller, "GET", "/events", params=asked)) == everything
    assert shop(own.caller, "GET", f"/events/{mine}").json()["id"] == mine
    for event_id in (theirs, nobodys):
        missing = shop(own.caller, "GET", f"/events/{event_id}")
        assert missing.status_code == 404
        assert missing.json()["detail"] == f"Event with id {event_id} not found"
        assert shop(shop.user("staff"), "GET", f"/events/{event_id}").status_code == 200


def test_a_customer_without_a_client_sees_none(shop: GuardedShop, own: Customer) -> None:
    write(shop, own)
    write(shop, None)
    assert ids(shop(shop.user("customer"), "GET", "/events")) == []


@pytest.mark.parametrize("path", ["/events", "/events/stream", "/events/00000000-0000-7000-8000-000000000000"])
def test_others_see_nothing(shop: GuardedShop, path: str) -> None:
    assert shop(None, "GET", path).status_code == 401
    refused = shop(shop.key("orders:read"), "GET", path)
    assert refused.status_code == 403
    assert refused.json()["scope"] == "events:read"


def test_a_stream_of_a_customer_has_their_events_alone(shop: GuardedShop, own: Customer, other: Customer) -> None:
    with (
        httpx.Client(base_url=shop.url) as client,
        streamed(client, dict(own.caller.headers)) as stream,
    ):
        assert "no-store" in stream.response.headers["cache-control"]
        write(shop, other)
        write(shop, None)
        mine = write(shop, own)
        assert stream.event()["id"] == mine


def test_a_wait_of_a_customer_ends_by_their_events_alone(shop: GuardedShop, own: Customer, other: Customer) -> None:
    after = end_of(shop, own.caller)
    write(shop, other)
    response = shop(own.caller, "GET", "/events", params={"after": after, "wait": "0.5"})
    assert response.json() == []


def test_a_stream_ends_when_its_session_does(shop: GuardedShop, own: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllers.event_stream.COMMENT_SECONDS", 0.2)
    with (
        httpx.Client(base_url=shop.url) as client,
        streamed(client, dict(own.caller.headers)) as stream,
    ):
        deadline = time.monotonic() + 0.5
        write(shop, own)
        stream.event()
        while time.monotonic() < deadline:
            time.sleep(0.05)
        assert shop(own.caller, "POST", "/auth/logout").status_code == 204
        # Comments, and then the end.
        assert stream.fields() is None
        assert stream.comments > 0


def test_a_stream_ends_when_its_scope_is_taken_away(shop: GuardedShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllers.event_stream.COMMENT_SECONDS", 0.2)
    caller = shop.user("staff")
    admin = shop.user("admin")
    with (
        httpx.Client(base_url=shop.url) as client,
        streamed(client, dict(caller.headers)) as stream,
    ):
        changed = shop(admin, "PATCH", f"/users/{caller.id}", json={"role": "customer"})
        assert changed.status_code == 200, changed.text
        assert stream.fields() is None


def test_a_stream_ends_when_its_key_does(shop: GuardedShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllers.event_stream.COMMENT_SECONDS", 0.2)
    key = shop.key("events:read")
    with httpx.Client(base_url=shop.url) as client, streamed(client, dict(key.headers)) as stream:
        execute(shop.database_url, "UPDATE api_keys SET expires_at = now() WHERE id_key = %s", key.id)
        assert shop(shop.user("admin"), "DELETE", f"/api_keys/{key.id}").status_code == 204
        assert stream.fields() is None


def test_a_stream_tells_nothing_to_whoever_has_gone(shop: GuardedShop, own: Customer) -> None:
    with httpx.Client(base_url=shop.url) as client, streamed(client, dict(own.caller.headers)) as stream:
        assert shop(own.caller, "POST", "/auth/logout").status_code == 204
        write(shop, own)
        assert stream.fields() is None


def test_a_wait_tells_nothing_to_whoever_has_gone(shop: GuardedShop, own: Customer) -> None:
    after = end_of(shop, own.caller)
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(shop, own.caller, "GET", "/events", params={"after": after, "wait": "30"})
        time.sleep(0.5)
        assert shop(own.caller, "POST", "/auth/logout").status_code == 204
        write(shop, own)
        # Nothing, or 401 where the request came late.
        assert response.result().status_code == 401 or response.result().json() == []
