"""Routes of webhook endpoints, for administrators."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController, executor_of
from controllers.idempotency import keyed_request
from controllers.policies import principal_of
from controllers.responses import as_response, row_reply, secret_reply
from controllers.routing import ROW, RowId
from schemas.webhook import (
    NewWebhookEndpointRead,
    WebhookEndpointCreate,
    WebhookEndpointQuery,
    WebhookEndpointRead,
    WebhookEndpointUpdate,
    WebhookRedelivery,
)
from security.policy import needs
from security.secret_box import SecretBox
from services.declared_errors import creation, refusals_of
from services.idempotency import Reply
from services.identity.errors import SecretShownOnce
from services.webhook_endpoint import WebhookEndpointService, WebhookTargets, secret_box


class WebhookEndpointController(BaseController):
    reads = writes = needs("webhooks:write")
    service = WebhookEndpointService
    create_schema, update_schema = WebhookEndpointCreate, WebhookEndpointUpdate
    read_schema, query_schema = WebhookEndpointRead, WebhookEndpointQuery
    example = {
        "url": "https://example.com/hooks",
        "types": ["order.*", "stock.low"],
        "description": "The warehouse",
        "active": True,
        "failing_since": None,
        "previous_secret_until": None,
        "user_id": 1,
    }

    def routes(self) -> list[APIRoute]:
        creates = "POST"
        others = [route for route in super().routes() if creates not in (route.methods or ())]
        shown = self.row_example() | {"secret": f"whsec_{'k' * 43}="}
        return [
            *others,
            self.route(
                creates,
                self.path,
                self.create_row,
                "create_webhook_endpoint",
                body=WebhookEndpointCreate,
                response_schema=NewWebhookEndpointRead,
                example=shown,
                refusals=creation(WebhookEndpointService) | {SecretShownOnce},
            ),
            self.route(
                "POST",
                f"{self.path}/{ROW}/rotate_secret",
                self.rotate_secret,
                "rotate_webhook_secret",
                summary="Give an endpoint a new secret",
                status=200,
                response_schema=NewWebhookEndpointRead,
                example=shown,
                refusals=refusals_of(WebhookEndpointService.rotate_secret) | {SecretShownOnce},
            ),
            self.route(
                "POST",
                f"{self.path}/{ROW}/redeliver",
                self.redeliver,
                "redeliver_events",
                summary="Send events again",
                body=WebhookRedelivery,
                body_example={"after": 41},
                status=202,
                refusals=refusals_of(WebhookEndpointService.redeliver),
            ),
        ]

    async def prepare(
        self, request: Request, rows: Sequence[dict[str, Any]], row_ids: Sequence[int | None], *, in_bulk: bool = False
    ) -> None:
        targets = WebhookTargets.of(request.app.state.resources.settings)
        for values in rows:
            targets.require(values)

    async def create_row(self, request: Request, body: Any) -> Response:
        """The response shows the secret that signs the deliveries, which nothing shows again. A repeat by its `Idempotency-Key` is 409."""
        values, principal, box = body.sent(), principal_of(request), _box_of(request)
        await self.prepare(request, [values], [None])

        def work(session: Session) -> Reply:
            row, secret = WebhookEndpointService(session, principal).issue(dict(values), box)
            return secret_reply(201, row, self.fields, secret, self.location(row.id_key))

        # Whatever the client prefers: without the body the secret would be lost.
        return as_response(await executor_of(request).write(work, await keyed_request(request)))

    async def rotate_secret(self, request: Request, id_key: RowId) -> Response:
        """For 24 hours the secret of before signs as well, so that receivers can change over."""
        principal, box = principal_of(request), _box_of(request)

        def work(session: Session) -> Reply:
            row, secret = WebhookEndpointService(session, principal).rotate_secret(id_key, box)
            return secret_reply(200, row, self.fields, secret)

        return as_response(await executor_of(request).write(work, await keyed_request(request)))

    async def redeliver(self, request: Request, id_key: RowId, body: WebhookRedelivery) -> Response:
        """All that are kept behind `after`, in their order, also those that were delivered: receivers know them by `webhook-id`."""
        principal = principal_of(request)

        def work(session: Session) -> Reply:
            return row_reply(202, WebhookEndpointService(session, principal).redeliver(id_key, body.after), self.fields)

        return await self.write(request, work)


def _box_of(request: Request) -> SecretBox:
    return secret_box(request.app.state.key_ring())
