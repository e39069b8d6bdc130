"""Delivery, lines, discounts and rates that change at once: every order is charged by one state of all of them."""

import httpx
import pytest

from tests.race.crowd import Call, send_together
from tests.race.goods import Goods, exact, made

pytestmark = [pytest.mark.race, pytest.mark.integration]


def test_an_order_is_charged_by_what_it_is(race_url: str, http: httpx.Client, goods: Goods) -> None:
    # To where no other race sends anything.
    near, far = (
        made(http.post("/shipping_rates", json={"delivery_method": 3, "country": country, "price": 5, "free_from": 25}))
        for country in ("AQ", "BV")
    )
    here, there = (
        made(
            http.post(
                "/addresses",
                json={"street": "1", "city": "2", "client_id": goods.client_id, "country": rate["country"]},
            )
        )["id_key"]
        for rate in (near, far)
    )
    lamp, bulb = goods.product(stock=500), goods.product(stock=500)
    orders = [goods.bought((lamp, 1), (bulb, 1), address_id=here) for _ in range(6)]
    calls = [
        call
        for order in orders
        for path in (f"/orders/{order['id_key']}",)
        for first, second in ([line["id_key"] for line in order["order_details"]],)
        for call in (
            Call("PATCH", path, {"address_id": there}),
            Call("PATCH", f"/order_details/{first}", {"quantity": 3}),
            Call("DELETE", f"/order_details/{second}"),
            Call("PATCH", f"/bills/{order['bill_id']}", {"discount": 6}),
            Call("PATCH", path, {"delivery_method": 2}),
            Call("PATCH", path, {"delivery_method": 3}),
        )
    ]
    calls += [Call("PATCH", f"/shipping_rates/{far['id_key']}", {"price": price}) for price in (6, 7, 8)]
    calls += [Call("POST", "/checkout", goods.cart((lamp, 1), address_id=there))] * 6
    calls += [Call("POST", f"/orders/{order['id_key']}/cancel") for order in orders[:2]]
    outcomes = send_together(race_url, calls)
    assert {outcome.status for outcome in outcomes} <= {200, 201, 204, 409}
    placed = [outcome.body for outcome in outcomes if outcome.status == 201]
    assert len(placed) == 6
    for order in [*placed, *orders]:
        now = exact(http.get(f"/orders/{order['id_key']}?expand=bill"))
        assert now["to_pay"] == max(0, now["total"] - now["discount"]) + now["shipping"] == now["bill"]["total"]
        assert now["shipping"] in {0, 5, 6, 7, 8}
