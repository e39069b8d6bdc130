"""Health routes: the whole report, whether the process lives, and whether it can serve."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from config.release import RELEASE
from controllers.openapi.errors import error_response
from controllers.openapi.headers import EVERY_RESPONSE_HEADERS, header_references
from controllers.openapi.operation import Responses, service_responses
from controllers.policies import guard
from controllers.responses import json_response
from infrastructure.server.health_paths import LIVE, READY, REPORT, VERSION
from infrastructure.server.media_types import JSON
from middleware.errors import problem
from schemas.health import Alive, HealthReport, Ready, Version
from schemas.problem import CODES
from security.policy import OPEN
from services.health import HealthService

_EXAMPLE: dict[str, Any] = {
    "status": "healthy",
    "timestamp": "2026-11-16T10:00:00.123Z",
    "ready": True,
    "not_ready": [],
    "checks": {
        "database": {
            "status": "up",
            "health": "healthy",
            "latency_ms": 1.52,
            "thresholds": {"warning_ms": 100, "critical_ms": 500},
        },
        "redis": {"status": "up", "health": "healthy", "latency_ms": 0.31},
        "db_pool": {
            "health": "healthy",
            "size": 16,
            "checked_in": 15,
            "checked_out": 1,
            "overflow": 0,
            "total_capacity": 16,
            "utilization_percent": 16.7,
            "thresholds": {"warning_percent": 70, "critical_percent": 90},
            "threads": {"size": 6, "in_use": 1, "waiting": 0, "blocked": 1},
            "lanes": {"size": 6, "in_use": 0, "waiting": 0, "blocked": 0},
            "read_lanes": {"size": 4, "in_use": 0, "waiting": 0, "blocked": 0},
        },
    },
}
_VERSION_EXAMPLE = {
    "release": RELEASE,
    "commit": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
    "build_time": "2026-11-16T09:00:00Z",
    "schema_revision": "0048",
}
_NO_STORE = {"Cache-Control": "no-store"}


_DATABASE_DOWN: dict[str, Any] = {
    "description": "The database is down",
    "model": HealthReport,
    "headers": header_references(["Retry-After", *EVERY_RESPONSE_HEADERS]),
    "content": {JSON: {"example": {**_EXAMPLE, "status": "critical"}}},
}


def _responses(
    description: str, model: type[BaseModel], example: Any, unavailable: dict[str, Any] | None = None
) -> Responses:
    success = {"description": description, "model": model, "content": {JSON: {"example": example}}}
    others: Responses = {} if unavailable is None else {503: unavailable}
    return service_responses(success, (400, 413, 500), tuple(EVERY_RESPONSE_HEADERS), others)


_NOT_READY = error_response(
    503,
    [CODES[503]],
    headers=EVERY_RESPONSE_HEADERS,
    description="Not now: the database is away, or the process is about to stop",
)


class HealthController:
    """Outside the prefix of the API, never limited, never cached."""

    def routes(self) -> list[APIRoute]:
        router = APIRouter(tags=["health"])
        router.add_api_route(
            REPORT,
            self.report,
            operation_id="health_check",
            summary="The state of the shop and of what it depends on",
            responses=_responses("It serves", HealthReport, _EXAMPLE, _DATABASE_DOWN),
        )
        router.add_api_route(
            LIVE,
            self.live,
            operation_id="health_live",
            summary="Whether the process runs",
            responses=_responses("It runs", Alive, {"status": "alive"}),
        )
        router.add_api_route(
            READY,
            self.ready,
            operation_id="health_ready",
            summary="Whether it can serve",
            responses=_responses("It can", Ready, {"status": "ready"}, _NOT_READY),
        )
        router.add_api_route(
            VERSION,
            self.version,
            operation_id="version",
            summary="Which release runs",
            responses=_responses("The release, and the schema that it has found", Version, _VERSION_EXAMPLE),
        )
        return [guard(route, OPEN) for route in router.routes if isinstance(route, APIRoute)]

    async def report(self, request: Request) -> Response:
        """The database, Redis and the pool, each with its state and its figures; the worst of them is the shop's."""
        report = await _health(request).report(draining=request.app.state.resources.draining)
        down = report["checks"]["database"]["status"] == "down"
        return json_response(report, 503 if down else 200, _NO_STORE | ({"Retry-After": "1"} if down else {}))

    async def version(self, request: Request) -> Response:
        """The release, the commit and time of its build, as far as they are known, and the newest migration of the database."""
        return json_response(await _health(request).version(), headers=_NO_STORE)

    async def live(self) -> Response:
        """Asks nothing of the database: a shop that lives without one is not to be restarted."""
        return json_response({"status": "alive"}, headers=_NO_STORE)

    async def ready(self, request: Request) -> Response:
        """The database is there with its tables, and the process is not about to stop."""
        reasons = await _health(request).not_ready(draining=request.app.state.resources.draining)
        if reasons:
            headers, extra = _NO_STORE | {"Retry-After": "1"}, {"not_ready": reasons}
            return problem(request.scope, 503, "Not ready to serve", headers=headers, extra=extra)
        return json_response({"status": "ready"}, headers=_NO_STORE)


def _health(request: Request) -> HealthService:
    health: HealthService = request.app.state.health
    return health
