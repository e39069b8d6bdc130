"""The route that places an order in one call."""

from functools import partial
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import executor_of
from controllers.idempotency import key_of, keyed_request
from controllers.openapi import operation
from controllers.order import OrderController
from controllers.order_detail import OrderDetailController
from controllers.policies import principal_of
from controllers.preferences import preferred
from controllers.responses import as_response, digest, reply
from infrastructure.cache.rendered_response import RenderedResponse
from schemas.checkout import Checkout, PlacedOrderRead, QuoteRead
from schemas.json_codec import json_body
from security.policy import needs
from services.checkout import CheckoutService, PlacedOrder, require_permitted
from services.declared_errors import refusals_of
from services.errors import ShopError
from services.idempotency import Reply, is_kept
from services.quote import QuoteService

_EXAMPLE = {
    "client_id": 1,
    "delivery_method": 3,
    "payment_type": "card",
    "discount": 5.00,
    "expected_total": 74.98,
    "lines": [{"product_id": 1, "quantity": 2, "price": 39.99}],
}

_QUOTE = {
    "client_id": 1,
    "delivery_method": 3,
    "payment_type": "card",
    "lines": [
        {
            "product_id": 1,
            "name": "Desk lamp",
            "sku": "LAMP-01",
            "quantity": 2,
            "price": 39.99,
            "amount": 79.98,
            "tax_rate": 21,
            "vat_category": "S",
            "tax_included": 13.01,
        }
    ],
    "shortages": [{"product_id": 1, "requested": 2, "available": 1}],
    "total": 79.98,
    "discount": 5.00,
    "shipping": 0,
    "tax_included": 13.01,
    "taxes": [{"country": "ES", "rate": 21, "vat_category": "S", "net": 61.97, "tax": 13.01, "gross": 74.98}],
    "to_pay": 74.98,
    "currency": "EUR",
}


class CheckoutController(OrderController):
    """`POST /checkout`, which places an order."""

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
                response_schema=PlacedOrderRead,
                example=self.row_example()
                | {
                    "order_details": [operation.STORED_FIELDS | self.details.example],
                    "bill": operation.STORED_FIELDS | self.bills.example,
                },
                refusals=refusals_of(CheckoutService.place),
                policy=needs("orders:write", or_own=True),
                owner=self.service.repository_type.owner,
            ),
            self.route(
                "POST",
                f"{self.prefix}/checkout/quote",
                self.quote,
                "quote_checkout",
                summary="What an order would come to",
                status=200,
                body=Checkout,
                body_example=_EXAMPLE,
                response_schema=QuoteRead,
                example=_QUOTE,
                refusals=refusals_of(QuoteService.quote),
                policy=needs("orders:write", or_own=True),
                owner=self.service.repository_type.owner,
            ),
        ]

    async def checkout(self, request: Request, body: Any) -> Response:
        """Takes the goods from the stock at the shop's prices and numbers the bill. A refusal changes nothing.

        To be paid are the lines, less the discount, with the shipping: the rate of the delivery method and of the country that the order
        goes to. `expected_total` is with it.

        A customer may leave out `client_id`, and may not send `discount`, `bill_number` or `date`.
        """
        principal = principal_of(request)
        require_permitted(body, principal)
        keyed = await keyed_request(request)
        checkouts: CheckoutService = request.app.state.checkouts
        try:
            placed = await checkouts.place(body, principal, keyed, self.location(""))
        except ShopError as refusal:
            if keyed is None or not is_kept(refusal):
                raise
            return await self.write_keyed(request, partial(_refuse, refusal), keyed)
        return as_response(preferred(placed if isinstance(placed, Reply) else self._placed(placed), request))

    async def quote(self, request: Request, body: Any) -> Response:
        """What the answer of a checkout with this body would say now, with the products of which there are too few.

        Nothing is stored or reserved, and an `Idempotency-Key` means nothing here. What a checkout refuses otherwise is refused.
        """
        principal = principal_of(request)
        require_permitted(body, principal)
        # One that is malformed is refused, as everywhere.
        key_of(request)
        quote = await executor_of(request).read(lambda session: QuoteService(session, principal).quote(body))
        content = json_body(quote)
        return as_response(preferred(reply(200, RenderedResponse(content, f'"{digest(content)}"')), request))

    def _placed(self, order: PlacedOrder) -> Reply:
        return reply(201, RenderedResponse(order.body, order.etag), self.location(order.id_key))


def _refuse(refusal: ShopError, _: Session) -> Reply:
    raise refusal
