"""What operations poll: the whole report, whether the process lives, and whether it can serve."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response

from middleware.errors import problem
from schemas.problem import Problem
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
_SCHEMA = {"type": "object", "required": ["status", "timestamp", "checks"]}
_NO_STORE = {"Cache-Control": "no-store"}


class HealthController:
    """Outside the prefix of the API, never limited, never cached."""

    def routes(self) -> list[APIRoute]:
        router = APIRouter(tags=["health"])
        report = {"application/json": {"schema": _SCHEMA, "example": _EXAMPLE}}
        router.add_api_route(
            "/health_check",
            self.report,
            operation_id="health_check",
            summary="The state of the shop and of what it depends on",
            responses={
                200: {"description": "It serves", "content": report},
                503: {"description": "The database is down", "content": report},
            },
        )
        alive: dict[int | str, dict[str, Any]] = {
            200: {"content": {"application/json": {"example": {"status": "alive"}}}}
        }
        router.add_api_route(
            "/health/live", self.live, operation_id="health_live", summary="Whether the process runs", responses=alive
        )
        ready: dict[int | str, dict[str, Any]] = {
            200: {"content": {"application/json": {"example": {"status": "ready"}}}},
            503: {
                "description": "Not now",
                "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
            },
        }
        router.add_api_route(
            "/health/ready", self.ready, operation_id="health_ready", summary="Whether it can serve", responses=ready
        )
        return [route for route in router.routes if isinstance(route, APIRoute)]

    async def report(self, request: Request) -> Response:
        report = await _health(request).report()
        down = report["checks"]["database"]["status"] == "down"
        return JSONResponse(report, 503 if down else 200, _NO_STORE | ({"Retry-After": "1"} if down else {}))

    async def live(self) -> Response:
        return JSONResponse({"status": "alive"}, headers=_NO_STORE)

    async def ready(self, request: Request) -> Response:
        if request.app.state.worker.draining or not await _health(request).is_ready():
            return problem(request.scope, 503, "Not ready to serve", headers=_NO_STORE | {"Retry-After": "1"})
        return JSONResponse({"status": "ready"}, headers=_NO_STORE)


def _health(request: Request) -> HealthService:
    health: HealthService = request.app.state.health
    return health
