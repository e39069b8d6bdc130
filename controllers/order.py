"""Routes of orders: the usual ones, with expanded objects inside, and those for status and returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController, executor_of
from controllers.bill import BillController
from controllers.client import ClientController
from controllers.pagination import Params, list_headers, rendered_list
from controllers.policies import principal_of
from controllers.reads import FreshRead
from controllers.responses import as_dict, rendered_fields, reply, row_reply, tagged_row
from controllers.routing import ROW, RowId, parse_query
from controllers.streamed_response import StreamedResponse
from infrastructure.cache.rendered_response import RenderedResponse
from middleware.conditional_response import conditional_response
from schemas.base import Page
from schemas.json_codec import json_body
from schemas.order import (
    ClientOrdersQuery,
    ExpandedOrderRead,
    OrderCreate,
    OrderQuery,
    OrderRead,
    OrderUpdate,
)
from schemas.returns import CreditBillRead, Return
from security.policy import needs
from security.principal import Principal
from services.client import ClientService
from services.declared_errors import refusals_of
from services.expanded_orders import ExpandedOrders, Place, expand, in_pieces
from services.idempotency import Reply
from services.identity.authorization import authorize
from services.order import OrderService
from services.returns import ReturnService

# Who may see the objects inside an order. Its details go with it.
_POLICIES = {
    "order_details": needs("orders:read", or_own=True),
    "bill": BillController.reads,
    "client": ClientController.reads,
}


@dataclass(frozen=True, slots=True)
class StreamedPage:
    """A page of orders that is too large for one response body, and is sent in pieces."""

    orders: ExpandedOrders
    headers: Mapping[str, str]


class OrderController(BaseController):
    reads, writes = needs("orders:read", or_own=True), needs("orders:write")
    service = OrderService
    create_schema, update_schema = OrderCreate, OrderUpdate
    read_schema, query_schema, shown_schema = OrderRead, OrderQuery, ExpandedOrderRead
    example = {
        "date": "2026-11-16T10:00:00Z",
        "total": 79.98,
        "returned_total": 0,
        "discount": 5.00,
        "shipping": 0,
        "tax_included": 13.01,
        "to_pay": 74.98,
        "refunded": 0,
        "net": 74.98,
        "paid": 0,
        "payment_status": "unpaid",
        "shipping_tax_rate": 21,
        "shipping_vat_category": "S",
        "delivery_method": 3,
        "status": 1,
        "client_id": 1,
        "bill_id": 1,
        "address_id": None,
        "ship_to": None,
        "currency": "EUR",
    }

    def __init__(self, prefix: str = "") -> None:
        super().__init__(prefix)
        self.bills = BillController(prefix)

    def routes(self) -> list[APIRoute]:
        one = f"{self.path}/{ROW}"
        return [
            *super().routes(),
            self.route(
                "POST",
                f"{one}/cancel",
                self.cancel,
                "cancel_order",
                summary="Cancel an order",
                status=200,
                refusals=refusals_of(OrderService.cancel),
                policy=needs("orders:write", or_own=True),
            ),
            self.route(
                "POST",
                f"{one}/advance",
                self.advance,
                "advance_order",
                summary="Move an order on",
                status=200,
                refusals=refusals_of(OrderService.advance),
            ),
            self.route(
                "POST",
                f"{one}/returns",
                self.return_items,
                "return_order",
                summary="Return goods of an order",
                body=Return,
                body_example={"lines": [{"order_detail_id": 3, "quantity": 1}], "reason": "Broken on arrival"},
                response_schema=CreditBillRead,
                example=self.bills.row_example()
                | {"kind": "credit", "refunds_bill_id": 1, "reason": "returned", "return_id": 1},
                refusals=refusals_of(ReturnService.return_items),
            ),
            self.list_route(
                f"{self.prefix}/clients/{ROW}/orders",
                self.list_of_client,
                "list_client_orders",
                "List the orders of a client",
                query=ClientOrdersQuery,
            ),
        ]

    # -- reading -----------------------------------------------------------------------------------

    async def list_rows(self, request: Request) -> Response:
        """A page of the orders that all the filters fit, each with what `expand` asks for inside it."""
        query: OrderQuery = parse_query(request, OrderQuery)
        principal = self._expanding(request, query)
        params = self.link_params(request, query)

        def work(session: Session) -> RenderedResponse | StreamedPage:
            page = OrderService.page_query(query, self.fields, OrderService.visible_to(principal))(session)
            return self._page(session, query, page, self.path, params, principal)

        return await self._respond_with_page(request, query, work)

    async def list_of_client(self, request: Request, id_key: RowId) -> Response:
        """As the list of orders, within those of the client."""
        query: ClientOrdersQuery = parse_query(request, ClientOrdersQuery)
        principal = self._expanding(request, query)
        path, params = f"{self.prefix}/clients/{id_key}/orders", self.link_params(request, query)

        def work(session: Session) -> RenderedResponse | StreamedPage:
            ClientService.row_query(id_key, ("id_key",), ClientService.visible_to(principal))(session)
            visible = OrderService.visible_to(principal)
            page = OrderService.page_query(query, self.fields, visible, client_id=id_key)(session)
            return self._page(session, query, page, path, params, principal)

        return await self._respond_with_page(request, query, work)

    async def get_row(self, request: Request, id_key: RowId) -> Response:
        """The order as it is stored now, with what `expand` asks for inside it."""
        query: OrderQuery = parse_query(request, OrderQuery)
        if not query.expand:
            return await super().get_row(request, id_key)
        principal = self._expanding(request, query)

        def work(session: Session) -> RenderedResponse:
            row = OrderService.row_query(id_key, self.fields, OrderService.visible_to(principal))(session)
            expanded = expand(session, [row], query.expand, principal)
            if expanded is not None:
                return rendered_fields(as_dict(row, self.fields) | expanded[0], query)
            pieces = self._in_pieces(session, query, [row], principal)
            return tagged_row(pieces.of_one(session), row.id_key, row.updated_at)

        return await self.respond(request, FreshRead(executor_of(request), work))

    @staticmethod
    def _expanding(request: Request, query: ClientOrdersQuery) -> Principal:
        """The caller, who may read what they ask to be shown inside the orders. Raises `Forbidden`."""
        principal = principal_of(request)
        for name in query.expand:
            authorize(_POLICIES[name], principal)
        return principal

    def _page(
        self,
        session: Session,
        query: ClientOrdersQuery,
        page: Page,
        path: str,
        params: Params,
        principal: Principal,
    ) -> RenderedResponse | StreamedPage:
        expanded = expand(session, page.rows, query.expand, principal)
        if expanded is None:
            pieces = self._in_pieces(session, query, page.rows, principal)
            return StreamedPage(pieces, list_headers(page, query, path, params))
        content = [as_dict(row, self.fields) | more for row, more in zip(page.rows, expanded, strict=True)]
        return rendered_list(content, page, query, path, params)

    def _in_pieces(
        self, session: Session, query: ClientOrdersQuery, orders: Sequence[Any], principal: Principal
    ) -> ExpandedOrders:
        rows = [query.shown(as_dict(row, self.fields)) for row in orders]
        return in_pieces(session, orders, rows, query.expand, principal)

    async def _respond_with_page(
        self, request: Request, query: ClientOrdersQuery, work: Callable[[Session], RenderedResponse | StreamedPage]
    ) -> Response:
        executor = executor_of(request)
        if "order_details" not in query.expand:
            return await self.respond(request, FreshRead(executor, cast(Callable[[Session], RenderedResponse], work)))
        # Not registered for later requests: a streamed page is no complete response.
        page = await executor.read(work)
        if isinstance(page, RenderedResponse):
            return await conditional_response(request.scope, page)

        async def next_piece(place: Place) -> tuple[bytes, Place | None]:
            return await executor.read(partial(page.orders.piece, place=place))

        return StreamedResponse(executor, next_piece, Place(), page.headers)

    # -- writing -----------------------------------------------------------------------------------

    async def cancel(self, request: Request, id_key: RowId) -> Response:
        """All its goods go back to the stock, once; its details stay. A customer may cancel while it is PENDING."""
        principal = principal_of(request)
        return await self.write(request, lambda session: self._reply(OrderService(session, principal).cancel(id_key)))

    async def advance(self, request: Request, id_key: RowId) -> Response:
        """From PENDING to IN_PROGRESS, from there to DELIVERED."""
        return await self.write(request, lambda session: self._reply(OrderService(session).advance(id_key)))

    async def return_items(self, request: Request, id_key: RowId, body: Any) -> Response:
        """The goods go back to the stock, and a credit bill gives the money back, less their share of the discount.

        With `restock: false` they are written off instead. The response is the credit bill, with the key of the return.
        """

        def work(session: Session) -> Reply:
            bill = ReturnService(session).return_items(id_key, body)
            shown = tagged_row(json_body(bill), bill["id_key"], bill["updated_at"])
            return reply(201, shown, self.bills.location(bill["id_key"]))

        return await self.write(request, work)

    def _reply(self, order: Any) -> Reply:
        return row_reply(200, order, self.fields)
