"""The buyers of the load test: Locust users who compete for limited stock, and record every response in a ledger."""

import random
from http import HTTPStatus
from typing import Any, ClassVar

from locust import FastHttpUser, between, task
from locust.contrib.fasthttp import ResponseContextManager

from benchmarks.purchases import Catalog, Ledger, is_conclusive

HOST = "http://127.0.0.1:8000"
LINES = 3

# Shares of a buyer's orders; the first one is of its lines.
HOT = 0.2
REPEATS = 0.1
CANCELLATIONS = 0.06
RETURNS = 0.06


class Buyer(FastHttpUser):
    """A user who competes for limited stock, and records every response."""

    host = HOST
    weight = 1
    wait_time = between(1, 3)

    ledger: ClassVar[Ledger]
    """Shared by all buyers of this process; the start of a test sets a new one."""

    @task(10)
    def buy(self) -> None:
        body = cart(self.ledger.catalog)
        key, response = self._post("/checkout", body, "/checkout")
        if random.random() < REPEATS:
            self._repeat(key, body, response)
        if response.status_code == HTTPStatus.CREATED:
            self._change_order(response.json())

    @task(1)
    def change_a_price(self) -> None:
        product_id, price = self.ledger.catalog.price_change()
        self.client.put(f"/products/{product_id}", json={"price": price}, name="/products/{id}")

    def _change_order(self, order: dict[str, Any]) -> None:
        dice = random.random()
        path, name = f"/orders/{order['id_key']}", "/orders/{id}"
        if dice < CANCELLATIONS:
            self._post(f"{path}/cancel", None, f"{name}/cancel")
        elif dice < CANCELLATIONS + RETURNS:
            self._post(f"{path}/advance", None, f"{name}/advance")
            line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}
            self._post(f"{path}/returns", {"lines": [line]}, f"{name}/returns")

    def _post(self, path: str, body: Any, name: str) -> tuple[str, ResponseContextManager]:
        """Send the request once. Without a response it stays pending in the ledger, and is resolved at the end."""
        key = self.ledger.begin(path, body)
        response = self._send(path, body, key, name)
        if is_conclusive(response.status_code, response.headers or {}):
            self.ledger.settle(key, response.status_code, response.json())
        return key, response

    def _repeat(self, key: str, body: Any, first: ResponseContextManager) -> None:
        again = self._send("/checkout", body, key, "/checkout (repeated)")
        responses = [(response.status_code, response.content) for response in (first, again)]
        conclusive = all(is_conclusive(response.status_code, response.headers or {}) for response in (first, again))
        if conclusive and responses[0] != responses[1]:
            self.ledger.contradictions.append(f"key {key} was answered {responses[0]}, then {responses[1]}")

    def _send(self, path: str, body: Any, key: str, name: str) -> ResponseContextManager:
        headers = {"Idempotency-Key": key}
        response: ResponseContextManager
        with self.client.post(path, json=body, headers=headers, name=name, catch_response=True) as response:
            if response.status_code == HTTPStatus.BAD_REQUEST and response.json().get("code") == "insufficient_stock":
                # Sold out, which is no failure.
                response.success()  # type: ignore[no-untyped-call]  # Locust gives it no types
        return response


def cart(catalog: Catalog) -> dict[str, Any]:
    """The body of an order."""
    products = list(catalog.stocks)
    wanted = [catalog.hot_product if random.random() < HOT else random.choice(products) for _ in range(LINES)]
    return {
        "client_id": catalog.client_id,
        "delivery_method": 1,
        "payment_type": "card",
        "lines": [{"product_id": product_id, "quantity": random.randint(1, 3)} for product_id in wanted],
    }
