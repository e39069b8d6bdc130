"""Routes of payments: a bill is paid below it, and nothing changes a payment."""

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController
from controllers.nested_list import NestedList
from controllers.responses import row_reply
from controllers.routing import ROW, RowId, only_reads
from schemas.base import Update
from schemas.payment import BillPaymentsQuery, PaymentCreate, PaymentQuery, PaymentRead
from security.policy import needs
from services.bill import BillService
from services.declared_errors import refusals_of
from services.idempotency import Reply
from services.payment import PaymentService


class PaymentController(BaseController):
    reads, writes = needs("bills:read", or_own=True), needs("bills:write")
    service = PaymentService
    create_schema, update_schema = PaymentCreate, Update
    read_schema, query_schema = PaymentRead, PaymentQuery
    nested = NestedList(BillService, "bill_id", BillPaymentsQuery)
    example = {
        "bill_id": 1,
        "amount": 74.98,
        "method": "transfer",
        "reference": "RF18 5390 0754 7034",
        "paid_at": "2026-11-16T10:00:00Z",
    }

    def routes(self) -> list[APIRoute]:
        return [
            *only_reads(super().routes()),
            self.route(
                "POST",
                f"{self.prefix}/bills/{ROW}/payments",
                self.pay,
                "pay_bill",
                summary="Book a payment of a bill",
                body=PaymentCreate,
                body_example={"amount": 74.98, "method": "transfer", "reference": "RF18 5390 0754 7034"},
                response_schema=PaymentRead,
                example=self.row_example(),
                refusals=refusals_of(PaymentService.pay),
            ),
        ]

    async def pay(self, request: Request, id_key: RowId, body: PaymentCreate) -> Response:
        """Never more than is open: what the bill comes to, less its credit bills and the payments before.

        A payment of a credit bill is money given back: at most what has come in for the sale bill and was not given back yet.
        """

        def work(session: Session) -> Reply:
            row = PaymentService(session).pay(id_key, body.sent())
            return row_reply(201, row, self.fields, self.location(row.id_key))

        return await self.write(request, work)
