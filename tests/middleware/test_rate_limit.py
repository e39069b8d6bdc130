"""The rate limit on a real Valkey: exact over all workers, and never in the way of the shop."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from ipaddress import ip_address, ip_network
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from infrastructure.cache.batcher import settled
from infrastructure.cache.fixed_windows import LimitUsage, LocalWindows
from infrastructure.cache.gateway import RedisGateway
from infrastructure.server.header_lines import header_lines, parsed_lines
from middleware.edge import Edge
from middleware.rate_limit import RateLimit
from security.principal import ANONYMOUS, EVERYBODY, Kind, Principal
from security.scopes import Role, Scope
from tests.middleware.asgi import Echo, call, client_of, scope_of
from tests.valkey import Valkey

pytestmark = pytest.mark.anyio

_hosts = count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def address(worker_number: int) -> str:
    """An address that no other test counts for."""
    return str(ip_address("198.18.0.0") + next(_hosts) + 10_000 * worker_number)


@pytest.fixture
def worker_number(request: pytest.FixtureRequest) -> int:
    return int(getattr(request.config, "workerinput", {}).get("workerid", "gw0").removeprefix("gw"))


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[RedisGateway]:
    # A busy machine must not pass for a Redis that is away.
    gateway = RedisGateway(redis_url, timeout=5)
    yield gateway
    await gateway.close()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as server:
        yield server


def limits_of(response: httpx.Response) -> tuple[int, int, int]:
    limit, remaining, reset = (response.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset"))
    return int(limit), int(remaining), int(reset)


@pytest.mark.integration
async def test_beyond_the_limit_the_answer_is_429_as_the_contract_has_it(gateway: RedisGateway, address: str) -> None:
    app = Echo()
    async with client_of(Edge(app, limit=RateLimit(gateway=gateway, calls=3, period=60)), address) as client:
        allowed = [await client.get("/products") for _ in range(3)]
        refused = await client.get("/products")

    assert [response.status_code for response in allowed] == [200] * 3
    assert [limits_of(response)[:2] for response in allowed] == [(3, 2), (3, 1), (3, 0)]
    assert all(59 <= limits_of(response)[2] <= 60 for response in allowed)
    assert len(app.scopes) == 3
    limit, remaining, reset = limits_of(refused)
    assert (refused.status_code, limit, remaining) == (429, 3, 0)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["Retry-After"] == str(reset)
    body = refused.json()
    assert body["detail"] == "Rate limit exceeded. Maximum 3 requests per 60 seconds."
    assert body["retry_after"] == reset
    assert (body["status"], body["instance"]) == (429, "/products")


@pytest.mark.unit
async def test_the_headers_of_the_draft_say_the_same(address: str) -> None:
    async with client_of(
        Edge(Echo(), limit=RateLimit(gateway=RedisGateway(None), calls=1, period=60)), address
    ) as client:
        responses = [await client.get("/") for _ in range(2)]

    for response in responses:
        _, remaining, reset = limits_of(response)
        assert response.headers["RateLimit-Policy"] == '"default";q=1;w=60'
        assert response.headers["RateLimit"] == f'"default";r={remaining};t={reset}'
    assert [response.status_code for response in responses] == [200, 429]


@pytest.mark.unit
def test_lines_are_the_headers() -> None:
    limit = RateLimit(gateway=RedisGateway(None), calls=5, period=60)
    for usage, left in ((LimitUsage(0, 60, 5), 5), (LimitUsage(3, 7, 5), 2), (LimitUsage(9, 1, 5), 0)):
        headers = parsed_lines(limit.lines(usage))
        assert dict(headers) == {
            b"x-ratelimit-limit": b"5",
            b"x-ratelimit-remaining": b"%d" % left,
            b"x-ratelimit-reset": b"%d" % usage.reset,
            b"ratelimit": b'"default";r=%d;t=%d' % (left, usage.reset),
            b"ratelimit-policy": b'"default";q=5;w=60',
        }
        assert header_lines(headers) == limit.lines(usage)


@pytest.mark.unit
async def test_addresses_of_one_ipv6_network_share_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    exempt = (ip_network("2001:db8:1:2::9/128"),)
    app = Edge(Echo(), limit=RateLimit(gateway=RedisGateway(None), calls=2, period=60, exempt=exempt))

    async def statuses(*addresses: str) -> list[int]:
        answers = []
        for address in addresses:
            async with client_of(app, address) as client:
                answers.append((await client.get("/")).status_code)
        return answers

    assert await statuses("2001:db8:1:2::1", "2001:db8:1:2:ffff::", "2001:db8:1:2::77") == [200, 200, 429]
    assert await statuses("2001:db8:1:3::1", "2001:db8:1:2::9") == [200, 200]
    # Mapped into IPv6, each IPv4 address is a client by itself.
    assert await statuses("::ffff:198.51.100.1", "::ffff:198.51.100.1", "198.51.100.1") == [200, 200, 429]
    assert await statuses("::ffff:198.51.100.2") == [200]
    limited = [record.getMessage() for record in caplog.records if record.name == "shop.rate_limit"]
    assert limited == [f"Rate limit exceeded for IP: {one}" for one in ("2001:db8:1:2::77", "198.51.100.1")]


@pytest.mark.race
@pytest.mark.integration
async def test_it_is_exact_over_all_workers(redis_url: str, address: str) -> None:
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(4):
            gateway = RedisGateway(redis_url, timeout=5)
            stack.push_async_callback(gateway.close)
            limit = Edge(Echo(), limit=RateLimit(gateway=gateway, calls=50, period=60))
            clients.append(await stack.enter_async_context(client_of(limit, address)))
        responses = await asyncio.gather(*(client.get("/") for client in clients for _ in range(40)))

    statuses = [response.status_code for response in responses]
    assert statuses.count(200) == 50
    assert statuses.count(429) == 110
    remaining = sorted(limits_of(response)[1] for response in responses if response.status_code == 200)
    assert remaining == list(range(50))


@pytest.mark.integration
async def test_refused_requests_do_not_extend_the_window(gateway: RedisGateway, address: str) -> None:
    async with client_of(Edge(Echo(), limit=RateLimit(gateway=gateway, calls=1, period=1)), address) as client:
        assert (await client.get("/")).status_code == 200
        async with asyncio.timeout(60):
            while (response := await client.get("/")).status_code == 429:
                assert limits_of(response)[2] == 1
                await asyncio.sleep(0.05)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("plant", "status"),
    [
        (["SET", "{key}", "99"], 429),
        (["SET", "{key}", "99", "EX", "99999"], 429),
        (["SET", "{key}", "garbage"], 200),
        (["SET", "{key}", "9223372036854775807"], 200),
        (["SET", "{key}", "9223372036854775800"], 200),
        (["SET", "{key}", "-1000"], 200),
        (["SET", "{key}", "1.5"], 200),
        (["SET", "{key}", ""], 200),
        (["RPUSH", "{key}", "a"], 200),
    ],
)
async def test_no_foreign_key_locks_a_client_out(
    gateway: RedisGateway, address: str, plant: list[str], status: int
) -> None:
    """F11: a key without an end, or with one far away, gets an end; one that is no count starts again."""
    key = gateway.key(f"ratelimit:{address}")
    await gateway.call(*(part.replace("{key}", key) for part in plant))
    async with client_of(Edge(Echo(), limit=RateLimit(gateway=gateway, calls=5, period=60)), address) as client:
        response = await client.get("/")

    assert response.status_code == status
    assert response.headers["X-RateLimit-Remaining"] == ("4" if status == 200 else "0")
    assert 0 < await gateway.call("PTTL", key) <= 60_000
    assert gateway.available


@pytest.mark.integration
async def test_exempt_clients_get_the_headers_and_are_not_counted(gateway: RedisGateway, address: str) -> None:
    app = Edge(Echo(), limit=RateLimit(gateway=gateway, calls=2, period=60, exempt=(ip_network(address),)))
    async with client_of(app, address) as client:
        responses = [await client.get("/") for _ in range(5)]

    assert [(response.status_code, limits_of(response)) for response in responses] == [(200, (2, 2, 60))] * 5
    assert await gateway.call("EXISTS", gateway.key(f"ratelimit:{address}")) == 0


@pytest.mark.integration
@pytest.mark.parametrize("path", ["/health_check", "/health/live", "/health/ready", "/health_check/"])
async def test_health_is_never_limited(gateway: RedisGateway, address: str, path: str) -> None:
    async with client_of(Edge(Echo(), limit=RateLimit(gateway=gateway, calls=1, period=60)), address) as client:
        assert [(await client.get(path)).status_code for _ in range(3)] == [200] * 3
        assert [(await client.get("/")).status_code for _ in range(2)] == [200, 429]
        assert limits_of(await client.get(path)) == (1, 1, 60)


@pytest.mark.integration
async def test_a_new_forwarded_for_in_every_request_is_the_same_bucket(gateway: RedisGateway, address: str) -> None:
    """I10."""
    async with client_of(Edge(Echo(), limit=RateLimit(gateway=gateway, calls=2, period=60)), address) as client:
        statuses = [(await client.get("/", headers={"X-Forwarded-For": f"192.0.2.{n}"})).status_code for n in range(4)]

    assert statuses == [200, 200, 429, 429]


@pytest.mark.integration
async def test_one_line_in_the_log_for_a_window(
    gateway: RedisGateway, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(Edge(Echo(), limit=RateLimit(gateway=gateway, calls=2, period=60)), address) as client:
        for _ in range(10):
            await client.get("/")

    assert [
        (record.levelname, record.getMessage()) for record in caplog.records if record.name == "shop.rate_limit"
    ] == [("WARNING", f"Rate limit exceeded for IP: {address}")]


@pytest.mark.unit
async def test_without_redis_a_worker_limits_by_itself(address: str) -> None:
    app = Edge(Echo(), limit=RateLimit(gateway=RedisGateway(None), calls=2, period=60))
    async with client_of(app, address) as client, client_of(app, "192.0.2.200") as other:
        assert [(await client.get("/")).status_code for _ in range(4)] == [200, 200, 429, 429]
        assert limits_of(await other.get("/"))[:2] == (2, 1)


@pytest.mark.integration
async def test_when_redis_goes_the_limit_stays(valkey: Valkey, address: str) -> None:
    gateway = RedisGateway(valkey.url, timeout=60)
    async with client_of(Edge(Echo(), limit=RateLimit(gateway=gateway, calls=3, period=60)), address) as client:
        assert (await client.get("/")).status_code == 200
        valkey.stop()
        assert [(await client.get("/")).status_code for _ in range(6)] == [200] * 3 + [429] * 3
    await gateway.close()


@pytest.mark.unit
async def test_other_protocols_pass() -> None:
    app = Echo()
    limit = Edge(app, limit=RateLimit(gateway=RedisGateway(None), calls=1, period=60))
    for _ in range(3):
        await call(limit, scope_of(type="lifespan"))

    assert len(app.scopes) == 3


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.unit
def test_a_local_window_ends_when_its_period_is_over() -> None:
    clock = Clock()
    windows = LocalWindows(60, clock=clock)
    assert (windows.count("a").count, windows.count("a").count) == (1, 2)
    clock.now += 59.5
    assert (windows.count("a").count, windows.count("a").reset) == (3, 1)
    clock.now += 0.5
    usage = windows.count("a")
    assert (usage.count, usage.reset) == (1, 60)


@pytest.mark.unit
def test_local_windows_are_bounded_and_a_crowd_does_not_reset_a_counted_client() -> None:
    clock = Clock()
    windows = LocalWindows(60, most=100, clock=clock)
    for n in range(1000):
        windows.count(f"stranger {n}")
        clock.now += 0.001
    assert len(windows._windows) == 100
    assert windows.count("stranger 999").count == 2
    assert windows.count("stranger 900").count == 2
    clock.now += 60
    windows.count("first of a new day")
    assert len(windows._windows) == 1


def user(number: int) -> Principal:
    return Principal(Kind.USER, number, role=Role.STAFF, session_id=number)


def key(number: int) -> Principal:
    return Principal(Kind.API_KEY, number, frozenset({Scope.ORDERS_READ}))


async def counted(limit: RateLimit, address: str, principal: Principal | None = None, times: int = 1) -> LimitUsage:
    """The usage after so many requests of this caller."""
    scope = scope_of(client=(address, 1))
    pending = [limit.count(scope, principal) for _ in range(times)]
    await settled(one.usages for one in pending if one is not None)
    return [limit.usage(one) for one in pending][-1]


def limits(gateway: RedisGateway, **more: Any) -> RateLimit:
    return RateLimit(gateway=gateway, calls=2, calls_authenticated=5, period=60, **more)


@pytest.mark.integration
async def test_a_user_and_a_key_count_by_themselves_wherever_they_are(gateway: RedisGateway, address: str) -> None:
    number = next(_hosts) + id(gateway) % 10**9
    limit = limits(gateway)
    usage = await counted(limit, address, user(number), 5)
    assert (usage.count, usage.limit, usage.is_exceeded) == (5, 5, False)
    assert (await counted(limit, f"{address}1", user(number))).is_exceeded
    # Neither the address, nor another user, nor the key of this number has lost any of theirs.
    assert (await counted(limit, address)).count == 1
    assert (await counted(limit, address, user(number + 1))).count == 1
    assert (await counted(limit, address, key(number))).count == 1
    assert b"x-ratelimit-limit: 5\r\n" in limit.lines(usage)
    assert b"x-ratelimit-remaining: 0\r\n" in limit.lines(usage)


@pytest.mark.race
@pytest.mark.integration
async def test_callers_are_counted_exactly_over_all_workers(redis_url: str, address: str) -> None:
    number = next(_hosts) + id(redis_url) % 10**9
    async with AsyncExitStack() as stack:
        workers = []
        for _ in range(2):
            gateway = RedisGateway(redis_url, timeout=5)
            stack.push_async_callback(gateway.close)
            workers.append(limits(gateway))
        usages = await asyncio.gather(*(counted(worker, address, user(number)) for worker in workers for _ in range(6)))
    assert sorted(usage.count for usage in usages) == list(range(1, 13))
    assert sum(usage.is_exceeded for usage in usages) == 7


@pytest.mark.unit
async def test_exempt_networks_exempt_no_user_and_no_key(address: str, caplog: pytest.LogCaptureFixture) -> None:
    limit = limits(RedisGateway(None), exempt=(ip_network(address),))
    assert (await counted(limit, address, times=50)).count == 0
    assert (await counted(limit, address, user(7), 6)).is_exceeded
    assert (await counted(limit, address, key(3), 9)).is_exceeded
    # Nor are callers whom everybody may be.
    assert (await counted(limit, address, EVERYBODY, 50)).count == 0
    assert [record.getMessage() for record in caplog.records if record.name == "shop.rate_limit"] == [
        "Rate limit exceeded for user:7",
        "Rate limit exceeded for key:3",
    ]


@pytest.mark.unit
@pytest.mark.parametrize("caller", [ANONYMOUS, EVERYBODY, None])
async def test_who_is_not_known_counts_by_address(address: str, caller: Principal | None) -> None:
    limit = limits(RedisGateway(None))
    usage = await counted(limit, address, caller, 3)
    assert (usage.limit, usage.is_exceeded) == (2, True)
    assert (await counted(limit, address)).count == 4
