"""The cache as people at a prompt use it: plain JSON values."""

import asyncio
import pickle
from pathlib import Path

import pytest

from services.cache_service import CacheService
from tests.services.cached_worker import Worker

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


async def test_values_at_a_prompt(cache: CacheService) -> None:
    assert await cache.get("key") is None
    assert await cache.set("key", {"a": [1, None, "é"]}) is True
    assert await cache.get("key") == {"a": [1, None, "é"]}
    assert await cache.delete("key", "missing") == 1
    assert await cache.get("key") is None
    assert await cache.delete() == 0


async def test_a_value_expires(cache: CacheService) -> None:
    await cache.set("short", 1, ttl=0.05)
    await cache.set("long", 1, ttl=600)
    await asyncio.sleep(0.1)
    assert [await cache.get(key) for key in ("short", "long")] == [None, 1]


async def test_foreign_things_are_no_values_and_are_replaced(workers: tuple[Worker, Worker]) -> None:
    worker, _ = workers
    await worker.gateway.call("RPUSH", worker.gateway.key("list"), "a")
    await worker.gateway.call("SET", worker.gateway.key("pickle"), pickle.dumps([1]))

    for key in ("list", "pickle"):
        assert await worker.cache.get(key) is None
        assert await worker.cache.set(key, 1) is True
        assert await worker.cache.get(key) == 1


async def test_a_missing_value_is_loaded_once(cache: CacheService) -> None:
    loads = 0

    async def loader() -> dict[str, int]:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.01)
        return {"n": loads}

    assert await asyncio.gather(*(cache.get_or_set("key", loader) for _ in range(20))) == [{"n": 1}] * 20
    assert await cache.get_or_set("key", loader) == {"n": 1}
    assert await cache.get_or_set("plain", dict) == {}


async def test_a_null_is_a_value(cache: CacheService) -> None:
    await cache.set("key", None)

    assert await cache.get_or_set("key", dict) is None


async def test_a_pattern_deletes_what_it_matches_and_nothing_else(cache: CacheService) -> None:
    for n in range(1200):
        await cache.set(f"products:list:{n}", n)
    await cache.set("categories:list:1", 1)

    assert await cache.delete_pattern("products:*") == 1200
    assert await cache.get("categories:list:1") == 1


async def test_without_redis_a_prompt_gets_no_errors(tmp_path: Path) -> None:
    worker = Worker(f"unix://{tmp_path}/nobody.sock")

    assert await worker.cache.get("key") is None
    assert await worker.cache.set("key", 1) is False
    assert await worker.cache.delete("key") == 0
    assert await worker.cache.delete_pattern("*") == 0
    assert await worker.cache.get_or_set("key", dict) == {}
    await worker.close()
