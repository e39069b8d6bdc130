"""Routes of bills, and of their lines."""

from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController, executor_of
from controllers.nested_list import NestedList
from controllers.openapi.operation import list_of
from controllers.policies import principal_of
from controllers.reads import FreshRead
from controllers.responses import as_dict, digest, rendered_fields, rendered_row, reply, tagged_row
from controllers.routing import ROW, RowId, parse_query
from infrastructure.cache.rendered_response import RenderedResponse
from schemas.bill import (
    BillCreate,
    BillLineRead,
    BillQuery,
    BillRead,
    BillUpdate,
    BillWithLinesRead,
    ClientBillsQuery,
)
from schemas.json_codec import json_body
from security.policy import needs
from services.bill import BillService
from services.bill_line import BillLineService
from services.client import ClientService
from services.idempotency import Reply

_LINES = [
    {
        "order_detail_id": 3,
        "product_id": 1,
        "name": "Desk lamp",
        "sku": "LAMP-01",
        "quantity": 2,
        "price": 39.99,
        "discount": 5.00,
        "amount": 74.98,
        "tax_rate": 21,
        "vat_category": "S",
        "tax_included": 13.01,
    }
]


class BillController(BaseController):
    reads, writes = needs("bills:read", or_own=True), needs("bills:write")
    service = BillService
    create_schema, update_schema = BillCreate, BillUpdate
    read_schema, query_schema = BillRead, BillQuery
    nested = NestedList(ClientService, "client_id", ClientBillsQuery)
    example = {
        "bill_number": "INV-2026-17",
        "discount": 5.00,
        "date": "2026-11-16",
        "total": 74.98,
        "payment_type": "card",
        "client_id": 1,
        "kind": "sale",
        "refunds_bill_id": None,
        "reason": None,
        "refunded": 0,
        "shipping": 0,
        "tax": 13.01,
        "taxes": [
            {"country": "ES", "rate": 21, "vat_category": "S", "net": 61.97, "tax": 13.01, "gross": 74.98},
        ],
        "paid": 0,
        "payment_status": "unpaid",
        "currency": "EUR",
    }

    def routes(self) -> list[APIRoute]:
        one = f"{self.path}/{ROW}"
        return [
            *(route for route in super().routes() if route.path != one or route.methods != {"GET"}),
            self.route(
                "GET",
                one,
                self.get_row,
                "get_bill",
                query=BillQuery,
                response_schema=BillWithLinesRead,
                example=self.row_example() | {"bill_lines": _LINES},
            ),
            self.route(
                "GET",
                f"{one}/lines",
                self.list_lines,
                "get_bill_lines",
                summary="Get the lines of a bill",
                response_schema=list_of(BillLineRead),
                example=_LINES,
            ),
        ]

    async def get_row(self, request: Request, id_key: RowId) -> Response:
        """The bill, also with its lines where it has any: those of its order, or those that it kept when the order was deleted.

        A credit bill of a return has the lines that came back, any other one all lines of the bill that it answers. With
        `fields` only these are shown, and no lines.
        """
        query: BillQuery = parse_query(request, BillQuery)
        bill_query = self.service.row_query(id_key, self.fields, self.service.visible_to(principal_of(request)))

        def work(session: Session) -> RenderedResponse:
            return self._rendered(session, bill_query(session), query)

        return await self.respond(request, FreshRead(executor_of(request), work))

    def written(self, session: Session, status: int, row: Any, location: str | None = None) -> Reply:
        return reply(status, self._rendered(session, row), location)

    def _rendered(self, session: Session, bill: Any, query: BillQuery | None = None) -> RenderedResponse:
        row = as_dict(bill, self.fields)
        if query is not None and query.fields:
            return rendered_fields(row, query)
        lines = BillLineService(session).of_bill(bill)
        if not lines:
            return rendered_row(bill, self.fields)
        # The lines are those of other rows: the tag has a digest beside the version.
        return tagged_row(json_body(row | {"bill_lines": lines}), bill.id_key, bill.updated_at)

    async def list_lines(self, request: Request, id_key: RowId) -> Response:
        """All of them, as they are on the bill."""
        bill_query = self.service.row_query(id_key, self.fields, self.service.visible_to(principal_of(request)))

        def work(session: Session) -> RenderedResponse:
            lines = BillLineService(session).of_bill(bill_query(session))
            body = json_body(lines)
            return RenderedResponse(body, f'"{digest(body)}"', {"X-Total-Count": str(len(lines))})

        return await self.respond(request, FreshRead(executor_of(request), work))
