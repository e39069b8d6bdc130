"""Routes of events: the next ones of a reader, and each by its id."""

import re
from collections.abc import Callable, Set
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BeforeValidator, WithJsonSchema
from starlette.responses import JSONResponse, Response, StreamingResponse

from controllers.base import executor_of
from controllers.event_stream import MEDIA_TYPE, EventStream
from controllers.event_waits import awaited_page
from controllers.openapi.headers import IF_NONE_MATCH, LAST_EVENT_ID
from controllers.openapi.operation import Responses, account_responses, list_of, responses
from controllers.openapi.parameters import plain_parameters
from controllers.policies import may_go_on, principal_of
from controllers.responses import digest
from controllers.routing import ShopRoute, parse_query
from events.hub import EventHub
from events.reader import EventReader
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.server.media_types import JSON
from middleware.cache_control import NO_STORE
from middleware.conditional_response import conditional_response
from schemas.event import EventQuery, EventRead, EventStreamQuery, event_json, events_json
from schemas.json_codec import to_json
from schemas.json_schema import MAX_KEY
from security.policy import needs
from services.event import FIELDS, EventService

_POLICY = needs("events:read", or_own=True)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
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
                f"{self._path}/stream",
                self.stream_events,
                "stream_events",
                "Events as they happen",
                query_fields=EventStreamQuery.model_fields.keys(),
                response_class=StreamingResponse,
                openapi_options=lambda: {
                    "responses": _stream_responses(),
                    "openapi_extra": {"parameters": [*plain_parameters(EventStreamQuery), LAST_EVENT_ID]},
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
        response_class: type[Response] = JSONResponse,
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
            response_class=response_class,
        )

    async def list_events(self, request: Request) -> Response:
        """In the order of their sequences. `X-Next-After` is the `after` of the next call, which then misses nothing.

        Sequences have gaps. With `wait`, an answer without events comes only after that time, and any other at once.
        """
        query: EventQuery = parse_query(request, EventQuery)
        selection = EventService(principal_of(request)).selection(query)
        page = await awaited_page(request, _hub(request), _reader(request), selection, query)
        headers = {"Cache-Control": NO_STORE.decode(), "X-Next-After": str(page.reached)}
        return Response(events_json(FIELDS, page.rows), 200, headers, media_type=JSON)

    async def stream_events(self, request: Request) -> Response:
        """Server-sent events: `id` is the sequence, `event` the type, `data` the event as JSON in one line.

        A client that was cut off goes on with `Last-Event-ID`, as browsers do by themselves. A comment every 15 seconds
        shows that the connection lives. The stream ends when the token does.
        """
        query: EventStreamQuery = parse_query(request, EventStreamQuery)
        last = _last_event_id(request)
        return EventStream(
            _hub(request),
            _reader(request),
            EventService(principal_of(request)).selection(query),
            query.after if last is None else last,
            drain_seconds=request.app.state.resources.settings.drain_seconds,
            may_go_on=partial(may_go_on, request),
        )

    async def get_event(self, request: Request, id: EventId) -> Response:
        """As it was when it happened: an event never changes. It is there once it has its sequence."""
        await _reader(request).number()
        row = await executor_of(request).read(EventService(principal_of(request)).row(id))
        body = event_json(FIELDS, row) + b"\n"
        return await conditional_response(request.scope, RenderedResponse(body, f'"{digest(body)}"'))


def _last_event_id(request: Request) -> int | None:
    """The last event that the client has seen. Raises 422 for what this shop cannot have sent."""
    text = request.headers.get("last-event-id", "").strip()
    if not text:
        return None
    if not _DIGITS.fullmatch(text):
        error = {
            "type": "value_error",
            "loc": ("header", "Last-Event-ID"),
            "msg": "must be the id of an event of the stream",
        }
        raise RequestValidationError([error])
    return min(int(text), MAX_KEY)


def _stream_responses() -> Responses:
    documented = account_responses("GET", 200, None, None)
    documented[200]["description"] = "A stream without end"
    example = f"id: 42\nevent: product.price_changed\ndata: {to_json(_EXAMPLE).decode()}\n\n"
    documented[200]["content"] = {MEDIA_TYPE: {"schema": {"type": "string"}, "example": example}}
    return documented


def _hub(request: Request) -> EventHub:
    hub: EventHub = request.app.state.event_hub
    return hub


def _reader(request: Request) -> EventReader:
    reader: EventReader = request.app.state.events
    return reader
