"""The responses of the health routes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

Health = Literal["healthy", "warning", "degraded", "critical"]
Milliseconds = Annotated[float | None, Field(ge=0, description="None while there is no answer")]
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]


class LatencyThresholds(BaseModel):
    """From how many milliseconds on the latency is a warning, and critical."""

    warning_ms: float = Field(ge=0)
    critical_ms: float = Field(ge=0)


class UsageThresholds(BaseModel):
    """From how many percent on the usage is a warning, and critical."""

    warning_percent: Percent
    critical_percent: Percent


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


class Connections(BaseModel):
    """The connections of one pool: their limit, those in use, requests that wait, and those in use for long."""

    size: Count
    in_use: Count
    waiting: Count
    blocked: Count


class PoolCheck(BaseModel):
    """The connections to PostgreSQL that requests can use in this worker, of all pools, and those in use.

    `utilization_percent` is that of the busiest pool; in `lanes` and `read_lanes` a connection counts when its statement
    takes long.
    """

    health: Health
    size: Count
    checked_in: Count
    checked_out: Count
    overflow: Count
    total_capacity: Count
    utilization_percent: Percent
    thresholds: UsageThresholds
    threads: Connections
    lanes: Connections
    read_lanes: Connections


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


class Version(BaseModel):
    """Which release runs."""

    release: str
    commit: Annotated[
        str | None, Field(description="None of a copy without its repository, unless BUILD_COMMIT says it")
    ]
    build_time: Annotated[datetime | None, Field(description="As BUILD_TIME says")]
    schema_revision: Annotated[str | None, Field(description="None while the database does not answer")]


class HealthReport(BaseModel):
    """The state of the shop: the worst of its checks."""

    status: Health
    timestamp: datetime
    ready: Annotated[bool, Field(description="As /health/ready has it")]
    not_ready: Annotated[list[str], Field(description="Why not, one sentence each")]
    checks: Checks
