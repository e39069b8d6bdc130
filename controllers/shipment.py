"""Routes of shipments, which are made below their order."""

from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController
from controllers.nested_list import NestedList
from controllers.policies import principal_of
from controllers.responses import rendered_fields, reply
from controllers.routing import ROW, RowId
from schemas.shipment import OrderShipmentsQuery, ShipmentCreate, ShipmentQuery, ShipmentRead, ShipmentUpdate
from security.policy import needs
from services.declared_errors import refusals_of
from services.idempotency import Reply
from services.order import OrderService
from services.shipment import ShipmentService

_OWN = ("GET", "PATCH")


class ShipmentController(BaseController):
    reads, writes = needs("orders:read", or_own=True), needs("orders:write")
    service = ShipmentService
    create_schema, update_schema = ShipmentCreate, ShipmentUpdate
    read_schema, query_schema = ShipmentRead, ShipmentQuery
    nested = NestedList(OrderService, "order_id", OrderShipmentsQuery)
    example = {
        "carrier": "Parcel Post",
        "tracking_number": "PP123456789",
        "tracking_url": "https://example.com/track/PP123456789",
        "order_id": 1,
        "shipped_at": "2026-11-16T10:00:00Z",
        "delivered_at": None,
        "lines": [{"order_detail_id": 3, "quantity": 1}],
    }

    def routes(self) -> list[APIRoute]:
        return [
            *(route for route in super().routes() if route.methods and route.methods <= set(_OWN)),
            self.route(
                "POST",
                f"{self.prefix}/{OrderService.resource}/{ROW}/{self.plural}",
                self.ship,
                "ship_order",
                summary="Ship goods of an order",
                body=ShipmentCreate,
                refusals=refusals_of(ShipmentService.ship),
            ),
        ]

    async def ship(self, request: Request, id_key: RowId, body: Any) -> Response:
        """All that is not shipped yet, or the `lines` that are sent.

        The first shipment takes a PENDING order to IN_PROGRESS. When all pieces are shipped and the last shipment is
        delivered, the order is DELIVERED.
        """
        principal = principal_of(request)

        def work(session: Session) -> Reply:
            shipment = ShipmentService(session, principal).ship(id_key, body)
            return reply(201, rendered_fields(shipment), self.location(shipment["id_key"]))

        return await self.write(request, work)
