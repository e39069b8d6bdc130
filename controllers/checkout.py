"""The route that places an order in one call."""

from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers import documentation
from controllers.answers import expanded_answer, reply
from controllers.order import OrderController
from controllers.order_detail import OrderDetailController
from schemas.checkout import Checkout, PlacedOrderRead
from services.checkout import CheckoutService
from services.idempotency import Reply
from services.order import BILL_FIELDS, DETAIL_FIELDS

_EXAMPLE = {
    "client_id": 1,
    "delivery_method": 3,
    "payment_type": "card",
    "discount": 5.00,
    "expected_total": 74.98,
    "lines": [{"product_id": 1, "quantity": 2, "price": 39.99}],
}


class CheckoutController(OrderController):
    """`POST /checkout`; what it makes is an order."""

    def __init__(self, prefix: str = "") -> None:
        super().__init__(prefix)
        self.plural = "checkout"
        self.details = OrderDetailController(prefix)

    def routes(self) -> list[APIRoute]:
        return [
            self.route(
                "POST",
                f"{self.prefix}/checkout",
                self.checkout,
                "checkout",
                summary="Place an order: bill, order and details in one transaction",
                body=Checkout,
                body_example=_EXAMPLE,
                answer=PlacedOrderRead,
                example=self.row_example()
                | {
                    "order_details": [documentation.STORED | self.details.example],
                    "bill": documentation.STORED | self.bills.example,
                },
            )
        ]

    async def checkout(self, request: Request, body: Any) -> Response:
        def work(session: Session) -> Reply:
            placed = CheckoutService(session).place(body)
            content = _part(placed[0], "orders", self.fields) | {
                "order_details": [_part(row, "order_details", DETAIL_FIELDS) for row in placed],
                "bill": _part(placed[0], "bills", BILL_FIELDS),
            }
            return reply(201, expanded_answer(content), self.location(content["id_key"]))

        return await self.write(request, work)


def _part(row: Any, table: str, fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[f"{table}.{name}"] for name in fields}
