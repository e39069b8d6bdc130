"""The metrics route: the counters of all workers, in the text format of Prometheus."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from controllers.openapi.operation import LIMITED_HEADERS, service_responses
from controllers.policies import guard
from infrastructure.observability.metrics import Metrics
from security.policy import OPEN, needs
from services.queue_figures import QueueFigures, queue_figures

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS = {"Cache-Control": "no-store", "Content-Type": _TEXT}
_EXAMPLE = 'http_requests_total{route="/products/{id_key}",method="GET",status="200"} 42.0'


class MetricsController:
    """Below the prefix, and limited, unlike the health routes. `is_open` lets a scraper in without credentials."""

    def __init__(self, prefix: str = "", *, is_open: bool = False) -> None:
        self._prefix, self._path = prefix, f"{prefix}/metrics"
        self._policy = OPEN if is_open else needs("metrics:read")

    def routes(self) -> list[APIRoute]:
        router = APIRouter(tags=["service"])
        success = {
            "description": "The counters",
            "content": {_TEXT: {"schema": {"type": "string"}, "example": _EXAMPLE}},
        }
        router.add_api_route(
            self._path,
            self.scrape,
            operation_id="metrics",
            summary="The counters, for Prometheus",
            response_class=Response,
            responses=service_responses(success, (400, 413, 429, 500), LIMITED_HEADERS),
        )
        return [guard(route, self._policy) for route in router.routes if isinstance(route, APIRoute)]

    async def scrape(self, request: Request) -> Response:
        """What all workers have counted since the start, and what the queue of jobs holds: 10000 means that or more."""
        resources = request.app.state.resources
        # This worker records its state now; the others did so a second ago at most.
        resources.record_state()
        queue = await queue_figures(resources.database)
        # In a thread, because it reads files, and the first scrape imports a library.
        text = await asyncio.to_thread(_rendered, resources.metrics, request.app.version, self._prefix, queue)
        return Response(text, headers=_HEADERS)


def _rendered(metrics: Metrics, version: str, prefix: str, queue: QueueFigures | None) -> bytes:
    # Imported by the first scrape: a library of 20 ms and 1.3 MB that a shop without monitoring never needs.
    from infrastructure.observability.exposition import Facts, exposition

    figures = {} if queue is None else queue._asdict()
    known = {name: number for name, number in figures.items() if number is not None}
    return exposition(metrics, Facts(version, prefix, known or None))
