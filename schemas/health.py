"""What operations are told about the state of the shop."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

Health = Literal["healthy", "warning", "degraded", "critical"]
Milliseconds = Annotated[float | None, Field(ge=0, description="None while there is no answer")]
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]


class LatencyThresholds(BaseModel):
    """From how many milliseconds on the latency is a warning, and critical."""

    warning_ms: float
    critical_ms: float


class UsageThresholds(BaseModel):
    """From how many percent on the usage is a warning, and critical."""

    warning_percent: float
    critical_percent: float


class DatabaseCheck(BaseModel):
    """Whether PostgreSQL answers, and how fast."""

    status: Literal["up", "down"]
    health: Health
    latency_ms: Milliseconds
    thresholds: LatencyThresholds


class RedisCheck(BaseModel):
    """Whether Redis answers, and how fast."""

    status: Literal["up", "down", "disabled"]
    health: Health
    latency_ms: Milliseconds


class PoolCheck(BaseModel):
    """How many connections to PostgreSQL this worker has, and how many of them are in use."""

    health: Health
    size: Count
    checked_in: Count
    checked_out: Count
    overflow: Count
    total_capacity: Count
    utilization_percent: Percent
    thresholds: UsageThresholds


class Checks(BaseModel):
    """What the shop depends on."""

    database: DatabaseCheck
    redis: RedisCheck
    db_pool: PoolCheck


class Alive(BaseModel):
    """The process runs."""

    status: Literal["alive"]


class Ready(BaseModel):
    """The shop can serve."""

    status: Literal["ready"]


class HealthReport(BaseModel):
    """The state of the shop: the worst of its checks."""

    status: Health
    timestamp: datetime
    checks: Checks
