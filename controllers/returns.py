"""Routes of returns, which are for reading: `POST /orders/{id}/returns` makes them."""

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController, executor_of
from controllers.nested_list import NestedList
from controllers.policies import principal_of
from controllers.reads import FreshRead
from controllers.responses import as_dict, rendered_fields
from controllers.routing import ROW, RowId, only_reads, parse_query
from infrastructure.cache.rendered_response import RenderedResponse
from schemas.base import Create, Update
from schemas.returns import OneReturnQuery, OrderReturnsQuery, ReturnQuery, ReturnRead, ReturnWithLinesRead
from security.policy import needs
from services.order import OrderService
from services.returns import ReturnService


class ReturnController(BaseController):
    reads, writes = needs("orders:read", or_own=True), needs("orders:write")
    service = ReturnService
    # Goods come back to their order, and a return never changes.
    create_schema, update_schema = Create, Update
    read_schema, query_schema = ReturnRead, ReturnQuery
    nested = NestedList(OrderService, "order_id", OrderReturnsQuery)
    example = {"order_id": 1, "credit_bill_id": 2, "reason": "Broken on arrival", "restock": True}

    def routes(self) -> list[APIRoute]:
        one = f"{self.path}/{ROW}"
        lines = [{"order_detail_id": 3, "product_id": 1, "quantity": 1, "amount": 37.49}]
        return [
            *(route for route in only_reads(super().routes()) if route.path != one),
            self.route(
                "GET",
                one,
                self.get_row,
                "get_return",
                response_schema=ReturnWithLinesRead,
                example=self.row_example() | {"lines": lines},
                query=OneReturnQuery,
            ),
        ]

    async def get_row(self, request: Request, id_key: RowId) -> Response:
        """The return with its lines."""
        query: OneReturnQuery = parse_query(request, OneReturnQuery)
        visible = self.service.visible_to(principal_of(request))

        def work(session: Session) -> RenderedResponse:
            row = as_dict(self.service.row_query(id_key, self.fields, visible)(session), self.fields)
            return rendered_fields(row | {"lines": ReturnService(session).lines(id_key)}, query)

        return await self.respond(request, FreshRead(executor_of(request), work))
