"""The cache when Redis is away, slow, full of garbage, or has not received an invalidation."""

import asyncio
import pickle
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from infrastructure.cache import gateway as gateway_module
from infrastructure.cache.entries import Entry
from infrastructure.cache.epoch import CacheEpoch
from infrastructure.cache.gateway import CALL_SECONDS, RedisGateway, RedisUnavailable
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.seal import SEAL_BYTES, Seal
from infrastructure.cache.tags import Invalidation
from services.cache_service import CacheService
from tests.bounds import Bounds
from tests.redis_proxy import RedisProxy
from tests.services.cached_worker import TAGS, Worker, eventually
from tests.valkey import Valkey

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.mark.parametrize(
    "plant",
    [
        ["SET", "{key}", b"\x00\xffgarbage"],
        ["SET", "{key}", b""],
        ["SET", "{key}", b"[]\n{}"],
        ["SET", "{key}", b'{"tag_values":["a","b"],"etag":"x","headers":{}}\nevil'],
        ["SET", "{key}", b'{"tag_values":{},"etag":"x","headers":{},"complete_to":null}\nevil'],
        ["SET", "{key}", pickle.dumps({"a": 1})],
        ["HSET", "{key}", "field", "value"],
        ["RPUSH", "{key}", "a", "b"],
        ["HSET", "tag:products", "field", "value"],
        ["SET", "tag:products", b"\xff\n\x00"],
    ],
)
async def test_what_others_write_is_a_miss_and_is_replaced(
    workers: tuple[Worker, Worker], plant: list[str | bytes]
) -> None:
    """F11, I15."""
    worker, other = workers
    await worker.read()
    planted = [part.replace("{key}", "products:list") if isinstance(part, str) else part for part in plant]
    planted[1] = worker.gateway.key(str(planted[1]))
    await worker.gateway.call("DEL", planted[1])
    await worker.gateway.call(*planted)

    assert await worker.read() == (Worker.database, False)
    assert await other.read() == (Worker.database, True)
    assert worker.gateway.available


OF_ANOTHER_MAKE: list[dict[str, Any]] = [
    {"etag": 1},
    {"etag": "\u20ac"},
    {"etag": '"a"\r\nSet-Cookie: evil=1'},
    {"headers": []},
    {"headers": {"X-Total-Count": 1}},
    {"headers": {"X-Total-Count": "many"}},
    {"headers": {"X-Total-Count": "1\r\nSet-Cookie: evil=1"}},
    {"headers": {"X-Total-Count": "1", "Set-Cookie": "evil=1"}},
    {"headers": {"Link": "\u20ac"}},
    {"tag_values": None},
    {"tag_values": {}},
    {"complete_to": "9"},
    {"complete_to": 9.5},
]


@pytest.mark.parametrize("change", OF_ANOTHER_MAKE)
@pytest.mark.parametrize("is_sealed", [False, True])
async def test_an_entry_in_another_format_is_a_miss(
    workers: tuple[Worker, Worker], change: dict[str, Any], is_sealed: bool
) -> None:
    """Without the seal of the shop, and with it: even who knows the secret cannot have other headers sent."""
    worker, other = workers
    await worker.read()
    entry: bytes = await worker.gateway.call("GET", worker.gateway.key("products:list"))
    line, _, body = entry[SEAL_BYTES:].partition(b"\n")
    content = orjson.dumps({**orjson.loads(line), **change}) + b"\n" + body
    planted = Seal(b"").put_on("products:list", content) if is_sealed else entry[:SEAL_BYTES] + content
    await worker.gateway.call("SET", worker.gateway.key("products:list"), planted)

    assert await other.read() == (Worker.database, False)
    assert await other.read() == (Worker.database, True)


async def test_the_seal_of_another_shop_is_not_valid(valkey: Valkey) -> None:
    async def load() -> RenderedResponse:
        return RenderedResponse(b"right", '"right"')

    caches = [
        CacheService(RedisGateway(valkey.url, timeout=60), secret=secret) for secret in (b"one", b"other", b"one")
    ]
    entry = Entry("key", ["products"])
    hits = [(await cache.get_or_load(entry, load))[1] for cache in (*caches, caches[1])]
    # To the second, the tag values of the first are garbage; to the third, those of the second.
    assert hits == [False, False, False, False]
    assert (await caches[1].get_or_load(entry, load))[1] is True
    for cache in caches:
        await cache.close()
        await cache._gateway.close()


async def seconds_of(call: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await call()
    return time.perf_counter() - started


async def test_a_frozen_redis_costs_little_and_then_nothing(
    valkey: Valkey, hasty_workers: tuple[Worker, Worker], bounds: Bounds
) -> None:
    """F9: at most 250 ms on one request, then no more than the load itself, then hits again."""
    worker, _ = hasty_workers
    await worker.read()
    valkey.freeze()
    first = [await seconds_of(worker.read) for _ in range(3)]
    later = [await seconds_of(worker.read) for _ in range(10)]
    valkey.thaw()

    bounds.require(statistics.median(first), 0.25, "a read of the first", margin=0)
    bounds.require(sum(later), len(later) * CALL_SECONDS / 2, "ten reads later", margin=0)

    async def is_hit() -> bool:
        return (await worker.read())[1]

    await eventually(is_hit)


async def test_without_redis_every_request_loads_for_itself() -> None:
    worker = Worker(None)
    await worker.cache.start()

    assert await asyncio.gather(*(worker.read() for _ in range(3))) == [(Worker.database, False)] * 3
    assert worker.loads == 3
    await worker.write()
    await worker.close()


async def test_an_invalidation_that_redis_did_not_receive_is_published_later(
    valkey: Valkey, hasty_workers: tuple[Worker, Worker], bounds: Bounds
) -> None:
    worker, other = hasty_workers
    await worker.read()
    assert (await other.read())[1] is True

    valkey.freeze()
    with bounds.within(0.25, "the write", margin=0):
        written = await worker.write()
    assert await worker.read() == (written, False)
    valkey.thaw()

    # The writer's own worker shows the new value at every moment, whether Redis has received the invalidation or not.
    async def is_hit() -> bool:
        value, hit = await worker.read()
        assert value == written
        return hit

    await eventually(is_hit)
    assert await worker.read() == (written, True)
    assert await other.read() == (written, True)


async def test_no_worker_of_the_launcher_uses_what_redis_holds_after_a_failed_invalidation(
    valkey: Valkey, tmp_path: Path, bounds: Bounds
) -> None:
    """One worker is cut off, and says so by the epoch before its write returns. The other does not serve what it has."""
    epochs = CacheEpoch(), CacheEpoch()
    with RedisProxy(valkey.url, tmp_path) as proxy, epochs[0].shared(tmp_path), epochs[1].shared(tmp_path):
        worker, other = Worker(proxy.url, CALL_SECONDS, epochs[0]), Worker(valkey.url, epoch=epochs[1])
        for one in (worker, other):
            await one.cache.start()
        before, _ = await worker.read()
        assert await other.read() == (before, True)
        for state in ("silent", "closed"):
            proxy.state = state
            with bounds.within(0.25, "the write", margin=0):
                written = await worker.write()
            assert await other.read() == (written, False)
            assert await worker.read() == (written, False)

            async def is_hit() -> bool:
                value, hit = await other.read()
                return hit and value == Worker.database

            # The other does not wait for the one that is cut off.
            await eventually(is_hit)
        proxy.state = "open"
        for one in (worker, other):
            await one.close()


async def test_the_workers_of_other_launchers_are_notified(valkey: Valkey, tmp_path: Path) -> None:
    with RedisProxy(valkey.url, tmp_path) as proxy:
        other = Worker(valkey.url)
        gateway = RedisGateway(proxy.url)
        cache = CacheService(gateway, announce=other.cache.invalidate_all)
        await other.read()
        assert (await other.read())[1] is True
        proxy.state = "closed"
        await cache.invalidate(Invalidation(set(TAGS)))

        assert (await other.read())[1] is False
        await cache.close()
        await gateway.close()
        await other.close()


async def test_a_write_does_not_wait_long_for_an_announcement(valkey: Valkey, bounds: Bounds) -> None:
    gateway = RedisGateway(valkey.url)
    cache = CacheService(gateway, announce=asyncio.Event().wait)  # type: ignore[arg-type]
    valkey.freeze()
    seconds = await seconds_of(lambda: cache.invalidate(Invalidation(set(TAGS))))
    bounds.require(seconds, 0.25, "the write", margin=0)
    valkey.thaw()
    await cache.close()
    await gateway.close()


async def test_what_a_redis_held_that_was_away_is_stale(
    valkey: Valkey, workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another one now, which has not received the last invalidations of the one before."""
    monkeypatch.setattr(gateway_module, "PROBE_SECONDS", 0.1)
    worker, other = workers
    await other.read()
    Worker.database += 1
    with pytest.raises(RedisUnavailable):
        await worker.gateway.call("EVAL", "return redis.error_reply('READONLY')", 0)

    async def is_hit() -> bool:
        return (await worker.read())[1]

    await eventually(is_hit)
    assert await worker.read() == (Worker.database, True)
    assert await other.read() == (Worker.database, True)


async def test_a_replica_is_not_read(valkey: Valkey, workers: tuple[Worker, Worker]) -> None:
    """It may lack the last invalidations."""
    worker, _ = workers
    assert [(await worker.read())[1] for _ in range(2)] == [False, True]
    await worker.gateway.call("REPLICAOF", "127.0.0.1", "1")
    assert (await worker.read())[1] is False
    assert not worker.gateway.available


async def test_the_invalidation_of_a_cancelled_writer_is_published_too(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    await other.read()
    writing = asyncio.ensure_future(worker.write())
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    async def is_published() -> bool:
        return await other.read() == (Worker.database, True)

    await eventually(is_published)


async def test_a_worker_that_starts_invalidates_everything(valkey: Valkey, workers: tuple[Worker, Worker]) -> None:
    """F14: the worker before it may have been killed after its commit and before its invalidation."""
    worker, replacement = workers
    await worker.read()
    Worker.database += 1
    await replacement.cache.start()

    assert await worker.read() == (Worker.database, False)


async def test_closing_publishes_what_is_pending(valkey: Valkey) -> None:
    worker, other = Worker(valkey.url, CALL_SECONDS), Worker(valkey.url, CALL_SECONDS)
    await other.read()
    valkey.freeze()
    await worker.write()
    valkey.thaw()
    await worker.gateway.ping()
    await worker.close()

    assert await other.read() == (Worker.database, False)
    await other.close()
