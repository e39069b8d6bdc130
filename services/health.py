"""How the shop feels: the database, Redis, the pool, and the worst of them."""

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from config.database import Database
from config.redis_config import RedisGateway

log = logging.getLogger("shop.health")

# Shorter than the two seconds within which an answer is promised.
PROBE_SECONDS = 1.5
LATENCY = {"warning_ms": 100, "critical_ms": 500}
UTILIZATION = {"warning_percent": 70, "critical_percent": 90}
_FROM_BEST_TO_WORST = ("healthy", "warning", "degraded", "critical")


class HealthService:
    """Looks at what one worker depends on. A probe that hangs is not started twice."""

    def __init__(self, database: Database, gateway: RedisGateway) -> None:
        self.database = database
        self.gateway = gateway
        self._probes: dict[str, asyncio.Task[Any]] = {}

    async def report(self) -> dict[str, Any]:
        """The whole report. `status` is the worst of the checks."""
        database, redis = await asyncio.gather(self._database(), self._redis())
        checks = {"database": database, "redis": redis, "db_pool": self._pool()}
        worst = max((check["health"] for check in checks.values()), key=_FROM_BEST_TO_WORST.index)
        return {"status": worst, "timestamp": _now(), "checks": checks}

    async def is_ready(self) -> bool:
        """Whether requests can be served: the database answers, with every migration of this code."""
        schema = await self._probe("ready", self.database.schema)
        return schema is not None and schema.has_every_migration

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
        usage = self.database.pool_usage()
        percent = round(100 * usage["checked_out"] / usage["total_capacity"], 1)
        health = _graded(percent, UTILIZATION["warning_percent"], UTILIZATION["critical_percent"])
        return {"health": health, **usage, "utilization_percent": percent, "thresholds": UTILIZATION}

    async def _probe(self, name: str, probe: Callable[[], Awaitable[Any]]) -> Any:
        """What the probe says; None when it fails or takes too long."""
        task = self._probes.get(name)
        if task is None or task.done():
            task = self._probes[name] = asyncio.ensure_future(_caught(name, probe))
        try:
            return await asyncio.wait_for(asyncio.shield(task), PROBE_SECONDS)
        except TimeoutError:
            return None


async def _caught(name: str, probe: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await probe()
    except Exception as error:
        # Whatever the reason, the answer is "down"; polled every few seconds, it must not fill the log.
        log.debug("The %s probe failed: %s", name, error)
        return None


def _graded(value: float, warning: float, critical: float) -> str:
    if value >= critical:
        return "critical"
    return "warning" if value >= warning else "healthy"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
