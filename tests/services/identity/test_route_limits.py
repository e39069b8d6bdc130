"""The limits of routes on a real Valkey: exact over all workers, per address and account, and without Redis too."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest

from config.settings import read_settings
from infrastructure.cache.gateway import RedisGateway
from services.errors import RateLimited
from services.identity.route_limits import RouteLimits
from tests.valkey import Valkey

pytestmark = pytest.mark.anyio

_numbers = count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    """An address that no other test counts for."""
    worker = int(getattr(request.config, "workerinput", {}).get("workerid", "gw0").removeprefix("gw"))
    return f"198.51.{worker}.{next(_numbers)}"


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[RedisGateway]:
    # A busy machine must not pass for a Redis that is away.
    gateway = RedisGateway(redis_url, timeout=5)
    yield gateway
    await gateway.close()


def limits_of(gateway: RedisGateway, **environment: str) -> RouteLimits:
    return RouteLimits(gateway, read_settings(environment), b"secret")


async def refused(call: Callable[..., Awaitable[None]], *arguments: str, times: int) -> list[bool]:
    """Whether each of so many calls was one too many."""
    outcomes = []
    for _ in range(times):
        try:
            await call(*arguments)
        except RateLimited:
            outcomes.append(True)
        else:
            outcomes.append(False)
    return outcomes


@pytest.mark.integration
async def test_the_defaults_of_the_page(gateway: RedisGateway, address: str) -> None:
    limits = limits_of(gateway)
    assert await refused(limits.login, address, "ana", times=6) == [False] * 5 + [True]
    assert await refused(limits.login_address, address, times=21) == [False] * 20 + [True]
    assert await refused(limits.register, address, times=6) == [False] * 5 + [True]
    assert await refused(limits.refresh, address, times=31) == [False] * 30 + [True]


@pytest.mark.integration
async def test_the_error_is_the_429_of_the_contract(gateway: RedisGateway, address: str) -> None:
    limits = limits_of(gateway, RATE_LIMIT_REGISTER="1/30")
    await limits.register(address)
    with pytest.raises(RateLimited) as caught:
        await limits.register(address)

    error = caught.value
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert error.detail == "Rate limit exceeded. Maximum 1 requests per 30 seconds."
    assert 1 <= error.retry_after <= 30
    assert error.members == {"retry_after": error.retry_after}
    assert error.headers == {"Retry-After": str(error.retry_after)}


@pytest.mark.integration
async def test_a_failed_login_locks_nobody_out_who_has_another_address(gateway: RedisGateway, address: str) -> None:
    limits = limits_of(gateway, RATE_LIMIT_LOGIN="2/60")
    assert await refused(limits.login, address, "ana", times=3) == [False, False, True]
    assert await refused(limits.login, f"{address}9", "ana", times=1) == [False]
    assert await refused(limits.login, address, "berta", times=1) == [False]


@pytest.mark.integration
@pytest.mark.parametrize(
    "spellings",
    [
        ("ana", "ANA", " Ana ", "A\u200bna", "\uff21na"),
        ("ana@example.com", "Ana@Example.COM", "ana@example.com.", "\uff41na@example.com"),
        ("kim@b\u00fccher.example", "\u212aim@xn--bcher-kva.example", "kim@bu\u0308cher.example"),
    ],
)
async def test_all_spellings_of_an_account_are_one(
    gateway: RedisGateway, address: str, spellings: tuple[str, ...]
) -> None:
    limits = limits_of(gateway, RATE_LIMIT_LOGIN=f"{len(spellings)}/60")
    for spelling in spellings:
        await limits.login(address, spelling)
    for spelling in spellings:
        assert await refused(limits.login, address, spelling, times=1) == [True], spelling


@pytest.mark.integration
async def test_addresses_of_one_ipv6_network_are_one_client(gateway: RedisGateway) -> None:
    limits = limits_of(gateway, RATE_LIMIT_REFRESH="2/60")
    network = f"2001:db8:{next(_numbers):x}:{id(limits) & 0xFFFF:x}"
    await limits.refresh(f"{network}::1")
    await limits.refresh(f"{network}:ffff::")
    assert await refused(limits.refresh, f"{network}::2", times=1) == [True]


@pytest.mark.race
@pytest.mark.integration
async def test_they_are_exact_over_all_workers(redis_url: str, address: str) -> None:
    async with AsyncExitStack() as stack:
        workers = []
        for _ in range(4):
            gateway = RedisGateway(redis_url, timeout=5)
            stack.push_async_callback(gateway.close)
            workers.append(limits_of(gateway, RATE_LIMIT_LOGIN="7/60"))
        outcomes = await asyncio.gather(*(refused(worker.login, address, "ana", times=5) for worker in workers))

    assert [is_refused for outcome in outcomes for is_refused in outcome].count(False) == 7


@pytest.mark.integration
async def test_redis_does_not_learn_who_logs_in(gateway: RedisGateway, address: str) -> None:
    limits = limits_of(gateway)
    for account in ("ana@example.com", "x" * 100_000, "\ud800", "a:b\r\n*"):
        await limits.login(address, account)

    head = gateway.key(f"ratelimit:login:{address}:")
    _, keys = await gateway.call("SCAN", "0", "MATCH", f"{head}*", "COUNT", "100000")
    assert len(keys) == 4
    assert all(re.fullmatch(rf"{re.escape(head)}[0-9a-f]{{32}}", key.decode()) for key in keys)


@pytest.mark.unit
async def test_without_redis_each_worker_counts_by_itself(address: str) -> None:
    limits = limits_of(RedisGateway(None), RATE_LIMIT_LOGIN="2/60")
    assert await refused(limits.login, address, "ana", times=4) == [False, False, True, True]


@pytest.mark.integration
async def test_when_redis_goes_the_limits_stay(tmp_path: Path, address: str) -> None:
    with Valkey(tmp_path) as valkey:
        gateway = RedisGateway(valkey.url, timeout=60)
        limits = limits_of(gateway, RATE_LIMIT_REGISTER="2/60")
        await limits.register(address)
        valkey.stop()
        assert await refused(limits.register, address, times=4) == [False, False, True, True]
        await gateway.close()


@pytest.mark.unit
async def test_rate_limit_enabled_false_switches_them_off(address: str) -> None:
    limits = limits_of(RedisGateway(None), RATE_LIMIT_ENABLED="false", RATE_LIMIT_LOGIN="1/60")
    for call in (limits.login_address, limits.register, limits.refresh):
        assert True not in await refused(call, address, times=50)
    assert True not in await refused(limits.login, address, "ana", times=50)


@pytest.mark.unit
async def test_one_line_in_the_log_for_a_window_and_no_account_in_it(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    limits = limits_of(RedisGateway(None), RATE_LIMIT_LOGIN="1/60")
    with caplog.at_level(logging.WARNING, "shop.rate_limit"):
        await refused(limits.login, address, "ana@example.com", times=5)

    assert [record.getMessage() for record in caplog.records] == [f"Rate limit exceeded for IP: {address} (login)"]
