"""The health routes while all is well, and without Redis."""

import datetime as dt
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infrastructure.database.migrations import heads, named
from tests.contract.answers import assert_headers
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration


class TestHealthCheck:
    def test_reports_all_it_depends_on(self, client: httpx.Client) -> None:
        response = client.get("/health_check")
        assert response.status_code == 200
        assert_headers(response)
        report = response.json()
        assert set(report) == {"status", "timestamp", "ready", "not_ready", "checks"}
        assert (report["ready"], report["not_ready"]) == (True, [])
        assert set(report["checks"]) == {"database", "redis", "db_pool"}
        # On a busy machine the database may take its time, which is then told.
        worst = {check["health"] for check in report["checks"].values()}
        assert report["status"] in worst
        assert report["status"] == "healthy" or worst != {"healthy"}

    def test_tells_the_time(self, client: httpx.Client) -> None:
        timestamp = client.get("/health_check").json()["timestamp"]
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", timestamp)
        assert abs(dt.datetime.fromisoformat(timestamp) - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=10)

    def test_the_database(self, client: httpx.Client) -> None:
        check = client.get("/health_check").json()["checks"]["database"]
        assert set(check) == {"status", "health", "latency_ms", "thresholds"}
        assert check["status"] == "up"
        assert check["latency_ms"] > 0
        assert check["thresholds"] == {"warning_ms": 100, "critical_ms": 500}

    def test_redis(self, client: httpx.Client) -> None:
        check = client.get("/health_check").json()["checks"]["redis"]
        assert set(check) == {"status", "health", "latency_ms"}
        assert (check["status"], check["health"]) == ("up", "healthy")
        assert check["latency_ms"] > 0

    def test_the_pool(self, client: httpx.Client) -> None:
        pool = client.get("/health_check").json()["checks"]["db_pool"]
        assert set(pool) == {
            "health",
            "size",
            "checked_in",
            "checked_out",
            "overflow",
            "total_capacity",
            "utilization_percent",
            "thresholds",
            "threads",
            "lanes",
            "read_lanes",
        }
        kinds = [pool[name] for name in ("threads", "lanes", "read_lanes")]
        assert pool["thresholds"] == {"warning_percent": 70, "critical_percent": 90}
        assert pool["total_capacity"] == pool["size"] == sum(kind["size"] for kind in kinds) == 16
        assert pool["checked_out"] == sum(kind["in_use"] for kind in kinds) == 16 - pool["checked_in"]
        assert pool["overflow"] == 0
        percents = [100 * kind["blocked"] / kind["size"] for kind in kinds]
        assert pool["utilization_percent"] == round(max(percents), 1)

    def test_is_never_cached(self, client: httpx.Client) -> None:
        first = client.get("/health_check")
        time.sleep(0.002)
        second = client.get("/health_check")
        assert first.json()["timestamp"] != second.json()["timestamp"]
        assert "no-store" in first.headers["Cache-Control"]
        assert "X-Cache-Hit" not in first.headers


def test_live(client: httpx.Client) -> None:
    assert client.get("/health/live").status_code == 200


def test_ready(client: httpx.Client) -> None:
    assert client.get("/health/ready").status_code == 200


def test_version(client: httpx.Client) -> None:
    response = client.get("/version")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    found = response.json()
    assert found.keys() == {"release", "commit", "build_time", "schema_revision"}
    assert found["release"] == client.get("/openapi.json").json()["info"]["version"]
    assert found["schema_revision"] == named(heads())


class TestWithoutRedis:
    @pytest.fixture(scope="class")
    @classmethod
    def alone(cls, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
        """A client of a shop that was told to do without Redis."""
        folder: Path = tmp_path_factory.mktemp("alone")
        with shop_in_thread(environment_of(database_url, None, folder)) as url, httpx.Client(base_url=url) as client:
            yield client

    def test_switched_off_is_healthy(self, alone: httpx.Client) -> None:
        report = alone.get("/health_check").json()
        assert report["checks"]["redis"]["status"] == "disabled"
        assert report["checks"]["redis"]["health"] == "healthy"
        assert report["status"] != "degraded"

    def test_the_shop_serves_uncached(self, alone: httpx.Client) -> None:
        name = f"Uncached {time.time_ns()}"
        made = alone.post("/categories", json={"name": name})
        assert made.status_code == 201
        for _ in range(2):
            response = alone.get(made.headers["Location"])
            assert response.json()["name"] == name
            assert response.headers.get("X-Cache-Hit", "false") == "false"
