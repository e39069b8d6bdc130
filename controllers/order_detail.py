"""Routes of order details."""

from controllers.base import BaseController
from schemas.order_detail import OrderDetailCreate, OrderDetailQuery, OrderDetailRead, OrderDetailUpdate
from security.policy import needs
from services.order_detail import OrderDetailService


class OrderDetailController(BaseController):
    reads, writes = needs("orders:read", or_own=True), needs("orders:write")
    service = OrderDetailService
    create_schema, update_schema = OrderDetailCreate, OrderDetailUpdate
    read_schema, query_schema = OrderDetailRead, OrderDetailQuery
    example = {
        "quantity": 2,
        "returned_quantity": 0,
        "price": 39.99,
        "name": "Desk lamp",
        "sku": "LAMP-01",
        "tax_rate": 21,
        "vat_category": "S",
        "tax_included": 13.01,
        "order_id": 1,
        "product_id": 1,
    }
