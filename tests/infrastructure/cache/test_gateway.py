"""The gateway to Redis: bounded in time, replies to the right caller, quick to open and quick to close again."""

import asyncio
import logging
import os
import random
import signal
import socket
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
import redis

from infrastructure.cache import gateway as module
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable, Script
from infrastructure.observability.log_lines import request_id
from tests.bounds import Bounds
from tests.log_records import records_of
from tests.redis_proxy import RedisProxy
from tests.valkey import Valkey

pytestmark = pytest.mark.anyio


# A busy machine must not pass for a Redis that is away, except where that is the point.
PATIENT = 30.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, to be frozen and stopped."""
    with Valkey(tmp_path) as server:
        yield server


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[RedisGateway]:
    gateway = RedisGateway(redis_url, timeout=PATIENT)
    yield gateway
    await gateway.close()


@asynccontextmanager
async def opened(
    url: str | None, max_connections: int = 50, patience: float = module.CALL_SECONDS
) -> AsyncIterator[RedisGateway]:
    gateway = RedisGateway(url, max_connections, patience)
    try:
        yield gateway
    finally:
        await gateway.close()


async def failed(call: Callable[[], Awaitable[object]]) -> float:
    """The seconds that a call took to fail."""
    started = time.perf_counter()
    with pytest.raises(RedisUnavailable):
        await call()
    return time.perf_counter() - started


async def eventually_answers(gateway: RedisGateway, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                await gateway.ping()
            except RedisUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


@pytest.mark.integration
async def test_calls_of_one_turn_of_the_loop_get_their_own_replies(gateway: RedisGateway) -> None:
    answers = await asyncio.gather(*(gateway.call("ECHO", f"text {n}") for n in range(500)))

    assert answers == [b"text %d" % n for n in range(500)]


@pytest.mark.integration
async def test_an_error_is_its_callers_alone(gateway: RedisGateway) -> None:
    answers = await asyncio.gather(
        gateway.call("ECHO", "before"), gateway.call("GET"), gateway.call("ECHO", "after"), return_exceptions=True
    )

    assert [answers[0], answers[2]] == [b"before", b"after"]
    assert isinstance(answers[1], RedisUnavailable)


@pytest.mark.integration
async def test_a_text_that_is_not_utf8_fails_nobody_else(gateway: RedisGateway) -> None:
    answers = await asyncio.gather(gateway.call("ECHO", "fine"), gateway.call("ECHO", "\ud800"), return_exceptions=True)

    assert answers[0] == b"fine"
    assert isinstance(answers[1], UnicodeEncodeError)


@pytest.mark.integration
async def test_a_script_survives_a_server_that_forgot_it(gateway: RedisGateway) -> None:
    script = Script("return {KEYS[1], ARGV[1]}")
    for _ in range(2):
        await gateway.call("SCRIPT", "FLUSH")
        assert await gateway.run(script, ["key"], ["value"]) == [gateway.key("key").encode(), b"value"]
    assert gateway.available


@pytest.mark.integration
async def test_ping_says_how_long_it_took(gateway: RedisGateway) -> None:
    assert 0 < await gateway.ping() < 60_000


@pytest.mark.unit
async def test_nothing_is_opened_before_the_first_call() -> None:
    async with opened("redis://127.0.0.1:1/0") as gateway:
        assert gateway.available


@pytest.mark.unit
async def test_without_a_url_every_call_is_refused() -> None:
    async with opened(None) as gateway:
        assert not gateway.enabled
        await failed(gateway.ping)


@pytest.mark.unit
async def test_calls_after_closing_are_refused() -> None:
    gateway = RedisGateway("redis://127.0.0.1:1/0")
    await gateway.close()

    await failed(gateway.ping)


@pytest.mark.integration
async def test_closing_fails_the_calls_under_way(valkey: Valkey) -> None:
    gateway = RedisGateway(valkey.url, timeout=600)
    await gateway.ping()
    valkey.freeze()
    waiting = asyncio.gather(*(gateway.call("ECHO", "x") for _ in range(3)), return_exceptions=True)
    await asyncio.sleep(0)
    late = asyncio.ensure_future(gateway.call("ECHO", "y"))
    await asyncio.sleep(0)

    async with asyncio.timeout(60):
        await gateway.close()
        answers = [*await waiting, *await asyncio.gather(late, return_exceptions=True)]

    assert all(isinstance(answer, RedisUnavailable) for answer in answers)


@pytest.mark.integration
async def test_a_frozen_server_costs_little_and_then_nothing(
    valkey: Valkey, caplog: pytest.LogCaptureFixture, bounds: Bounds
) -> None:
    caplog.set_level(logging.INFO, "shop.redis")
    async with opened(valkey.url, patience=module.CALL_SECONDS if bounds.are_held else 1) as gateway:
        await gateway.ping()
        valkey.freeze()
        first = [await failed(gateway.ping) for _ in range(3)]
        later = [await failed(gateway.ping) for _ in range(50)]
        valkey.thaw()
        await eventually_answers(gateway)

    bounds.require(statistics.median(first), 0.25, "a call of the first", margin=0)
    bounds.require(sum(later), len(later) * module.CALL_SECONDS / 10, "50 calls later", margin=0)
    assert [record.levelname for record in records_of(caplog, "shop.redis")] == ["WARNING", "INFO"]


@pytest.mark.integration
async def test_it_comes_back_after_a_restart(valkey: Valkey, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop.redis")
    async with opened(valkey.url, patience=PATIENT) as gateway:
        await gateway.ping()
        valkey.stop()
        for _ in range(200):
            await failed(gateway.ping)
        valkey.start()
        await eventually_answers(gateway)

    assert [record.levelname for record in records_of(caplog, "shop.redis")] == ["WARNING", "INFO"]


@pytest.mark.integration
async def test_a_restart_between_two_calls_goes_unnoticed(valkey: Valkey) -> None:
    async with opened(valkey.url, patience=60) as gateway:
        await asyncio.gather(*(gateway.ping() for _ in range(3)))
        valkey.stop()
        valkey.start()
        await asyncio.sleep(0.05)

        assert await gateway.call("ECHO", "still there") == b"still there"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("setting", "broken", "healthy"),
    [("maxmemory", "1", "0"), ("replicaof", "127.0.0.1 1", "no one"), ("requirepass", "secret", "")],
)
async def test_a_server_that_refuses_is_away_until_it_stops_refusing(
    valkey: Valkey, caplog: pytest.LogCaptureFixture, setting: str, broken: str, healthy: str
) -> None:
    caplog.set_level(logging.INFO, "shop.redis")

    def change(value: str) -> None:
        with redis.Redis.from_url(
            valkey.url, password="secret" if setting == "requirepass" and not value else None
        ) as admin:
            if setting == "replicaof":
                admin.execute_command("REPLICAOF", *value.split())
            else:
                admin.config_set(setting, value)

    async with opened(valkey.url, patience=PATIENT) as gateway:
        await gateway.ping()
        change(broken)
        if setting == "requirepass":
            await gateway._pool.disconnect()  # type: ignore[union-attr]  # A new connection must log in.
        for _ in range(5):
            await failed(lambda: gateway.call("SET", "key", "value"))
        assert not gateway.available
        await asyncio.sleep(1.5)
        assert not gateway.available
        change(healthy)
        await eventually_answers(gateway)

    assert [record.levelname for record in records_of(caplog, "shop.redis")] == ["WARNING", "INFO"]


@pytest.mark.unit
async def test_a_server_that_never_accepts_is_bounded_too(tmp_path: Path, bounds: Bounds) -> None:
    path = str(tmp_path / "silent.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        async with opened(f"unix://{path}") as gateway:
            bounds.require(await failed(gateway.ping), 0.25, "the call", margin=0)


@pytest.mark.integration
async def test_an_exhausted_pool_does_not_wait(valkey: Valkey) -> None:
    async with opened(valkey.url, max_connections=1, patience=60) as gateway:
        await gateway.ping()
        valkey.freeze()
        holder = asyncio.ensure_future(gateway.ping())
        await asyncio.sleep(0.01)

        await failed(gateway.ping)
        assert not holder.done()
        valkey.thaw()
        await holder


@pytest.mark.integration
async def test_an_event_loop_that_is_late_does_not_lose_replies(redis_url: str) -> None:
    """A worker under load must not take its own delay for Redis being away."""

    async def busy() -> None:
        for _ in range(6):
            time.sleep(0.2)  # noqa: ASYNC251  the point is to block the loop
            await asyncio.sleep(0)

    async with opened(redis_url, patience=1) as gateway:
        await gateway.ping()
        load = asyncio.ensure_future(busy())
        answers = await asyncio.gather(*(gateway.call("ECHO", str(n)) for n in range(10)))
        await load

    assert answers == [b"%d" % n for n in range(10)]


@pytest.mark.race
@pytest.mark.integration
async def test_calls_cancelled_midway_never_mix_up_replies(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """F12: callers leave and exchanges are cut off at every moment of their life, on a server that stutters."""
    monkeypatch.setattr(module, "FAILURES_BEFORE_OPEN", 1_000_000)
    chance = random.Random(12)
    outcomes: Counter[str] = Counter()

    async def ask(gateway: RedisGateway, text: str) -> None:
        await asyncio.sleep(chance.uniform(0, 0.02))
        try:
            answer = await gateway.call("ECHO", text)
        except RedisUnavailable:
            outcomes["cut off"] += 1
        except asyncio.CancelledError:
            outcomes["cancelled"] += 1
            raise
        else:
            outcomes["answered" if answer == text.encode() else "wrong"] += 1

    async def stutter() -> None:
        with redis.Redis.from_url(valkey.url) as admin:
            while True:
                await asyncio.to_thread(admin.execute_command, "DEBUG", "SLEEP", str(chance.uniform(0, 0.03)))
                await asyncio.sleep(chance.uniform(0, 0.01))

    gateway = RedisGateway(valkey.url, max_connections=4, timeout=0.015)
    stuttering = asyncio.ensure_future(stutter())
    # On a busy machine it takes more rounds until each outcome was there often enough.
    for round_ in count():
        if round_ >= 60 and min(outcomes[one] for one in ("answered", "cancelled", "cut off")) > 50:
            break
        calls = [asyncio.ensure_future(ask(gateway, f"{round_}-{n}")) for n in range(30)]
        for call in chance.sample(calls, 20):
            await asyncio.sleep(chance.uniform(0, 0.002))
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    stuttering.cancel()
    await asyncio.gather(stuttering, return_exceptions=True)
    await gateway.close()

    assert outcomes["wrong"] == 0


@pytest.mark.race
@pytest.mark.integration
async def test_an_exchange_cut_off_while_reading_leaves_no_reply_behind(valkey: Valkey) -> None:
    async with opened(valkey.url, max_connections=1, patience=1) as gateway:
        await gateway.call("ECHO", "warm")
        for n in range(3):
            os.kill(valkey.pid, signal.SIGSTOP)
            await failed(lambda n=n: gateway.call("ECHO", f"lost {n}"))  # type: ignore[misc]
            os.kill(valkey.pid, signal.SIGCONT)
            await eventually_answers(gateway)
            assert await gateway.call("ECHO", f"mine {n}") == b"mine %d" % n


@pytest.mark.integration
async def test_the_log_line_that_redis_is_back_belongs_to_no_request(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shop.redis")
    named: list[str | None] = []

    def note(record: logging.LogRecord) -> bool:
        named.append(request_id.get())
        return True

    gateway = RedisGateway(valkey.url, timeout=5)
    request_id.set("the-request-that-found-it-refusing")
    module.log.addFilter(note)
    try:
        with redis.Redis.from_url(valkey.url) as client:
            client.replicaof("127.0.0.1", "1")
            with pytest.raises(RedisUnavailable):
                await gateway.run(Script("return redis.call('SET', KEYS[1], '1')"), ["key"])
            client.replicaof("NO", "ONE")
        await eventually_answers(gateway)
    finally:
        module.log.removeFilter(note)
        await gateway.close()
    assert named == ["the-request-that-found-it-refusing", None]


@pytest.mark.integration
@pytest.mark.parametrize(
    "refusal", ["READONLY no", "MISCONF no", "MASTERDOWN no", "NOREPLICAS no", "LOADING no", "OOM no"]
)
async def test_a_failover_behind_a_stable_address(tmp_path: Path, refusal: str) -> None:
    """The old primary keeps its connections and refuses; new connections lead to the new one."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    with Valkey(tmp_path / "old") as old, Valkey(tmp_path / "new") as new, RedisProxy(old.url, tmp_path) as proxy:
        async with opened(proxy.url, patience=PATIENT) as gateway:
            await asyncio.gather(*(gateway.call("SET", "where", "old") for _ in range(3)))
            proxy.server = new.url
            with redis.Redis.from_url(new.url) as client:
                client.set("where", "new")
            with redis.Redis.from_url(old.url) as client:
                client.config_set("min-replicas-to-write", 1)
            while gateway.available:
                await failed(lambda: gateway.call("EVAL", f"return redis.error_reply('{refusal}')", 0))
            await eventually_answers(gateway)
            assert await gateway.call("GET", "where") == b"new"


@pytest.mark.integration
async def test_connections_that_are_silently_dead_are_dropped(valkey: Valkey, tmp_path: Path) -> None:
    """A firewall has forgotten all that are open, and lets new ones pass."""
    with RedisProxy(valkey.url, tmp_path) as proxy:
        async with opened(proxy.url) as gateway:
            pings = []
            for _ in range(20):
                pings.append(asyncio.ensure_future(gateway.ping()))
                # Those of one turn would share a connection.
                await asyncio.sleep(0)
            await asyncio.gather(*pings, return_exceptions=True)
            proxy.state = "silent"
            proxy.state = "open"
            await eventually_answers(gateway)


@pytest.mark.integration
async def test_what_a_replica_replies_beside_a_refusal_is_not_used(valkey: Valkey) -> None:
    async with opened(valkey.url, patience=PATIENT) as gateway:
        writes = Script("return redis.call('SET', KEYS[1], 'old')")
        await gateway.run(writes, ["key"])
        with redis.Redis.from_url(valkey.url) as client:
            client.replicaof("127.0.0.1", "1")
        answers = await asyncio.gather(
            gateway.call("GET", gateway.key("key")),
            gateway.run(writes, ["key"]),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [RedisUnavailable, RedisUnavailable]
