"""The bulk route of the entities that come in thousands: all rows or none."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Body, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers import documentation
from controllers.answers import JSON
from controllers.base import BaseController
from schemas.json_codec import to_json
from services.idempotency import Reply

MAX_BULK = 10_000


@dataclass(frozen=True)
class CheckedLater:
    """Marks a body that is documented as what `adapter` takes, and that the endpoint itself holds against it."""

    adapter: TypeAdapter[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(self.adapter.core_schema)


class BulkController(BaseController):
    """A controller with `POST /things/bulk` beside the usual routes."""

    def __init__(self, prefix: str = "") -> None:
        super().__init__(prefix)
        bounds = Field(min_length=1, max_length=MAX_BULK)
        self.many: TypeAdapter[Any] = TypeAdapter(
            Annotated[documentation.list_of(self.create_schema), bounds]  # type: ignore[arg-type]
        )

    def routes(self) -> list[APIRoute]:
        return [
            *super().routes(),
            self.route(
                "POST",
                f"{self.path}/bulk",
                self.create_rows,
                f"create_{self.plural}_in_bulk",
                summary=f"Create many {self.words(self.plural)}, all or none",
                body=Annotated[Any, CheckedLater(self.many), Body()],
                body_example=[self.body_example("POST")],
                answer=documentation.list_of(self.read_schema),
                example=[self.row_example()],
            ),
        ]

    async def create_rows(self, request: Request, body: Any) -> Response:
        """Up to 10,000 rows in up to 16 MiB. An error says in `loc` which row is in the way."""
        # Thousands of rows take a good part of a second, in which the worker has others to answer.
        rows = await asyncio.to_thread(self._checked, body)

        def work(session: Session) -> Reply:
            created = self.service(session).create_many([dict(row) for row in rows], self.fields)
            content = [dict(zip(self.fields, row, strict=True)) for row in created]
            return Reply(201, to_json(content), {"Content-Type": JSON})

        return await self.write(request, work)

    def _checked(self, body: Any) -> list[dict[str, Any]]:
        """What was sent of each row. Raises 422 with everything that is wrong with any of them."""
        try:
            return [row.sent() for row in self.many.validate_python(body)]
        except ValidationError as error:
            problems = error.errors(include_url=False)
            raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in problems]) from None
