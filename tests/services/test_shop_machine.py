"""The rules of stock, prices, status and totals, step by step against a model: lines of orders one by one."""

from decimal import Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.race.goods import exact, unique
from tests.services.shop_model import (
    MAX_MONEY,
    Detail,
    Order,
    Product,
    Refusal,
    ShopMachine,
    amounts,
    picks,
    quantities,
    require_agreement,
    statements,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class DetailMachine(ShopMachine):
    """Adds what is done to order details by themselves, and to totals by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.new_order(Decimal("1.00"), Decimal("2.00"), Decimal("5.00"), False)
        self.add(0, 0, 2, "none")

    @precondition(lambda self: len(self.orders) < 4)
    @rule(total=amounts, to_pay=amounts, discount=amounts, is_document=st.booleans())
    def new_order(self, total: Decimal, to_pay: Decimal, discount: Decimal, is_document: bool) -> None:
        number = {} if is_document else {"bill_number": unique("INV")}
        bill = self.goods.bill(total=float(to_pay), discount=float(discount), client_id=self.goods.client_id, **number)
        order_id = self.goods.order(bill["id_key"], total=float(total))
        self.orders.append(Order(order_id, bill["id_key"], discount, total, to_pay, is_document=is_document))

    @precondition(lambda self: self.orders)
    @rule(pick=picks, which=picks, quantity=quantities, offer=statements)
    def add(self, pick: int, which: int, quantity: int, offer: str) -> None:
        order, product = self.one_of(self.orders, pick), self.one_of(self.products, which)
        body: dict[str, object] = {"order_id": order.id_key, "product_id": product.id_key, "quantity": quantity}
        refusals = _against_sale(order, product, quantity, order.details)
        if offer != "none":
            body["price"] = product.price + (1 if offer == "wrong" else 0)
        if offer == "wrong":
            expected = f"Price mismatch. Expected {product.price:.2f}, got {product.price + 1:.2f}"
            refusals.append((400, expected))
        answer = self.send("POST", "/order_details", body)
        if self.happened(answer, refusals, 201):
            product.stock -= quantity
            order.details.append(Detail(answer.json()["id_key"], product, quantity, product.price))
            order.settle()

    @precondition(lambda self: self.all_details())
    @rule(pick=picks, quantity=quantities)
    def change_quantity(self, pick: int, quantity: int) -> None:
        order, detail = self.one_of(self.all_details(), pick)
        more = quantity - detail.quantity
        others = [other for other in order.details if other is not detail]
        refusals = _against_change(order)
        if more > 0:
            refusals += _against_taking(detail.product, more)
        if _sum(others) + quantity * detail.price > MAX_MONEY:
            refusals.append((400, "The sum is larger"))
        answer = self.send("PUT", f"/order_details/{detail.id_key}", {"quantity": quantity})
        if self.happened(answer, refusals if more else []):
            detail.product.stock -= more
            detail.quantity = quantity
            order.settle()

    @precondition(lambda self: any(order.may_change and order.details for order in self.orders))
    @rule(pick=picks)
    def change_quantity_of_what_is_not_sold_any_more(self, pick: int) -> None:
        """No more can be taken of it, but less."""
        order, detail = self.one_of([found for found in self.all_details() if found[0].may_change], pick)
        product = detail.product
        self.happened(self.send("PUT", f"/products/{product.id_key}", {"active": False}), [])
        more = self.send("PUT", f"/order_details/{detail.id_key}", {"quantity": detail.quantity + 1})
        refusals = [(400, f"Product {product.id_key} is not available"), (400, "Insufficient"), (400, "The sum")]
        assert not self.happened(more, refusals if product.stock == 0 else refusals[::2])
        if detail.quantity > 1:
            self.happened(self.send("PUT", f"/order_details/{detail.id_key}", {"quantity": detail.quantity - 1}), [])
            product.stock, detail.quantity = product.stock + 1, detail.quantity - 1
            order.settle()
        self.happened(self.send("PUT", f"/products/{product.id_key}", {"active": product.active}), [])

    @precondition(lambda self: self.all_details())
    @rule(pick=picks, which=picks, quantity=quantities)
    def change_product(self, pick: int, which: int, quantity: int) -> None:
        order, detail = self.one_of(self.all_details(), pick)
        product = self.one_of([product for product in self.products if product is not detail.product], which)
        others = [other for other in order.details if other is not detail]
        answer = self.send(
            "PUT", f"/order_details/{detail.id_key}", {"product_id": product.id_key, "quantity": quantity}
        )
        if self.happened(answer, _against_sale(order, product, quantity, others)):
            detail.product.stock += detail.quantity
            product.stock -= quantity
            detail.product, detail.quantity, detail.price = product, quantity, product.price
            order.settle()

    @precondition(lambda self: self.all_details())
    @rule(pick=picks, extra=st.sampled_from([Decimal(0), Decimal("0.01")]))
    def state_a_price(self, pick: int, extra: Decimal) -> None:
        order, detail = self.one_of(self.all_details(), pick)
        price = detail.product.price + extra
        refusals = _against_change(order)
        if extra:
            refusals.append((400, f"Price mismatch. Expected {detail.product.price:.2f}, got {price:.2f}"))
        if _sum(order.details) + detail.quantity * (price - detail.price) > MAX_MONEY:
            refusals.append((400, "The sum is larger"))
        answer = self.send("PUT", f"/order_details/{detail.id_key}", {"price": price})
        if self.happened(answer, refusals if price != detail.price else []):
            detail.price = price
            order.settle()

    @precondition(lambda self: self.all_details())
    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        order, detail = self.one_of(self.all_details(), pick)
        if self.happened(self.send("DELETE", f"/order_details/{detail.id_key}"), _against_change(order), 204):
            detail.product.stock += detail.quantity
            order.details.remove(detail)
            order.total = order.to_pay = Decimal(0)
            if order.details:
                order.settle()

    @precondition(lambda self: self.orders)
    @rule(pick=picks, total=amounts)
    def state_a_total_of_the_order(self, pick: int, total: Decimal) -> None:
        order = self.one_of(self.orders, pick)
        answer = self.send("PUT", f"/orders/{order.id_key}", {"total": total})
        if self.happened(answer, _against_total(order.details, order.total, total)):
            order.total = total

    @precondition(lambda self: self.orders)
    @rule(pick=picks, total=amounts)
    def state_a_total_of_the_bill(self, pick: int, total: Decimal) -> None:
        order = self.one_of(self.orders, pick)
        refusals = _against_total(order.details, order.to_pay, total)
        if total != order.to_pay and not order.may_change:
            refusals = [(409, "")]
        if self.happened(self.send("PUT", f"/bills/{order.bill_id}", {"total": total}), refusals):
            order.to_pay = total

    @precondition(lambda self: self.orders)
    @rule(pick=picks)
    def put_back_whole(self, pick: int) -> None:
        """What a GET shows can be PUT back and changes nothing."""
        order = self.one_of(self.orders, pick)
        for path in (f"/orders/{order.id_key}", f"/bills/{order.bill_id}"):
            row = self.http.get(path).json()
            assert exact(self.http.put(path, json=row)) == exact(self.http.get(path))


def _sum(details: list[Detail]) -> Decimal:
    return sum((detail.quantity * detail.price for detail in details), Decimal(0))


def _against_change(order: Order) -> list[Refusal]:
    return [] if order.may_change else [(409, "")]


def _against_taking(product: Product, quantity: int) -> list[Refusal]:
    refusals = [] if product.active else [(400, f"Product {product.id_key} is not available")]
    if product.stock < quantity:
        message = f"Insufficient stock for product {product.id_key}. Requested: {quantity}, Available: {product.stock}"
        refusals.append((400, message))
    return refusals


def _against_sale(order: Order, product: Product, quantity: int, others: list[Detail]) -> list[Refusal]:
    refusals = [*_against_change(order), *_against_taking(product, quantity)]
    if _sum(others) + quantity * product.price > MAX_MONEY:
        refusals.append((400, "The sum is larger"))
    return refusals


def _against_total(details: list[Detail], total: Decimal, sent: Decimal) -> list[Refusal]:
    if not details or sent == total:
        return []
    return [(400, f"Total mismatch. Expected {total:.2f}, got {sent:.2f}")]


def test_the_shop_keeps_to_the_model(live_server: str) -> None:
    require_agreement(DetailMachine, live_server)
