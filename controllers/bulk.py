"""The bulk routes of the entities that come in thousands: all rows or none."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import Body, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers import documentation
from controllers.answers import as_dict
from controllers.base import BaseController
from schemas.base import Body as BodySchema
from schemas.base import BulkDelete, bulk_update_of
from schemas.json_codec import json_body
from services.answer import JSON
from services.bulk import BulkService
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
    """A controller with routes for thousands of rows beside the usual ones: to create, to change and to delete them."""

    service: ClassVar[type[BulkService[Any]]]

    def __init__(self, prefix: str = "") -> None:
        super().__init__(prefix)
        self.new_rows = _many(self.create_schema)
        self.changes = _many(bulk_update_of(self.update_schema))
        self.deletions = _many(BulkDelete)

    def routes(self) -> list[APIRoute]:
        things = self.words(self.plural)
        return [
            *super().routes(),
            self.route(
                "POST",
                f"{self.path}/bulk",
                self.create_rows,
                f"create_{self.plural}_in_bulk",
                summary=f"Create many {things}, all or none",
                body=_checked_later(self.new_rows),
                body_example=[self.body_example("POST")],
                answer=documentation.list_of(self.read_schema),
                example=[self.row_example()],
            ),
            self.route(
                "PATCH",
                f"{self.path}/bulk",
                self.update_rows,
                f"patch_{self.plural}_in_bulk",
                summary=f"Change many {things}, all or none",
                body=_checked_later(self.changes),
                body_example=[{"id_key": 1, **self.body_example("PATCH")}],
                answer=documentation.list_of(self.read_schema),
                example=[self.row_example()],
            ),
            self.route(
                "POST",
                f"{self.path}/bulk_delete",
                self.delete_rows,
                f"delete_{self.plural}_in_bulk",
                summary=f"Delete many {things}, all or none",
                body=_checked_later(self.deletions),
                body_example=[{"id_key": 1}, {"id_key": 2, "updated_at": documentation.STORED["updated_at"]}],
                status=204,
            ),
        ]

    async def create_rows(self, request: Request, body: Any) -> Response:
        """Up to 10,000 rows in up to 16 MiB. An error says in `loc` which row is in the way."""
        rows = await _checked(self.new_rows, body)

        def work(session: Session) -> Reply:
            created = self.service(session).create_many([dict(row) for row in rows], self.fields)
            content = [dict(zip(self.fields, row, strict=True)) for row in created]
            return Reply(201, json_body(content), {"Content-Type": JSON})

        return await self.write(request, work)

    async def update_rows(self, request: Request, body: Any) -> Response:
        """Up to 10,000 rows in up to 16 MiB, each by its `id_key`, which may come once. Only the fields sent change.

        The answer has the rows in the order of the request. A unique value must be free before the request: two rows
        do not exchange theirs. An error says in `loc` which row is in the way.
        """
        changes = await _checked(self.changes, body)

        def work(session: Session) -> Reply:
            rows = self.service(session).update_many(changes)
            return Reply(200, json_body([as_dict(row, self.fields) for row in rows]), {"Content-Type": JSON})

        return await self.write(request, work)

    async def delete_rows(self, request: Request, body: Any) -> Response:
        """Up to 10,000 rows, each by its `id_key`, which may come once. An error says in `loc` which is in the way."""
        deletions = await _checked(self.deletions, body)

        def work(session: Session) -> Reply:
            self.service(session).delete_many(deletions)
            return Reply(204)

        return await self.write(request, work)


def _many(row: type[BodySchema]) -> TypeAdapter[Any]:
    bounds = Field(min_length=1, max_length=MAX_BULK)
    return TypeAdapter(Annotated[documentation.list_of(row), bounds])  # type: ignore[arg-type]


def _checked_later(rows: TypeAdapter[Any]) -> Any:
    return Annotated[Any, CheckedLater(rows), Body()]


async def _checked(rows: TypeAdapter[Any], body: Any) -> list[dict[str, Any]]:
    """What was sent of each row. Raises 422 with everything that is wrong with any of them."""
    # Thousands of rows take a good part of a second, in which the worker has others to answer.
    return await asyncio.to_thread(_sent, rows, body)


def _sent(rows: TypeAdapter[Any], body: Any) -> list[dict[str, Any]]:
    try:
        sent = [row.sent() for row in rows.validate_python(body)]
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in problems]) from None
    _refuse_repeated(sent)
    return sent


def _refuse_repeated(rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise 422 for rows that were named before: which of them is meant, nobody could say."""
    seen: set[int] = set()
    repeated = []
    for place, row in enumerate(rows):
        key = row.get("id_key")
        if key in seen:
            repeated.append(place)
        elif key is not None:
            seen.add(key)
    if repeated:
        message = "The same id_key stands twice in this request"
        raise RequestValidationError(
            [{"type": "value_error", "loc": ("body", place, "id_key"), "msg": message} for place in repeated]
        )
