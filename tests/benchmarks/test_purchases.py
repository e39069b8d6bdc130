"""The verdict: every way in which a shop can differ from what it acknowledged is found, and nothing else."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from benchmarks import purchases
from benchmarks.purchases import (
    Catalog,
    Ledger,
    Unresolved,
    compare,
    create_catalog,
    is_conclusive,
    judge,
)

LAMP, CHAIR = 7, 9

CART = {"lines": [{"product_id": LAMP, "quantity": 2}, {"product_id": CHAIR, "quantity": 1}]}


def detail(product_id: int, quantity: int, price: float, returned: int = 0) -> dict[str, Any]:
    return {"product_id": product_id, "quantity": quantity, "price": price, "returned_quantity": returned}


def placed(order_id: int) -> dict[str, Any]:
    """The answer to `CART`: two lamps at 0.10, a chair at 19.99."""
    return {
        "id_key": order_id,
        "status": 1,
        "total": 20.19,
        "bill": {"total": 20.19},
        "order_details": [detail(LAMP, 2, 0.1), detail(CHAIR, 1, 19.99)],
    }


class Shown:
    """A shop with two acknowledged orders, of which one is canceled and one lamp of the other is returned."""

    def __init__(self) -> None:
        self.ledger = Ledger(Catalog(1, 1, {LAMP: 10, CHAIR: 10}))
        self.orders = [placed(1), placed(2)]
        for order in self.orders:
            self.ledger.settle(self.ledger.begin("/checkout", CART), 201, copy.deepcopy(order))
        self.orders[0]["status"] = 4
        self.orders[1]["order_details"][0]["returned_quantity"] = 1
        self.products = [{"id_key": LAMP, "stock": 9}, {"id_key": CHAIR, "stock": 9}]


DAMAGE: Mapping[str, tuple[Callable[[Shown], object], str]] = {
    "nothing": (lambda shown: None, "oversold 0, lost 0, doubled 0"),
    "an order is gone": (lambda shown: shown.orders.pop(0), "oversold 0, lost 1, doubled 0"),
    "a total is another": (
        lambda shown: shown.orders[1].update({"total": 20.2}),
        "oversold 0, lost 1, doubled 0",
    ),
    "a bill is another": (
        lambda shown: shown.orders[1]["bill"].update({"total": 0}),
        "oversold 0, lost 1, doubled 0",
    ),
    "a price is another": (
        lambda shown: shown.orders[1]["order_details"][1].update({"price": 19.98}),
        "oversold 0, lost 1, doubled 0",
    ),
    "a line is gone": (
        lambda shown: shown.orders[0]["order_details"].pop(),
        "oversold 0, lost 1, doubled 0",
    ),
    "an order that nobody was told of": (
        lambda shown: shown.orders.append(placed(3) | {"status": 4}),
        "oversold 0, lost 0, doubled 1",
    ),
    "one order for two keys": (
        lambda shown: shown.ledger.settle(shown.ledger.begin("/checkout", CART), 201, placed(2)),
        "oversold 0, lost 0, doubled 1",
    ),
    "an answer to other lines": (
        lambda shown: shown.ledger.settle(shown.ledger.begin("/checkout", {"lines": []}), 201, placed(2)),
        "oversold 0, lost 0, doubled 2",
    ),
    "a piece too many": (lambda shown: shown.products[0].update({"stock": 10}), "oversold 1, lost 0, doubled 0"),
    "a piece too few": (lambda shown: shown.products[1].update({"stock": 8}), "oversold 1, lost 0, doubled 0"),
    "less than nothing": (
        lambda shown: (shown.ledger.catalog.stocks.update({LAMP: 0}), shown.products[0].update({"stock": -1})),
        "oversold 1, lost 0, doubled 0",
    ),
    "a product is gone": (lambda shown: shown.products.pop(), "oversold 1, lost 0, doubled 0"),
}


@pytest.mark.unit
@pytest.mark.parametrize(("damage", "verdict"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found(damage: Callable[[Shown], object], verdict: str) -> None:
    shown = Shown()
    damage(shown)
    assert str(compare(shown.ledger, shown.orders, shown.products)) == verdict


@pytest.mark.unit
@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (201, {}, True),
        (400, {}, True),
        (409, {}, True),
        (409, {"Retry-After": "1"}, False),
        (429, {"Retry-After": "60"}, False),
        (503, {"Retry-After": "1"}, False),
        (500, {}, False),
        (0, {}, False),
    ],
)
def test_only_a_final_answer_tells_what_happened(status: int, headers: dict[str, str], expected: bool) -> None:
    assert is_conclusive(status, headers) is expected


@pytest.mark.unit
def test_a_ledger_survives_the_way_to_another_process() -> None:
    ledger = Shown().ledger
    ledger.begin("/checkout", CART)
    # JSON forgets what is a tuple, as the messages of Locust do; it also makes text of the ids, which they keep.
    message = json.loads(json.dumps(ledger.as_message()))
    message["catalog"]["stocks"] = ledger.catalog.stocks
    received = Ledger.from_message(message)
    assert received.orders == ledger.orders
    assert {key: tuple(call) for key, call in received.pending.items()} == ledger.pending


@pytest.fixture
def ledger(client: httpx.Client) -> Ledger:
    return Ledger(create_catalog(client))


def cart_of(ledger: Ledger) -> dict[str, Any]:
    lines = [{"product_id": ledger.catalog.hot_product, "quantity": 3}]
    return {"client_id": ledger.catalog.client_id, "delivery_method": 1, "payment_type": "card", "lines": lines}


@pytest.mark.integration
def test_requests_without_an_answer_are_resolved_by_their_keys(client: httpx.Client, ledger: Ledger) -> None:
    """One had been done, one had not, one was to return what the first had sold."""
    body = cart_of(ledger)
    done = ledger.begin("/checkout", body)
    order = client.post("/checkout", json=body, headers={"Idempotency-Key": done}).json()
    ledger.begin("/checkout", body)
    ledger.begin(f"/orders/{order['id_key']}/advance", None)
    line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}
    ledger.begin(f"/orders/{order['id_key']}/returns", {"lines": [line]})

    verdict = judge(client, ledger)
    assert verdict.faults == []
    assert ledger.pending == {}
    assert ledger.orders[done].id_key == order["id_key"]
    assert len(ledger.orders) == 2
    hot = client.get(f"/products/{ledger.catalog.hot_product}").json()
    assert hot["stock"] == ledger.catalog.stocks[ledger.catalog.hot_product] - 5


@pytest.mark.integration
def test_an_order_and_an_edit_behind_the_buyers_backs_are_found(client: httpx.Client, ledger: Ledger) -> None:
    client.post("/checkout", json=cart_of(ledger)).raise_for_status()
    client.put(f"/products/{ledger.catalog.hot_product}", json={"stock": 50}).raise_for_status()
    assert str(judge(client, ledger)) == "oversold 1, lost 0, doubled 1"


@pytest.mark.integration
def test_more_orders_than_a_page_holds_are_judged(
    client: httpx.Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchases, "PAGE_ROWS", 2)
    for _ in range(5):
        key = ledger.begin("/checkout", cart_of(ledger))
        answer = client.post("/checkout", json=cart_of(ledger), headers={"Idempotency-Key": key})
        ledger.settle(key, answer.status_code, answer.json())
    assert judge(client, ledger).faults == []


@pytest.mark.unit
def test_a_request_that_stays_without_an_answer_leaves_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purchases, "RESOLVE_SECONDS", 0.0)
    ledger = Shown().ledger
    ledger.begin("/checkout", CART)
    with (
        httpx.Client(base_url="http://127.0.0.1:1", trust_env=False) as nowhere,
        pytest.raises(Unresolved, match="what became of POST /checkout"),
    ):
        judge(nowhere, ledger)
