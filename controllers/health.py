"""What operations poll: the whole report, whether the process lives, and whether it can serve."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from controllers import documentation
from controllers.answers import json_response
from middleware.errors import problem
from schemas.health import Alive, HealthReport, Ready
from services.health import HealthService

_EXAMPLE: dict[str, Any] = {
    "status": "healthy",
    "timestamp": "2026-11-16T10:00:00.123Z",
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
            "size": 6,
            "checked_in": 5,
            "checked_out": 1,
            "overflow": 0,
            "total_capacity": 16,
            "utilization_percent": 6.3,
            "thresholds": {"warning_percent": 70, "critical_percent": 90},
        },
    },
}
_NO_STORE = {"Cache-Control": "no-store"}


_DATABASE_DOWN: dict[str, Any] = {
    "description": "The database is down",
    "model": HealthReport,
    "headers": {"Retry-After": {"$ref": "#/components/headers/Retry-After"}},
}


def _answers(description: str, model: type[BaseModel], example: Any) -> dict[int | str, dict[str, Any]]:
    success = {"description": description, "model": model, "content": {"application/json": {"example": example}}}
    return {200: success, **{error: documentation.error_answer(error) for error in (400, 413, 500)}}


class HealthController:
    """Outside the prefix of the API, never limited, never cached."""

    def routes(self) -> list[APIRoute]:
        router = APIRouter(tags=["health"])
        router.add_api_route(
            "/health_check",
            self.report,
            operation_id="health_check",
            summary="The state of the shop and of what it depends on",
            responses=_answers("It serves", HealthReport, _EXAMPLE) | {503: _DATABASE_DOWN},
        )
        router.add_api_route(
            "/health/live",
            self.live,
            operation_id="health_live",
            summary="Whether the process runs",
            responses=_answers("It runs", Alive, {"status": "alive"}),
        )
        router.add_api_route(
            "/health/ready",
            self.ready,
            operation_id="health_ready",
            summary="Whether it can serve",
            responses=_answers("It can", Ready, {"status": "ready"})
            | {503: documentation.error_answer(503, "Not now: the database is away, or the process is about to stop")},
        )
        return [route for route in router.routes if isinstance(route, APIRoute)]

    async def report(self, request: Request) -> Response:
        report = await _health(request).report()
        down = report["checks"]["database"]["status"] == "down"
        return json_response(report, 503 if down else 200, _NO_STORE | ({"Retry-After": "1"} if down else {}))

    async def live(self) -> Response:
        return json_response({"status": "alive"}, headers=_NO_STORE)

    async def ready(self, request: Request) -> Response:
        if request.app.state.worker.draining or not await _health(request).is_ready():
            return problem(request.scope, 503, "Not ready to serve", headers=_NO_STORE | {"Retry-After": "1"})
        return json_response({"status": "ready"}, headers=_NO_STORE)


def _health(request: Request) -> HealthService:
    health: HealthService = request.app.state.health
    return health
