"""The bulk routes of the entities that come in thousands: all rows or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import Body, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController
from controllers.bulk_rows import MAX_BULK, read_rows
from controllers.entity_routes import Endpoint
from controllers.openapi import operation
from controllers.policies import principal_of
from controllers.responses import as_dict
from controllers.routing import ShopRoute
from infrastructure.server.media_types import JSON
from schemas.base import Body as BodySchema
from schemas.base import BulkDelete, bulk_update_of
from schemas.error_limits import first_errors
from schemas.json_codec import json_array, to_json
from services.bulk import BulkService
from services.declared_errors import change, creation, deletion
from services.idempotency import Reply


@dataclass(frozen=True)
class ValidatedByEndpoint:
    """Marks a body that is documented by the schema of `adapter`, and that the endpoint validates itself."""

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
        self.bulk_update_schema = bulk_update_of(self.update_schema)

    def routes(self) -> list[APIRoute]:
        things = self.words(self.plural)
        return [
            *super().routes(),
            self._bulk_route(
                "POST",
                f"{self.path}/bulk",
                self.create_rows,
                f"create_{self.plural}_in_bulk",
                summary=f"Create many {things}, all or none",
                row=self.create_schema,
                body_example=[self.body_example("POST")],
                response_schema=operation.list_of(self.read_schema),
                example=[self.row_example()],
                refusals=creation(self.service),
            ),
            self._bulk_route(
                "PATCH",
                f"{self.path}/bulk",
                self.update_rows,
                f"patch_{self.plural}_in_bulk",
                summary=f"Change many {things}, all or none",
                row=self.bulk_update_schema,
                body_example=[{"id_key": 1, **self.body_example("PATCH")}],
                response_schema=operation.list_of(self.read_schema),
                example=[self.row_example()],
                refusals=change(self.service, by_the_thousand=True),
            ),
            self._bulk_route(
                "POST",
                f"{self.path}/bulk_delete",
                self.delete_rows,
                f"delete_{self.plural}_in_bulk",
                summary=f"Delete many {things}, all or none",
                row=BulkDelete,
                body_example=[{"id_key": 1}, {"id_key": 2, "updated_at": operation.STORED_FIELDS["updated_at"]}],
                status=204,
                refusals=deletion(self.service, by_the_thousand=True),
            ),
        ]

    async def create_rows(self, request: Request, body: Any) -> Response:
        """Up to 10,000 rows in up to 16 MiB. An error says in `loc` which row is in the way."""
        rows = await read_rows(request, body, self.create_schema)
        principal = principal_of(request)
        await self.prepare(request, rows.sent, [None] * len(rows.sent), in_bulk=True)

        def work(session: Session) -> Reply:
            created = self.service(session, principal).create_many(rows.sent, self.fields, self._as_json)
            return Reply(201, json_array(created), {"Content-Type": JSON})

        return await self.write_keyed(request, work, rows.keyed)

    async def update_rows(self, request: Request, body: Any) -> Response:
        """Up to 10,000 rows in up to 16 MiB, each by its `id_key`, which may come once. Only the fields sent change.

        The response has the rows in the order of the request. A unique value must be free before the request: two rows
        do not exchange theirs. An error says in `loc` which row is in the way.
        """
        changes = await read_rows(request, body, self.bulk_update_schema)
        principal = principal_of(request)
        _refuse_repeated(changes.sent)
        await self.prepare(request, changes.sent, [row.get("id_key") for row in changes.sent], in_bulk=True)

        def work(session: Session) -> Reply:
            rows = self.service(session, principal).update_many(changes.sent)
            return Reply(200, json_array(to_json(as_dict(row, self.fields)) for row in rows), {"Content-Type": JSON})

        return await self.write_keyed(request, work, changes.keyed)

    async def delete_rows(self, request: Request, body: Any) -> Response:
        """Up to 10,000 rows, each by its `id_key`, which may come once. An error says in `loc` which is in the way."""
        deletions = await read_rows(request, body, BulkDelete)
        principal = principal_of(request)
        _refuse_repeated(deletions.sent)

        def work(session: Session) -> Reply:
            self.service(session, principal).delete_many(deletions.sent)
            return Reply(204)

        return await self.write_keyed(request, work, deletions.keyed)

    def _as_json(self, rows: Sequence[Sequence[Any]]) -> bytes:
        return to_json([dict(zip(self.fields, row, strict=True)) for row in rows])[1:-1]

    def _bulk_route(
        self, method: str, path: str, endpoint: Endpoint, operation_id: str, *, row: type[BodySchema], **options: Any
    ) -> ShopRoute:
        bounds = Field(min_length=1, max_length=MAX_BULK)
        rows: TypeAdapter[Any] = TypeAdapter(
            Annotated[operation.list_of(row), bounds]  # type: ignore[arg-type]
        )
        body = Annotated[Any, ValidatedByEndpoint(rows), Body()]
        route = self.route(method, path, endpoint, operation_id, body=body, policy=self.writes, **options)
        route.reads_rows = True
        return route


def _refuse_repeated(rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise 422 for rows whose `id_key` stands twice in the request."""
    seen: set[int] = set()
    repeated = []
    for index, row in enumerate(rows):
        key = row.get("id_key")
        if key in seen:
            repeated.append(index)
        elif key is not None:
            seen.add(key)
    if repeated:
        message = "The same id_key stands twice in this request"
        raise RequestValidationError(
            [
                {"type": "value_error", "loc": ("body", index, "id_key"), "msg": message}
                for index in first_errors(repeated)
            ]
        )
