"""Many addresses of a client become the default at once: one of them is, and nobody is refused."""

import httpx
import pytest

from tests.race.crowd import Call, send_together, statuses
from tests.race.goods import Goods

pytestmark = [pytest.mark.race, pytest.mark.integration]


def body(client_id: int, *, is_default: bool) -> dict[str, object]:
    return {"street": "High Street", "city": "London", "client_id": client_id, "is_default": is_default}


def defaults(http: httpx.Client, client_id: int) -> int:
    rows = http.get(f"/clients/{client_id}/addresses", params={"limit": 1000}).json()
    return sum(row["is_default"] for row in rows)


def test_new_and_old_ones_at_once(race_url: str, http: httpx.Client, goods: Goods) -> None:
    client_id = goods.client()
    keys = [http.post("/addresses", json=body(client_id, is_default=False)).json()["id_key"] for _ in range(6)]
    for _ in range(3):
        calls = [Call("PATCH", f"/addresses/{key}", {"is_default": True}) for key in keys]
        calls += [Call("POST", "/addresses", body(client_id, is_default=True))] * 6
        # They do not wait for each other.
        calls += [Call("PATCH", f"/addresses/{keys[0]}", {"city": f"London {n}"}) for n in range(3)]
        assert set(statuses(send_together(race_url, calls))) == {200, 201}
        assert defaults(http, client_id) == 1


def test_one_becomes_it_while_others_go(race_url: str, http: httpx.Client, goods: Goods) -> None:
    client_id = goods.client()
    keys = [http.post("/addresses", json=body(client_id, is_default=True)).json()["id_key"] for _ in range(6)]
    calls = [Call("PATCH", f"/addresses/{key}", {"is_default": True}) for key in keys]
    calls += [Call("DELETE", f"/addresses/{key}") for key in keys[:5]]
    assert set(statuses(send_together(race_url, calls))) <= {200, 204, 404}
    assert defaults(http, client_id) <= 1


def test_the_client_goes_meanwhile(race_url: str, http: httpx.Client, goods: Goods) -> None:
    for _ in range(3):
        client_id = goods.client()
        calls = [Call("POST", "/addresses", body(client_id, is_default=True))] * 4
        outcomes = send_together(race_url, [*calls, Call("DELETE", f"/clients/{client_id}")])
        assert set(statuses(outcomes)) <= {201, 204, 404}


def test_orders_go_to_one_of_them_whole(race_url: str, http: httpx.Client, goods: Goods) -> None:
    """While the default moves, and its street changes, each order has a copy of one address as it was at some moment."""
    client_id, product = goods.client(), goods.product(stock=1000)
    keys = [http.post("/addresses", json=body(client_id, is_default=True)).json()["id_key"] for _ in range(3)]
    cart = goods.cart((product, 1), client_id=client_id)
    calls = [Call("POST", "/checkout", cart)] * 20
    calls += [Call("PATCH", f"/addresses/{key}", {"is_default": True, "city": f"City {key}"}) for key in keys]
    calls += [Call("PATCH", f"/addresses/{key}", {"street": f"Street {key}"}) for key in keys]
    outcomes = send_together(race_url, calls)
    assert set(statuses(outcomes)) == {200, 201}
    for order in (outcome.body for outcome in outcomes if outcome.status == 201):
        key, place = order["address_id"], order["ship_to"]
        assert key in keys
        assert place["street"] in ("High Street", f"Street {key}")
        assert place["city"] in ("London", f"City {key}")


def test_the_default_goes_meanwhile(race_url: str, http: httpx.Client, goods: Goods) -> None:
    client_id, product = goods.client(), goods.product(stock=1000)
    for _ in range(3):
        key = http.post("/addresses", json=body(client_id, is_default=True)).json()["id_key"]
        cart = goods.cart((product, 1), client_id=client_id)
        calls = [Call("POST", "/checkout", cart)] * 10
        outcomes = send_together(race_url, [*calls[:5], Call("DELETE", f"/addresses/{key}"), *calls[5:]])
        assert set(statuses(outcomes)) == {201, 204}
        for outcome in outcomes:
            order = outcome.body and http.get(f"/orders/{outcome.body['id_key']}").json()
            assert order is None or order["address_id"] is None
            assert order is None or order["ship_to"] == outcome.body["ship_to"]
