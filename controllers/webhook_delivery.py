"""Routes of webhook deliveries: what was sent where, and how that ended; a test, and what is sent again."""

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController
from controllers.nested_list import NestedList
from controllers.policies import principal_of
from controllers.responses import row_reply
from controllers.routing import ROW, RowId, only_reads
from schemas.base import Create, Update
from schemas.webhook import EndpointDeliveriesQuery, WebhookDeliveryQuery, WebhookDeliveryRead
from security.policy import needs
from services.declared_errors import refusals_of
from services.idempotency import Reply
from services.webhook_delivery import TEST_TYPE, WebhookDeliveryService
from services.webhook_endpoint import WebhookEndpointService


class WebhookDeliveryController(BaseController):
    reads = writes = needs("webhooks:write")
    service = WebhookDeliveryService
    # Events make them.
    create_schema, update_schema = Create, Update
    read_schema, query_schema = WebhookDeliveryRead, WebhookDeliveryQuery
    nested = NestedList(WebhookEndpointService, "endpoint_id", EndpointDeliveriesQuery, "deliveries")
    example = {
        "endpoint_id": 1,
        "event_id": "01939d2c-6f4e-7abc-8def-0123456789ab",
        "sequence": 42,
        "type": "order.created",
        "status": "pending",
        "tries": 1,
        "codes": [500],
        "durations": [83],
        "error": "the answer was 500",
        "next_try_at": "2026-11-16T10:00:05.25Z",
    }

    def routes(self) -> list[APIRoute]:
        return [
            *only_reads(super().routes()),
            self.route(
                "POST",
                f"{self.path}/{ROW}/redeliver",
                self.redeliver,
                "redeliver_event",
                summary="Send an event again",
                status=200,
                refusals=refusals_of(WebhookDeliveryService.redeliver),
            ),
            self.route(
                "POST",
                f"{self.prefix}/webhook_endpoints/{ROW}/test",
                self.test,
                "test_webhook_endpoint",
                summary="Send a test to an endpoint",
                example=self.row_example() | {"type": TEST_TYPE, "sequence": None},
                refusals=refusals_of(WebhookDeliveryService.test),
            ),
        ]

    async def redeliver(self, request: Request, id_key: RowId) -> Response:
        """At once, and with all its tries before it; also one that was delivered."""
        principal = principal_of(request)

        def work(session: Session) -> Reply:
            return row_reply(200, WebhookDeliveryService(session, principal).redeliver(id_key), self.fields)

        return await self.write(request, work)

    async def test(self, request: Request, id_key: RowId) -> Response:
        """Signed and tried as an event is, with the type `webhook.test`. Nobody else gets it, whatever its types are."""
        principal = principal_of(request)

        def work(session: Session) -> Reply:
            row = WebhookDeliveryService(session, principal).test(id_key)
            return row_reply(201, row, self.fields, self.location(row.id_key))

        return await self.write(request, work)
