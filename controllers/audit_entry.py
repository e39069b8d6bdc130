"""Routes of the audit trail, which are for reading only."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from controllers.base import BaseController, executor_of
from controllers.reads import FreshRead
from controllers.responses import tagged_row
from controllers.routing import RowId, only_reads, parse_query
from infrastructure.cache.rendered_response import RenderedResponse
from schemas.audit_entry import AuditEntryQuery, AuditEntryRead
from schemas.base import Create, Update
from schemas.json_codec import json_body
from security.policy import needs
from services.audit_entry import AuditEntryService


class AuditEntryController(BaseController):
    reads = writes = needs("audit:read")
    service = AuditEntryService
    # Nobody writes an entry, so that no body has fields.
    create_schema, update_schema = Create, Update
    read_schema, query_schema = AuditEntryRead, AuditEntryQuery  # type: ignore[assignment]
    example = {
        "id_key": 1,
        "at": "2026-11-16T10:00:00.123456Z",
        "actor": "user:7",
        "action": "patch_product",
        "resource": "products",
        "resource_id": 1,
        "changes": {"price": [39.99, 34.99]},
        "request_id": "0b1d8b1e-6c1c-4b5e-9d0a-3f5f6a1f2c3d",
        "address": "203.0.113.7",
    }

    def routes(self) -> list[APIRoute]:
        return only_reads(super().routes())

    def row_example(self) -> dict[str, Any]:
        return self.example

    async def get_row(self, request: Request, id_key: RowId) -> Response:
        """One entry."""
        query = parse_query(request, AuditEntryQuery)

        def rendered(row: Sequence[Any]) -> RenderedResponse:
            content = dict(zip(self.fields, row, strict=True))
            return tagged_row(json_body(query.shown(content)), content["id_key"], content["at"])

        return await self.respond(
            request, FreshRead(executor_of(request), self.service.row_query(id_key, self.fields).map(rendered))
        )
