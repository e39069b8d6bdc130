"""Routes of bills."""

from controllers.base import BaseController
from schemas.bill import BillCreate, BillQuery, BillRead, BillUpdate
from security.policy import needs
from services.bill import BillService


class BillController(BaseController):
    reads, writes = needs("bills:read", or_own=True), needs("bills:write")
    service = BillService
    create_schema, update_schema = BillCreate, BillUpdate
    read_schema, query_schema = BillRead, BillQuery
    example = {
        "bill_number": "INV-2026-17",
        "discount": 5.00,
        "date": "2026-11-16",
        "total": 74.98,
        "payment_type": "card",
        "client_id": 1,
        "kind": "sale",
        "refunds_bill_id": None,
    }
