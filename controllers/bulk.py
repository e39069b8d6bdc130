"""The bulk route of the entities that come in thousands: all rows or none."""

from typing import Annotated, Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers import documentation
from controllers.answers import JSON, as_dict
from controllers.base import BaseController
from schemas.json_codec import to_json
from services.idempotency import Reply

MAX_BULK = 10_000


class BulkController(BaseController):
    """A controller with `POST /things/bulk` beside the usual routes."""

    def routes(self) -> list[APIRoute]:
        return [
            *super().routes(),
            self.route(
                "POST",
                f"{self.path}/bulk",
                self.create_rows,
                f"create_{self.plural}_in_bulk",
                summary=f"Create many {self.words(self.plural)}, all or none",
                body=Annotated[documentation.list_of(self.create_schema), Field(min_length=1, max_length=MAX_BULK)],
                body_example=[self.body_example("POST")],
                answer=documentation.list_of(self.read_schema),
                example=[self.row_example()],
            ),
        ]

    async def create_rows(self, request: Request, body: Any) -> Response:
        """Up to 10,000 rows in up to 16 MiB. An error says in `loc` which row is in the way."""

        def work(session: Session) -> Reply:
            rows = self.service(session).create_many([row.sent() for row in body])
            return Reply(201, to_json([as_dict(row, self.fields) for row in rows]), {"Content-Type": JSON})

        return await self.write(request, work)
