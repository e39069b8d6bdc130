"""Health checks: the database, Redis, the pool, and the worst of them."""

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from config.release import Build
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.single_flight import SingleFlight
from infrastructure.database.engine import Database
from infrastructure.database.migrations import heads, named

log = logging.getLogger("shop.health")

# Shorter than the two seconds within which a response is promised.
PROBE_SECONDS = 1.5
LATENCY = {"warning_ms": 100, "critical_ms": 500}
UTILIZATION = {"warning_percent": 70, "critical_percent": 90}
_FROM_BEST_TO_WORST = ("healthy", "warning", "degraded", "critical")


class HealthService:
    """Probes what one worker depends on. A probe that hangs is not started twice."""

    def __init__(self, database: Database, gateway: RedisGateway, build: Build) -> None:
        self._build = build
        self.database = database
        self.gateway = gateway
        self._probes = SingleFlight()

    async def report(self, *, draining: bool = False) -> dict[str, Any]:
        """The whole report. `status` is the worst of the checks."""
        database, redis, missing = await asyncio.gather(
            self._database(), self._redis(), self.not_ready(draining=draining)
        )
        checks = {"database": database, "redis": redis, "db_pool": self._pool()}
        worst = max((check["health"] for check in checks.values()), key=_FROM_BEST_TO_WORST.index)
        return {"status": worst, "timestamp": _now(), "ready": not missing, "not_ready": missing, "checks": checks}

    async def version(self) -> dict[str, Any]:
        """The build that runs, and where the database stands among the migrations."""
        state = await self._probe("ready", self.database.state)
        schema = None if state is None else state[0]
        return {**asdict(self._build), "schema_revision": None if schema is None else schema.name}

    async def not_ready(self, *, draining: bool) -> list[str]:
        """Why no request should be sent here; empty when the database responds, takes writes, and has every migration
        of this release.
        """
        state = await self._probe("ready", self.database.state)
        reasons = ["The process is about to stop"] if draining else []
        if state is None:
            return [*reasons, "The database is away"]
        schema, is_read_only = state
        if schema is not None and not schema.has_every_migration:
            reasons.append(f"The database is at revision {schema.name}, and this release needs {named(heads())}")
        if is_read_only:
            reasons.append("The database is read-only")
        return reasons

    async def _database(self) -> dict[str, Any]:
        latency = await self._probe("database", self.database.ping)
        if latency is None:
            return {"status": "down", "health": "critical", "latency_ms": None, "thresholds": LATENCY}
        health = _graded(latency, LATENCY["warning_ms"], LATENCY["critical_ms"])
        return {"status": "up", "health": health, "latency_ms": round(latency, 2), "thresholds": LATENCY}

    async def _redis(self) -> dict[str, Any]:
        if not self.gateway.enabled:
            return {"status": "disabled", "health": "healthy", "latency_ms": None}
        latency = await self._probe("redis", self.gateway.ping)
        if latency is None:
            return {"status": "down", "health": "degraded", "latency_ms": None}
        return {"status": "up", "health": "healthy", "latency_ms": round(latency, 2)}

    def _pool(self) -> dict[str, Any]:
        """The connections of all kinds. The utilization is that of the kind used most: a free connection of the async pool
        is of no use to a thread.
        """
        usage = self.database.usage()
        size, in_use = (sum(getattr(one, name) for one in usage.values()) for name in ("size", "in_use"))
        percent = round(max(one.percent for one in usage.values()), 1)
        return {
            "health": _graded(percent, UTILIZATION["warning_percent"], UTILIZATION["critical_percent"]),
            "size": size,
            "checked_in": size - in_use,
            "checked_out": in_use,
            "overflow": 0,
            "total_capacity": size,
            "utilization_percent": percent,
            "thresholds": UTILIZATION,
            **{name: asdict(one) for name, one in usage.items()},
        }

    async def _probe(self, name: str, probe: Callable[[], Awaitable[Any]]) -> Any:
        """The result of the probe; None when it fails or takes too long."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._probes.result(name, partial(_caught, name, probe))
        except TimeoutError:
            return None


async def _caught(name: str, probe: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await probe()
    except Exception as error:
        # Whatever the reason, the check is "down". It is polled every few seconds and must not fill the log.
        log.debug("The %s probe failed: %s", name, error)
        return None


def _graded(value: float, warning: float, critical: float) -> str:
    if value >= critical:
        return "critical"
    return "warning" if value >= warning else "healthy"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
