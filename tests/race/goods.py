"""What a test of the shop needs before it begins, made through the API: clients, products, orders to fill."""

import json
import uuid
from decimal import Decimal
from typing import Any

import httpx

Json = dict[str, Any]


def unique(word: str) -> str:
    """`word` with something behind it that nobody else has."""
    return f"{word}-{uuid.uuid4().hex[:12]}"


def exact(answer: httpx.Response) -> Any:
    """The JSON of the answer, with its money as decimals."""
    return json.loads(answer.content, parse_float=Decimal)


def made(answer: httpx.Response) -> Json:
    """The row of an answer that must be 201."""
    assert answer.status_code == 201, answer.text
    row: Json = exact(answer)
    return row


class Goods:
    """Makes rows through one HTTP client."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.category_id = int(made(http.post("/categories", json={"name": unique("goods")}))["id_key"])
        self.client_id = self.client()

    def client(self) -> int:
        body = {"name": "Ada", "lastname": "Byron", "email": f"{unique('ada')}@example.com"}
        return int(made(self.http.post("/clients", json=body))["id_key"])

    def product(self, stock: int = 0, price: float = 10.0, **fields: object) -> int:
        body = {"name": unique("lamp"), "price": price, "stock": stock, "category_id": self.category_id, **fields}
        return int(made(self.http.post("/products", json=body))["id_key"])

    def bill(self, **fields: object) -> Json:
        return made(self.http.post("/bills", json={"total": 0, "payment_type": "card", **fields}))

    def order(self, bill_id: int | None = None, **fields: object) -> int:
        body = {
            "client_id": self.client_id,
            "bill_id": self.bill()["id_key"] if bill_id is None else bill_id,
            "delivery_method": 1,
            **fields,
        }
        return int(made(self.http.post("/orders", json=body))["id_key"])

    def detail(self, order_id: int, product_id: int, quantity: int = 1) -> int:
        body = {"order_id": order_id, "product_id": product_id, "quantity": quantity}
        return int(made(self.http.post("/order_details", json=body))["id_key"])

    def cart(self, *lines: tuple[int, int], **fields: object) -> Json:
        """The body of a checkout with these products and quantities."""
        return {
            "client_id": self.client_id,
            "delivery_method": 3,
            "payment_type": "card",
            "lines": [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines],
            **fields,
        }

    def bought(self, *lines: tuple[int, int], **fields: object) -> Json:
        """The order that a checkout of these lines made."""
        return made(self.http.post("/checkout", json=self.cart(*lines, **fields)))

    def stock(self, product_id: int) -> int:
        return int(self.http.get(f"/products/{product_id}").json()["stock"])

    def ledger(self, product_id: int) -> list[Json]:
        rows: list[Json] = self.http.get(f"/products/{product_id}/stock_movements", params={"limit": 1000}).json()
        return rows
