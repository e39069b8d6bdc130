"""Routes of events: the next ones of a reader, and each by its id."""

import re
from collections.abc import Callable, Set
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request
from fastapi.routing import APIRoute
from pydantic import BeforeValidator, WithJsonSchema
from starlette.responses import Response

from controllers.base import executor_of
from controllers.openapi.headers import IF_NONE_MATCH
from controllers.openapi.operation import account_responses, list_of, responses
from controllers.openapi.parameters import plain_parameters
from controllers.policies import principal_of
from controllers.responses import digest
from controllers.routing import ShopRoute, parse_query
from events.reader import EventReader
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.server.media_types import JSON
from middleware.cache_control import NO_STORE
from middleware.conditional_response import conditional_response
from schemas.event import EventQuery, EventRead, event_json, events_json
from security.policy import needs
from services.event import FIELDS, EventService

_POLICY = needs("events:read", or_own=True)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_EXAMPLE = {
    "id": "019a8c5e-7d4b-7c1e-9f62-3b1f0a6c2d11",
    "sequence": 42,
    "type": "product.price_changed",
    "resource": "products",
    "resource_id": 1,
    "occurred_at": "2026-11-16T10:00:00.123456Z",
    "actor": "user:7",
    "request_id": "0b1d8b1e-6c1c-4b5e-9d0a-3f5f6a1f2c3d",
    "trace_parent": None,
    "data": {"id_key": 1, "old_price": 39.99, "price": 34.99},
}


def _plain_uuid(value: Any) -> Any:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("must be a UUID")
    return UUID(value)


EventId = Annotated[
    UUID,
    BeforeValidator(_plain_uuid),
    WithJsonSchema({"type": "string", "format": "uuid"}),
    Path(description="The id of the event", openapi_examples={"event": {"value": _EXAMPLE["id"]}}),
]


class EventController:
    """Events over HTTP: for reading only."""

    def __init__(self, prefix: str = "") -> None:
        self._path = f"{prefix}/events"

    def routes(self) -> list[APIRoute]:
        return [
            self._route(
                self._path,
                self.list_events,
                "list_events",
                "The next events of a reader",
                query_fields=EventQuery.model_fields.keys(),
                openapi_options=lambda: {
                    "responses": account_responses(
                        "GET", 200, list_of(EventRead), [_EXAMPLE], headers=["X-Next-After"]
                    ),
                    "openapi_extra": {"parameters": plain_parameters(EventQuery)},
                },
            ),
            self._route(
                f"{self._path}/{{id}}",
                self.get_event,
                "get_event",
                "Get one event",
                openapi_options=lambda: {
                    "responses": responses("GET", 200, EventRead, _EXAMPLE, row_in_path=True),
                    "openapi_extra": {"parameters": [IF_NONE_MATCH]},
                },
            ),
        ]

    @staticmethod
    def _route(
        path: str,
        endpoint: Callable[..., Any],
        name: str,
        summary: str,
        *,
        openapi_options: Callable[[], dict[str, Any]],
        query_fields: Set[str] = frozenset(),
    ) -> ShopRoute:
        return ShopRoute(
            path,
            endpoint,
            methods=["GET"],
            operation_id=name,
            name=name,
            tags=["events"],
            response_model=None,
            policy=_POLICY,
            query_fields=query_fields,
            openapi_options=openapi_options,
            summary=summary,
        )

    async def list_events(self, request: Request) -> Response:
        """In the order of their sequences. `X-Next-After` is the `after` of the next call, which then misses nothing.

        Sequences have gaps.
        """
        query: EventQuery = parse_query(request, EventQuery)
        selection = EventService(principal_of(request)).selection(query)
        page = await _reader(request).read(selection, query.after, query.limit)
        headers = {"Cache-Control": NO_STORE.decode(), "X-Next-After": str(page.reached)}
        return Response(events_json(FIELDS, page.rows), 200, headers, media_type=JSON)

    async def get_event(self, request: Request, id: EventId) -> Response:
        """As it was when it happened: an event never changes. It is there once it has its sequence."""
        await _reader(request).number()
        row = await executor_of(request).read(EventService(principal_of(request)).row(id))
        body = event_json(FIELDS, row) + b"\n"
        return await conditional_response(request.scope, RenderedResponse(body, f'"{digest(body)}"'))


def _reader(request: Request) -> EventReader:
    reader: EventReader = request.app.state.events
    return reader
