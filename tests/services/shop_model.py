"""A shop in plain Python, and a machine that does the same to the real one and compares the two after every step.

The model knows the rules of the contract and nothing of the code: no session, no lock, no cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from models.order import DeliveryMethod, OrderStatus
from tests.race.goods import Goods, exact
from tests.tracing import untraced

T = TypeVar("T")

ZERO = Decimal(0)
MAX_MONEY = Decimal("9999999999.99")
# The one shipping rate: by HOME_DELIVERY to the address that a machine has.
SHIPPING, FREE_FROM = Decimal("4.90"), Decimal("20.00")
OPEN = (OrderStatus.PENDING, OrderStatus.IN_PROGRESS)
# What a refusal may be: its status, and how its text begins.
Refusal = tuple[int, str]

picks = st.integers(0, 11)
quantities = st.integers(1, 8)
# What is refused teaches little after the first time: most of what is drawn is what the shop accepts. A few pieces
# of the last price are more than NUMERIC(12,2) can hold.
prices = st.sampled_from(
    [Decimal(text) for text in ("0.01", "3.33", "3.33", "9.99", "9.99", "100.00", "4999999999.99")]
)
amounts = st.sampled_from([Decimal(text) for text in ("0.00", "0.01", "0.01", "1.00", "5.00", "12.34", "1000.00")])
statements = st.sampled_from(["none", "none", "none", "right", "right", "wrong"])
# Without a search for the shortest failing run, which would take minutes.
_LIMITS = settings(
    max_examples=settings().max_examples // 8,
    stateful_step_count=50,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Product:
    id_key: int
    price: Decimal
    stock: int
    active: bool = True


@dataclass
class Detail:
    id_key: int
    product: Product
    quantity: int
    price: Decimal
    returned: int = 0
    # Of these pieces, those that are shipped and did not come back.
    out: int = 0

    @property
    def left(self) -> int:
        """How many pieces may still be shipped."""
        return self.quantity - self.returned - self.out

    def take_back(self, quantity: int) -> None:
        """Goods come back, first those that were shipped."""
        self.returned += quantity
        self.out -= min(self.out, quantity)


@dataclass
class Order:
    """An order with its bill; `total` and `to_pay` are what a client sent, until there are details.

    `is_document` says that the server numbered the bill, or a checkout made it. `refunded` is what returns gave back for
    goods, `shipping_refunded` for their delivery.
    """

    id_key: int
    bill_id: int
    discount: Decimal
    total: Decimal
    to_pay: Decimal
    status: OrderStatus = OrderStatus.PENDING
    details: list[Detail] = field(default_factory=list)
    refunded: Decimal = ZERO
    is_document: bool = True
    goes_to_address: bool = False
    delivery_method: int = DeliveryMethod.HOME_DELIVERY
    shipping_refunded: Decimal = ZERO
    paid: Decimal = ZERO
    # Those of its shipments that have not arrived.
    on_way: list[int] = field(default_factory=list)
    has_shipments: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def may_change(self) -> bool:
        """Whether its lines and its bill may: of a document only until the order is on its way."""
        return self.status is OrderStatus.PENDING or (self.is_open and not self.is_document)

    @property
    def given_back(self) -> Decimal:
        """The sum of the credit bills."""
        return self.to_pay if self.status is OrderStatus.CANCELED else self.refunded + self.shipping_refunded

    @property
    def has_returns(self) -> bool:
        return any(detail.returned for detail in self.details)

    def settle(self) -> None:
        """Bring the totals to what the details say."""
        self.total = sum((detail.quantity * detail.price for detail in self.details), ZERO)
        self.to_pay = max(ZERO, self.total - self.discount) + self.shipping

    @property
    def shipping(self) -> Decimal:
        is_charged = self.goes_to_address and self.delivery_method == DeliveryMethod.HOME_DELIVERY and self.details
        return SHIPPING if is_charged and max(ZERO, self.total - self.discount) < FREE_FROM else ZERO

    def against(self, **changes: Any) -> list[Refusal]:
        """Why these changes are refused: they would take the bill below what was paid."""
        changed = replace(self, **changes)
        if changed.details:
            changed.settle()
        is_too_little = changed.to_pay < min(self.paid, self.to_pay)
        return [(409, f"The total of bill {self.bill_id} cannot become")] if is_too_little else []

    def give_back(self) -> None:
        for detail in self.details:
            detail.product.stock += detail.quantity

    def refund(self) -> Decimal:
        """What the next credit bill is about, after `returned` of the details was raised."""
        gross = sum((Fraction(detail.price) * detail.returned for detail in self.details), Fraction(0))
        share = gross * Fraction(max(ZERO, self.total - self.discount)) / Fraction(self.total)
        cents = Decimal(int(share * 100 + Fraction(1, 2))) / 100
        refund = max(ZERO, cents.quantize(Decimal("0.01"), ROUND_HALF_UP) - self.refunded)
        self.refunded += refund
        return refund


class ShopMachine(RuleBasedStateMachine):
    """Products, orders and their bills, changed in the ways that every entity has."""

    http: ClassVar[httpx.Client]

    def __init__(self) -> None:
        super().__init__()
        self.goods = Goods(self.http)
        self.products: list[Product] = []
        self.orders: list[Order] = []
        # The stock for which the ledger was last seen to agree: it is long, and most steps do not touch it.
        self.agreed: dict[int, int] = {}
        # Bills that outlived their order: the total, and what was given back of it.
        self.left_bills: dict[int, tuple[Decimal, Decimal]] = {}
        for stock, price in ((5, "9.99"), (12, "3.33")):
            self.add_product(stock, Decimal(price))

    # -- what rules are made of --------------------------------------------------------------------

    @staticmethod
    def one_of(things: Sequence[T], pick: int) -> T:
        return things[pick % len(things)]

    def all_details(self) -> list[tuple[Order, Detail]]:
        return [(order, detail) for order in self.orders for detail in order.details]

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.http.request(method, path, json=None if body is None else _plain(body), headers=headers)

    @staticmethod
    def happened(answer: httpx.Response, refusals: Sequence[Refusal], status: int = 200) -> bool:
        """Whether the request was carried out; it must have been unless the model has a reason against it."""
        if not refusals:
            assert answer.status_code == status, answer.text
            return True
        said = (answer.status_code, answer.json()["detail"])
        assert any(said[0] == code and said[1].startswith(text) for code, text in refusals), (said, refusals)
        return False

    # -- products ----------------------------------------------------------------------------------

    def add_product(self, stock: int, price: Decimal) -> None:
        self.products.append(Product(self.goods.product(stock=stock, price=float(price)), price, stock))

    @precondition(lambda self: len(self.products) < 4)
    @rule(stock=st.integers(0, 20), price=prices)
    def new_product(self, stock: int, price: Decimal) -> None:
        self.add_product(stock, price)

    @rule(pick=picks, price=prices)
    def change_price(self, pick: int, price: Decimal) -> None:
        product = self.one_of(self.products, pick)
        self.happened(self.send("PUT", f"/products/{product.id_key}", {"price": price}), [])
        product.price = price

    @rule(pick=picks, stock=st.integers(0, 20))
    def count_stock(self, pick: int, stock: int) -> None:
        product = self.one_of(self.products, pick)
        self.happened(self.send("PUT", f"/products/{product.id_key}", {"stock": stock}), [])
        product.stock = stock

    @rule(pick=picks, delta=st.integers(-6, 6).filter(bool))
    def move_stock(self, pick: int, delta: int) -> None:
        product = self.one_of(self.products, pick)
        refusals = [(400, f"Insufficient stock for product {product.id_key}. ")] if product.stock + delta < 0 else []
        answer = self.send("POST", f"/products/{product.id_key}/stock", {"delta": delta, "reason": "receipt"})
        if self.happened(answer, refusals):
            product.stock += delta
            assert answer.json()["stock"] == product.stock

    @rule(pick=picks, active=st.sampled_from([True, True, False]))
    def switch(self, pick: int, active: bool) -> None:
        product = self.one_of(self.products, pick)
        product.active = active
        self.happened(self.send("PUT", f"/products/{product.id_key}", {"active": product.active}), [])

    # -- orders and bills --------------------------------------------------------------------------

    @precondition(lambda self: self.orders)
    @rule(pick=picks)
    def advance(self, pick: int) -> None:
        order = self.one_of(self.orders, pick)
        answer = self.send("POST", f"/orders/{order.id_key}/advance")
        if order.is_open:
            if self.happened(answer, _against_an_empty(order)):
                order.status = OrderStatus(order.status + 1)
        else:
            # There is no next one, whatever it would be called.
            self.happened(answer, [(409, f"Order {order.id_key} cannot go from {order.status.name} to ")])

    @precondition(lambda self: self.orders)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        order = self.one_of(self.orders, pick)
        self._moved(order, OrderStatus.CANCELED, self.send("POST", f"/orders/{order.id_key}/cancel"))

    @precondition(lambda self: self.orders)
    @rule(pick=picks, status=st.sampled_from(OrderStatus))
    def set_status(self, pick: int, status: OrderStatus) -> None:
        order = self.one_of(self.orders, pick)
        self._moved(order, status, self.send("PUT", f"/orders/{order.id_key}", {"status": int(status)}))

    def _moved(self, order: Order, status: OrderStatus, answer: httpx.Response) -> None:
        if self.happened(answer, self._against_moving(order, status)):
            if status is OrderStatus.CANCELED and order.status is not status:
                order.give_back()
            order.status = status

    def _against_moving(self, order: Order, status: OrderStatus) -> list[Refusal]:
        allowed = {
            OrderStatus.PENDING: {OrderStatus.IN_PROGRESS, OrderStatus.CANCELED},
            OrderStatus.IN_PROGRESS: {OrderStatus.DELIVERED, OrderStatus.CANCELED},
        }
        if status is order.status:
            return []
        if status not in allowed.get(order.status, ()):
            return [(409, f"Order {order.id_key} cannot go from {order.status.name} to {status.name}")]
        if status is not OrderStatus.CANCELED:
            return _against_an_empty(order)
        return [(409, "")] if order.has_returns else []

    @precondition(lambda self: self.orders)
    @rule(pick=picks)
    def delete_order(self, pick: int) -> None:
        order = self.one_of(self.orders, pick)
        stays = order.status is OrderStatus.DELIVERED or order.has_returns or order.has_shipments
        refusals = [(409, "")] if stays else []
        if self.happened(self.send("DELETE", f"/orders/{order.id_key}"), refusals, 204):
            if order.is_open:
                order.give_back()
            self.orders.remove(order)
            is_answered = order.is_document or order.status is OrderStatus.CANCELED
            left = order.to_pay if is_answered else ZERO
            self.left_bills = {order.bill_id: (left, left)}

    @precondition(lambda self: self.orders)
    @rule(pick=picks, discount=amounts)
    def change_discount(self, pick: int, discount: Decimal) -> None:
        order = self.one_of(self.orders, pick)
        refusals = [(409, "")] if discount != order.discount and not order.may_change else []
        refusals += order.against(discount=discount)
        if self.happened(self.send("PUT", f"/bills/{order.bill_id}", {"discount": discount}), refusals):
            order.discount = discount
            if order.details:
                order.settle()

    # -- the comparison ----------------------------------------------------------------------------

    @invariant()
    def the_stock_is_the_models(self) -> None:
        shown = exact(self.http.get("/products", params={"category_id": self.goods.category_id}))
        assert [(row["id_key"], row["stock"], row["price"]) for row in shown] == [
            (product.id_key, product.stock, product.price) for product in self.products
        ]
        for product in self.products:
            if self.agreed.get(product.id_key) == product.stock:
                continue
            self.agreed[product.id_key] = product.stock
            deltas = [row["delta"] for row in self.goods.ledger(product.id_key)]
            assert sum(deltas) == product.stock
            assert all(sum(deltas[:count]) >= 0 for count in range(len(deltas)))

    @invariant()
    def the_orders_are_the_models(self) -> None:
        parameters: dict[str, str | int] = {"client_id": self.goods.client_id, "expand": "order_details,bill"}
        shown = exact(self.http.get("/orders", params=parameters))
        assert [_seen(row) for row in shown] == [_kept(order) for order in self.orders]
        for bill_id, left in self.left_bills.items():
            bill = exact(self.http.get(f"/bills/{bill_id}"))
            assert (bill["total"], bill["refunded"]) == left

    @invariant()
    def the_bills_say_what_the_shop_has_earned(self) -> None:
        bills = exact(self.http.get("/bills", params={"client_id": self.goods.client_id, "limit": 1000}))
        earned = sum((bill["total"] * (1 if bill["kind"] == "sale" else -1) for bill in bills), ZERO)
        assert earned == sum((order.to_pay - order.given_back for order in self.orders), ZERO)
        assert all(bill["refunded"] <= bill["total"] for bill in bills)


def _seen(row: dict[str, Any]) -> object:
    details = [
        (detail["id_key"], detail["product_id"], detail["quantity"], detail["price"], detail["returned_quantity"])
        for detail in row["order_details"]
    ]
    bill = row["bill"]
    figures = bill["discount"], bill["total"], bill["refunded"], bill["paid"]
    return row["id_key"], row["status"], row["total"], row["returned_total"], figures, details


def _kept(order: Order) -> object:
    details = [
        (detail.id_key, detail.product.id_key, detail.quantity, detail.price, detail.returned)
        for detail in order.details
    ]
    figures = order.discount, order.to_pay, order.given_back, order.paid
    return order.id_key, order.status, order.total, order.refunded, figures, details


def _against_an_empty(order: Order) -> list[Refusal]:
    return [] if order.details else [(409, f"Order {order.id_key} has no lines")]


def _plain(value: Any) -> Any:
    """The value as plain JSON: these amounts survive being floats."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def require_agreement(machine: type[ShopMachine], shop_url: str) -> None:
    """Run the machine against the shop; what they do not agree about is raised."""
    with httpx.Client(base_url=shop_url, timeout=30) as client, untraced():
        run_state_machine_as_test(type(machine.__name__, (machine,), {"http": client}), settings=_LIMITS)
