"""Routes of bills."""

from controllers.base import BaseController
from controllers.nested_list import NestedList
from schemas.bill import BillCreate, BillQuery, BillRead, BillUpdate, ClientBillsQuery
from security.policy import needs
from services.bill import BillService
from services.client import ClientService


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
        "tax": 0,
        "paid": 0,
        "payment_status": "unpaid",
        "currency": "EUR",
    }
