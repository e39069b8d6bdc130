"""A shop with two customers, who have one row of each kind, and a product that is not on sale."""

from dataclasses import dataclass, field
from typing import Any

from tests.builders import a_category, a_client, a_product, unique
from tests.guarded_shop import Caller, GuardedShop

Row = dict[str, Any]


@dataclass
class Customer:
    """A customer, and what is theirs. `canary` is a text in their client and address that nobody else has."""

    caller: Caller
    client: Row
    address: Row
    order: Row
    review: Row
    canary: str
    # Of the piece that they bought; empty before it came back.
    returned: Row = field(default_factory=dict)
    # Of their bill, before that.
    payment: Row = field(default_factory=dict)
    shipped: Row = field(default_factory=dict)

    @property
    def detail(self) -> Row:
        row: Row = self.order["order_details"][0]
        return row

    @property
    def bill(self) -> Row:
        row: Row = self.order["bill"]
        return row


class Shelf:
    """Rows of a shop, made by `staff` and by customers."""

    def __init__(self, shop: GuardedShop) -> None:
        self.shop, self.staff = shop, shop.user("staff")
        self.category = self.made(self.staff, "/categories", **a_category.sample())
        self.product, self.other = self.a_product(), self.a_product()
        self.hidden = self.a_product(active=False)

    def made(self, caller: Caller, path: str, **body: Any) -> Row:
        """The stored row."""
        response = self.shop(caller, "POST", path, json=body)
        assert response.status_code == 201, response.text
        row: Row = response.json()
        return row

    def a_product(self, **given: Any) -> Row:
        return self.made(
            self.staff, "/products", **a_product.sample() | {"category_id": self.category["id_key"], **given}
        )

    def a_customer(self) -> Customer:
        """A new customer with an address, an order and a review."""
        client, caller = self.a_user()
        address = self.made(caller, "/addresses", street=client["name"], city=client["name"])
        order = self.placed(caller, address_id=address["id_key"])
        review = self.made(caller, "/reviews", rating=4, comment="Good", product_id=self.product["id_key"])
        return Customer(caller, client, address, order, review, client["name"])

    def take_back(self, customer: Customer) -> Customer:
        """The customer, whose order was paid and shipped, and has come back."""
        customer.payment = self.paid(customer.bill)
        customer.shipped = self.shipped(customer.order)
        customer.returned = self.returned(customer.order)
        path = f"/orders/{customer.order['id_key']}?expand=order_details,bill"
        customer.order = self.shop(self.staff, "GET", path).json()
        return customer

    def paid(self, bill: Row) -> Row:
        """A payment of a new bill."""
        return self.made(self.staff, f"/bills/{bill['id_key']}/payments", amount=1, method="cash")

    def shipped(self, order: Row) -> Row:
        """The shipment of all of a new order."""
        return self.made(self.staff, f"/orders/{order['id_key']}/shipments")

    def returned(self, order: Row) -> Row:
        """The return of the first piece of an order that was shipped."""
        path = f"/orders/{order['id_key']}"
        lines = [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}]
        credit = self.made(self.staff, f"{path}/returns", lines=lines)
        row: Row = self.shop(self.staff, "GET", f"/returns/{credit['return_id']}").json()
        return row

    def a_user(self) -> tuple[Row, Caller]:
        """A new customer, who has nothing yet, and their client."""
        client = self.made(self.staff, "/clients", **a_client.sample() | {"name": unique("Canary")})
        return client, self.shop.user("customer", client["id_key"])

    def placed(self, caller: Caller, **given: Any) -> Row:
        """A new order of the customer for one piece of `product`."""
        return self.made(caller, "/checkout", **self.checkout(**given))

    def checkout(self, **given: Any) -> Row:
        lines = [{"product_id": self.product["id_key"], "quantity": 1}]
        return {"delivery_method": 1, "payment_type": "cash", "lines": lines, **given}
