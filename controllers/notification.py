"""Routes of notifications: what clients and staff were told, and the way to send one again."""

from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController
from controllers.policies import principal_of
from controllers.responses import row_reply
from controllers.routing import ROW, RowId, only_reads
from schemas.base import Create, Update
from schemas.notification import NotificationQuery, NotificationRead
from security.policy import needs
from services.declared_errors import refusals_of
from services.idempotency import Reply
from services.notification import NotificationService


class NotificationController(BaseController):
    reads, writes = needs("notifications:read"), needs("notifications:write")
    service = NotificationService
    # Events make them.
    create_schema, update_schema = Create, Update
    read_schema, query_schema = NotificationRead, NotificationQuery
    example = {
        "event_id": "01936f5e-8c1a-7b3e-9d52-3f0a6b1c2d4e",
        "kind": "order_placed",
        "channel": "mail",
        "recipient": "ada@example.com",
        "client_id": 1,
        "language": "en",
        "status": "failed",
        "tries": 5,
        "error": "the mail server refuses the recipient (550)",
        "sent_at": None,
        "next_try_at": None,
    }

    def routes(self) -> list[APIRoute]:
        again: dict[str, Any] = {"status": "queued", "tries": 0, "error": None}
        return [
            *only_reads(super().routes()),
            self.route(
                "POST",
                f"{self.path}/{ROW}/resend",
                self.resend,
                "resend_notification",
                summary="Send a notification again",
                status=200,
                response_schema=NotificationRead,
                example=self.row_example() | again,
                refusals=refusals_of(NotificationService.resend),
            ),
        ]

    async def resend(self, request: Request, id_key: RowId) -> Response:
        """It goes out once more as soon as possible, to the address that the client has now, with five tries before it.

        A mail is another one then, with a `Message-ID` of its own. One that still waits is not doubled.
        """
        principal = principal_of(request)

        def work(session: Session) -> Reply:
            row = NotificationService(session, principal).resend(id_key)
            return row_reply(200, row, self.fields)

        return await self.write(request, work)
