"""A Redis that refuses the shop for good: a cluster, and a user without a permission. Debian's Redis 7, and Valkey."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from config.settings import PROJECT_ROOT
from infrastructure.cache import gateway as module
from infrastructure.cache.gateway import RedisUnavailable, Script
from services.cache_service import CacheService
from tests.log_records import records_of
from tests.services.cached_worker import Worker, eventually
from tests.shop import reserved_port
from tests.valkey import Valkey

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

PATIENT = 5.0
ACL_LINE = "user shop"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def quick_probes(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)
    caplog.set_level(logging.INFO, "shop.redis")


@pytest.fixture(params=["valkey", "redis-server"])
def program(request: pytest.FixtureRequest) -> str | None:
    if request.param == "valkey":
        return None
    path = shutil.which("redis-server")
    if path is None:
        pytest.skip("redis-server is not installed")
    return path


@pytest.fixture
def server(program: str | None, tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path, program) as server:
        yield server


@pytest.fixture
def cluster(program: str | None, tmp_path: Path) -> Iterator[Valkey]:
    """A cluster of one node, which has all slots."""
    with (
        reserved_port() as port,
        reserved_port() as bus,
        Valkey(
            tmp_path, program, cluster_enabled="yes", port=str(port), cluster_port=str(bus), bind="127.0.0.1"
        ) as server,
    ):
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                pass
        yield server


@asynccontextmanager
async def worker_on(url: str) -> AsyncIterator[Worker]:
    worker = Worker(url)
    try:
        yield worker
    finally:
        await worker.close()


def documented_user() -> str:
    """The ACL of docs/operations.md, as one line of an ACL file."""
    lines = (PROJECT_ROOT / "docs/operations.md").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(ACL_LINE))
    return line


def set_user(server: Valkey, rules: str) -> str:
    """The URL of the user with these rules."""
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(
            "ACL", "SETUSER", *rules.removeprefix("user ").replace("a-long-password", "secret").split()
        )
    return server.url.replace("unix://", "unix://shop:secret@")


async def stay_away(worker: Worker) -> None:
    """Let a few probes pass."""
    for _ in range(10):
        await worker.read()
        assert not worker.gateway.available
        with pytest.raises(RedisUnavailable):
            await worker.gateway.ping()
        await asyncio.sleep(module.PROBE_SECONDS)


async def test_a_cluster_is_refused_in_one_line(cluster: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    async with worker_on(cluster.url) as worker:
        await worker.cache.start()
        await stay_away(worker)
    (record,) = [record for record in records_of(caplog, "shop.redis") if record.levelno >= logging.WARNING]
    assert record.message.endswith(
        "it is a Redis Cluster; name a Redis or Valkey that is not one in REDIS_URL, or set REDIS_ENABLED=false"
    )


async def test_the_health_check_finds_a_cluster(cluster: Valkey) -> None:
    async with worker_on(cluster.url) as worker:
        with pytest.raises(RedisUnavailable):
            await worker.gateway.ping()


@pytest.mark.parametrize(
    "rules",
    [
        "user shop on >secret ~shop:{shop:}tag:* ~shop:{shop:}probe +@all",
        "user shop on >secret ~other:* +@all",
        "user shop on >secret ~* +@all -unlink",
        "user shop on >secret ~* +@all -mget",
        "user shop on >secret ~* +@read +@connection +set +evalsha +eval",
    ],
)
async def test_a_user_without_a_permission_stays_away_until_it_has_it(
    server: Valkey, caplog: pytest.LogCaptureFixture, rules: str
) -> None:
    async with worker_on(set_user(server, rules)) as worker:
        await worker.read()
        await worker.read()
        await stay_away(worker)
        (record,) = records_of(caplog, "shop.redis")
        assert "docs/operations.md names the permissions" in record.message

        set_user(server, "user shop ~* +@all")

        async def is_hit() -> bool:
            return (await worker.read())[1]

        await eventually(is_hit)
    assert [record.levelname for record in records_of(caplog, "shop.redis")] == ["WARNING", "INFO"]


async def test_the_documented_permissions_are_enough(server: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    async with worker_on(set_user(server, documented_user())) as worker:
        await worker.cache.start()
        assert [(await worker.read())[1] for _ in range(3)] == [False, True, True]
        await worker.write()
        assert (await worker.read())[1] is False
        await worker.gateway.ping()
        await worker.gateway.call("INFO", "server")
        assert await worker.gateway.run(Script("return redis.call('INCRBY', KEYS[1], 1)"), ["ratelimit:1"]) == 1
        await use_the_prompt(worker.cache)
    assert records_of(caplog, "shop.redis", "shop.cache") == []


async def use_the_prompt(cache: CacheService) -> None:
    assert await cache.set("products:1", 1) is True
    assert await cache.get("products:1") == 1
    assert await cache.delete_pattern("products:*") > 0
