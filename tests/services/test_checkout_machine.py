"""Placing orders against a model: checkouts, their keys, cancellations, and returns with their credit bills."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from models.order import DeliveryMethod, OrderStatus
from tests.race.goods import exact, made, unique
from tests.services.shop_model import (
    FREE_FROM,
    MAX_MONEY,
    SHIPPING,
    Detail,
    Order,
    Product,
    Refusal,
    ShopMachine,
    amounts,
    picks,
    require_agreement,
    statements,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RETURNABLE = (OrderStatus.IN_PROGRESS, OrderStatus.DELIVERED)

lines = st.lists(st.tuples(picks, st.integers(1, 5)), min_size=1, max_size=4)


class CheckoutMachine(ShopMachine):
    """Adds whole orders, placed in one request and taken back in parts."""

    def __init__(self) -> None:
        super().__init__()
        # What was sent under a key, and what the first answer was.
        self.kept: list[tuple[dict[str, str], str, dict[str, Any], httpx.Response]] = []
        self.credits: dict[int, Decimal] = {}
        self.address = self._address()
        self.check_out([(0, 2), (1, 5)], Decimal("1.00"), "right", "none", True, True)
        self.advance(0)

    def _address(self) -> int:
        """The address that the one shipping rate is for: in a country that nothing else is sent to."""
        place = {"street": "1", "city": "2", "country": "ZW", "client_id": self.goods.client_id}
        rate = {"delivery_method": 3, "country": "ZW", "price": float(SHIPPING), "free_from": float(FREE_FROM)}
        assert self.send("POST", "/shipping_rates", rate).status_code in (201, 409)
        key: int = made(self.send("POST", "/addresses", place))["id_key"]
        return key

    @precondition(lambda self: len(self.orders) < 5)
    @rule(
        wanted=lines,
        discount=amounts,
        expected=statements,
        price=statements,
        keyed=st.booleans(),
        sent=st.booleans(),
    )
    def check_out(
        self, wanted: list[tuple[int, int]], discount: Decimal, expected: str, price: str, keyed: bool, sent: bool
    ) -> None:
        chosen = [(self.one_of(self.products, pick), quantity) for pick, quantity in wanted]
        total = sum((product.price * quantity for product, quantity in chosen), Decimal(0))
        body = self.goods.cart(*((product.id_key, quantity) for product, quantity in chosen), discount=discount)
        if sent:
            body["address_id"] = self.address
        refusals = _against_checkout(chosen, total, discount)
        if price != "none":
            stated = chosen[0][0].price + (1 if price == "wrong" else 0)
            body["lines"][0]["price"] = stated
        if price == "wrong":
            refusals.append((400, f"Price mismatch. Expected {chosen[0][0].price:.2f}, got {stated:.2f}"))
        if expected != "none":
            goods = max(Decimal(0), total - discount)
            to_pay = goods + (SHIPPING if sent and goods < FREE_FROM else 0)
            body["expected_total"] = min(MAX_MONEY, to_pay + (1 if expected == "wrong" else 0))
        if expected == "wrong":
            refusals.append((400, f"Total mismatch. Expected {to_pay:.2f}, got {body['expected_total']:.2f}"))
        headers = {"Idempotency-Key": unique("key")} if keyed else {}
        answer = self.send("POST", "/checkout", body, headers)
        if self.happened(answer, refusals, 201):
            self._take(exact(answer), chosen, discount, sent)
        elif answer.json()["code"] == "insufficient_stock":
            assert answer.json()["errors"] == _short(chosen)
        if keyed:
            self.kept.append((headers, "/checkout", body, answer))

    def _take(self, row: dict[str, Any], chosen: list[tuple[Product, int]], discount: Decimal, sent: bool) -> None:
        order = Order(row["id_key"], row["bill_id"], discount, Decimal(0), Decimal(0), goes_to_address=sent)
        for (product, quantity), shown in zip(chosen, row["order_details"], strict=True):
            product.stock -= quantity
            order.details.append(Detail(shown["id_key"], product, quantity, product.price))
        order.settle()
        self.orders.append(order)
        assert (row["total"], row["shipping"], row["bill"]["total"]) == (order.total, order.shipping, order.to_pay)

    @precondition(lambda self: self.orders)
    @rule(pick=picks, delivery_method=st.sampled_from([DeliveryMethod.ON_HAND, DeliveryMethod.HOME_DELIVERY]))
    def deliver_otherwise(self, pick: int, delivery_method: DeliveryMethod) -> None:
        order = self.one_of(self.orders, pick)
        is_fixed = order.delivery_method != delivery_method and order.status is not OrderStatus.PENDING
        answer = self.send("PATCH", f"/orders/{order.id_key}", {"delivery_method": int(delivery_method)})
        refusals = [(409, "")] if is_fixed else order.against(delivery_method=delivery_method)
        if self.happened(answer, refusals):
            order.delivery_method = delivery_method
            order.settle()

    @precondition(lambda self: self.orders)
    @rule(pick=picks, amount=st.sampled_from([Decimal("0.01"), Decimal("5.00"), None, None]))
    def pay(self, pick: int, amount: Decimal | None) -> None:
        """All that is open where no amount is drawn."""
        order = self.one_of(self.orders, pick)
        unpaid = max(Decimal(0), order.to_pay - order.given_back - order.paid)
        amount = amount or unpaid or Decimal("0.01")
        answer = self.send("POST", f"/bills/{order.bill_id}/payments", {"amount": amount, "method": "cash"})
        refusals = [(409, f"Cannot book {amount:.2f} for bill {order.bill_id}. At most {unpaid:.2f}")]
        if self.happened(answer, refusals if amount > unpaid else [], 201):
            order.paid += amount

    @precondition(lambda self: self.orders)
    @rule(pick=picks, part=st.booleans())
    def ship(self, pick: int, part: bool) -> None:
        """All that is left, or a piece of the first line of which something is."""
        order = self.one_of(self.orders, pick)
        left = [detail for detail in order.details if detail.left]
        line = {"order_detail_id": left[0].id_key, "quantity": 1} if left and part else None
        answer = self.send("POST", f"/orders/{order.id_key}/shipments", {} if line is None else {"lines": [line]})
        if self.happened(answer, [] if order.is_open and left else [(409, "")], 201):
            for detail in left[:1] if part else left:
                detail.out += 1 if part else detail.left
            order.has_shipments = True
            order.on_way.append(answer.json()["id_key"])
            order.status = OrderStatus.IN_PROGRESS

    @precondition(lambda self: any(order.on_way for order in self.orders))
    @rule(pick=picks)
    def arrive(self, pick: int) -> None:
        order = self.one_of([order for order in self.orders if order.on_way], pick)
        arrived = {"delivered_at": "2100-01-01T00:00:00Z"}
        self.happened(self.send("PATCH", f"/shipments/{order.on_way.pop()}", arrived), [])
        is_all = not order.on_way and not any(detail.left for detail in order.details)
        if is_all and order.status is OrderStatus.IN_PROGRESS:
            order.status = OrderStatus.DELIVERED

    @precondition(lambda self: self.kept)
    @rule(pick=picks)
    def repeat(self, pick: int) -> None:
        headers, path, body, first = self.one_of(self.kept, pick)
        again = self.send("POST", path, body, headers)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers.get("Location") == first.headers.get("Location")

    @precondition(lambda self: self.kept)
    @rule(pick=picks, where=st.sampled_from(["body", "path"]))
    def use_the_key_for_something_else(self, pick: int, where: str) -> None:
        headers, path, body, _ = self.one_of(self.kept, pick)
        if where == "body":
            answer = self.send("POST", path, {**body, "reason" if "returns" in path else "delivery_method": 2}, headers)
        else:
            answer = self.send("POST", f"/products/{self.products[0].id_key}/stock", {"delta": 1}, headers)
        assert answer.status_code == 422

    @precondition(lambda self: self.all_details())
    @rule(
        picked=st.lists(picks, min_size=1, max_size=2),
        quantity=st.integers(1, 2),
        restock=st.sampled_from([None, True, False]),
        shipping=st.booleans(),
        keyed=st.booleans(),
    )
    def return_items(self, picked: list[int], quantity: int, restock: bool | None, shipping: bool, keyed: bool) -> None:
        candidates = [order for order in self.orders if order.status in RETURNABLE] or self.orders
        order = self.one_of([order for order in candidates if order.details] or self.orders, picked[0])
        details = [self.one_of(order.details, pick) for pick in picked]
        returned = Counter(detail.id_key for detail in details)
        refusals: list[Refusal] = []
        if order.status not in RETURNABLE:
            refusals.append((409, ""))
        elif any(detail.returned + quantity * returned[detail.id_key] > detail.quantity for detail in details):
            refusals.append((400, ""))
        elif shipping and any(
            detail.returned + quantity * returned[detail.id_key] < detail.quantity for detail in order.details
        ):
            refusals.append((409, "The shipping of order"))
        body: dict[str, Any] = {
            "refund_shipping": shipping,
            "lines": [{"order_detail_id": detail.id_key, "quantity": quantity} for detail in details],
        }
        if restock is not None:
            body["restock"] = restock
        headers = {"Idempotency-Key": unique("key")} if keyed else {}
        path = f"/orders/{order.id_key}/returns"
        answer = self.send("POST", path, body, headers)
        if self.happened(answer, refusals, 201):
            for detail in details:
                detail.take_back(quantity)
                detail.product.stock += 0 if restock is False else quantity
            credit = exact(answer)
            row = exact(self.http.get(f"/returns/{credit['return_id']}"))
            assert (row["order_id"], row["credit_bill_id"]) == (order.id_key, credit["id_key"])
            assert row["restock"] is (restock is not False)
            assert {line["order_detail_id"]: line["quantity"] for line in row["lines"]} == {
                key: quantity * times for key, times in returned.items()
            }
            order.shipping_refunded = order.shipping if shipping else Decimal(0)
            assert credit["shipping"] == order.shipping_refunded
            assert sum(line["amount"] for line in row["lines"]) == credit["total"] - credit["shipping"]
            assert credit["total"] - credit["shipping"] == order.refund()
            assert (credit["kind"], credit["refunds_bill_id"]) == ("credit", order.bill_id)
            assert answer.headers["Location"] == f"/bills/{credit['id_key']}"
            self.credits[credit["id_key"]] = credit["total"]
        if keyed:
            self.kept.append((headers, path, body, answer))

    @precondition(lambda self: any(order.has_returns for order in self.orders))
    @rule(pick=picks, delete=st.booleans())
    def undo_an_order_with_returns(self, pick: int, delete: bool) -> None:
        order = self.one_of([order for order in self.orders if order.has_returns], pick)
        path = f"/orders/{order.id_key}"
        answer = self.send("DELETE", path) if delete else self.send("POST", f"{path}/cancel")
        self.happened(answer, [(409, f"Order {order.id_key}")])

    @precondition(lambda self: self.all_details())
    @rule(pick=picks, quantity=st.integers(1, 5))
    def change_quantity(self, pick: int, quantity: int) -> None:
        order, detail = self.one_of(self.all_details(), pick)
        more = quantity - detail.quantity
        refusals: list[Refusal] = [] if order.may_change and not detail.returned else [(409, "")]
        if more > 0 and not detail.product.active:
            refusals.append((400, f"Product {detail.product.id_key} is not available"))
        if more > detail.product.stock:
            refusals.append((400, f"Insufficient stock for product {detail.product.id_key}. "))
        if order.total + more * detail.price > MAX_MONEY:
            refusals.append((400, "The sum is larger"))
        changed = replace(detail, quantity=quantity)
        refusals += order.against(details=[changed if other is detail else other for other in order.details])
        answer = self.send("PUT", f"/order_details/{detail.id_key}", {"quantity": quantity})
        if self.happened(answer, refusals if more else []):
            detail.product.stock -= more
            detail.quantity = quantity
            order.settle()

    @precondition(lambda self: self.credits)
    @rule(pick=picks, discount=amounts)
    def change_a_credit_bill(self, pick: int, discount: Decimal) -> None:
        bill_id = self.one_of(list(self.credits), pick)
        answer = self.send("PUT", f"/bills/{bill_id}", {"discount": discount})
        assert answer.status_code == (409 if discount else 200)
        assert self.send("DELETE", f"/bills/{bill_id}").status_code == 409
        assert exact(self.http.get(f"/bills/{bill_id}"))["total"] == self.credits[bill_id]


def _short(chosen: list[tuple[Product, int]]) -> list[dict[str, int]]:
    """All products that are short, each with all that its lines want, in the order of the lines."""
    wanted: dict[int, int] = {}
    for product, quantity in chosen:
        wanted[product.id_key] = wanted.get(product.id_key, 0) + quantity
    stock = {product.id_key: product.stock for product, _ in chosen}
    return [
        {"product_id": id_key, "requested": quantity, "available": stock[id_key]}
        for id_key, quantity in wanted.items()
        if quantity > stock[id_key]
    ]


def _against_checkout(chosen: list[tuple[Product, int]], total: Decimal, discount: Decimal) -> list[Refusal]:
    refusals: list[Refusal] = [
        (400, f"Product {product.id_key} is not available") for product, _ in chosen if not product.active
    ]
    if short := _short(chosen):
        first = short[0]
        text = "Insufficient stock for product {product_id}. Requested: {requested}, Available: {available}"
        refusals.append((400, text.format(**first)))
    if total > MAX_MONEY:
        refusals.append((400, "The sum is larger"))
    if discount > total:
        refusals.append((400, "Discount"))
    return refusals


def test_placing_orders_keeps_to_the_model(live_server: str) -> None:
    require_agreement(CheckoutMachine, live_server)
