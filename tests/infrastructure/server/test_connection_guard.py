"""What the guard does to connections that only take, on a clock that moves when a test moves it."""

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.server import ServerState

from infrastructure.server.connection_counts import ConnectionCounts
from infrastructure.server.connection_guard import Closed, ConnectionGuard, Limits
from infrastructure.server.http_protocol import ShopProtocol
from infrastructure.server.request_heads import RequestHeads
from middleware.body_limit import BodyLimit
from tests.infrastructure.server.pipe import Connection
from tests.log_records import records_of

pytestmark = [pytest.mark.anyio, pytest.mark.unit]

HEAD_SECONDS, BODY_SECONDS, RATE, PER_ADDRESS = 10.0, 8.0, 1000, 3
REQUEST = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """As much of an event loop as the guard uses; its time stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[..., None], *arguments: Any) -> object:
        self.timers.append((self.now + seconds, callback, arguments))
        return self.timers[-1]

    async def pass_by(self, seconds: float, after_each_second: Callable[[], Any] | None = None) -> None:
        """Move the time, and let everybody do what is due."""
        for quarter in range(round(4 * seconds)):
            self.now += 0.25
            due = [timer for timer in self.timers if timer[0] <= self.now]
            self.timers = [timer for timer in self.timers if timer[0] > self.now]
            for _, callback, arguments in due:
                callback(*arguments)
            for _ in range(10):
                await asyncio.sleep(0)
            if after_each_second is not None and quarter % 4 == 3:
                await after_each_second()


class Guarded:
    """Connections of one worker, with its guard and a clock."""

    def __init__(self, uncounted: str | None = None, counts: ConnectionCounts | None = None) -> None:
        networks = (ipaddress.ip_network(uncounted),) if uncounted else ()
        guard = self.guard = ConnectionGuard(Limits(HEAD_SECONDS, BODY_SECONDS, RATE, PER_ADDRESS, networks), counts)
        clock = self.clock = Clock()
        self.closed: list[Closed] = []
        guard.on_closed = self.closed.append
        self.state = ServerState()

        class OnTheClock:
            """The guard, whose loop is the clock."""

            def add(self, newcomer: Any, most: int | None, loop: object) -> None:
                guard.add(newcomer, most, clock)  # type: ignore[arg-type]

            remove = staticmethod(guard.remove)

        self._kind = type(
            "GuardedProtocol", (ShopProtocol,), {"guard": OnTheClock(), "heads": RequestHeads(learn_every=1)}
        )

    def connect(self, client: str = "203.0.113.9", **options: Any) -> Connection:
        return Connection(self._kind, client=client, state=self.state, timeout_keep_alive=3600, **options)


@pytest.fixture
async def guarded() -> Guarded:
    return Guarded()


async def test_who_says_nothing_is_closed_without_a_word(guarded: Guarded) -> None:
    connection = guarded.connect()
    await guarded.clock.pass_by(HEAD_SECONDS - 1)
    assert not connection.pipe.closing
    await guarded.clock.pass_by(1)
    assert connection.pipe.closing
    assert connection.pipe.written == b""
    assert guarded.closed == [Closed.TOO_SLOW]


@pytest.mark.parametrize("earlier", [0, 1, 3])
async def test_a_head_that_trickles_is_answered_408(guarded: Guarded, earlier: int) -> None:
    connection = guarded.connect()
    await connection.feed(*[REQUEST] * earlier)
    await guarded.clock.pass_by(60 if earlier else 0)
    await connection.feed(REQUEST[:8])
    letters = iter(REQUEST[8:])

    async def one_more() -> None:
        await connection.feed(bytes([next(letters)]))

    await guarded.clock.pass_by(HEAD_SECONDS - 1, one_more)
    assert not connection.pipe.closing
    await guarded.clock.pass_by(1)
    assert connection.pipe.closing
    assert connection.pipe.written.count(b"200 OK") == earlier
    head, _, body = bytes(connection.pipe.written).rpartition(b"\r\n\r\n")
    assert b"HTTP/1.1 408 Request Timeout\r\n" in head
    assert b"\r\nconnection: close" in head
    assert b'"code":"request_timeout"' in body


async def test_line_ends_do_not_keep_a_connection_open(guarded: Guarded) -> None:
    connection = guarded.connect()
    await connection.feed(REQUEST)
    await guarded.clock.pass_by(HEAD_SECONDS, lambda: connection.feed(b"\r\n"))
    assert not connection.pipe.closing
    await guarded.clock.pass_by(2, lambda: connection.feed(b"\r\n"))
    assert connection.pipe.closing


@pytest.mark.parametrize("begun", [POST, POST + b"a" * 50_000, CHUNKED, CHUNKED + b"5\r\nabc"])
async def test_a_body_that_stalls_is_answered_408_by_the_application(guarded: Guarded, begun: bytes) -> None:
    connection = guarded.connect(around=lambda app: BodyLimit(app, limit_of=lambda path: 10**9))
    await connection.feed(begun)
    await guarded.clock.pass_by(BODY_SECONDS - 1)
    assert not connection.pipe.closing
    await guarded.clock.pass_by(4)
    assert connection.pipe.closing
    # There is nothing around it that makes an answer of the refusal.
    assert connection.pipe.written.startswith(b"HTTP/1.1 500 ")


async def test_a_body_that_nobody_reads_ends_the_connection(guarded: Guarded) -> None:
    connection = guarded.connect()
    await connection.feed(POST)
    await guarded.clock.pass_by(BODY_SECONDS + 4)
    assert connection.pipe.closing
    assert connection.app.seen == []


@pytest.mark.parametrize("framed", [False, True])
async def test_a_body_slower_than_the_rate_ends_and_a_faster_one_does_not(guarded: Guarded, framed: bool) -> None:
    def part(size: int) -> bytes:
        return b"%x\r\n%b\r\n" % (size, b"a" * size) if framed else b"a" * size

    fast, slow = guarded.connect(), guarded.connect()
    for connection in (fast, slow):
        await connection.feed(CHUNKED if framed else POST)

    async def more() -> None:
        await fast.feed(part(RATE + 100))
        await slow.feed(part(RATE // 10))

    await guarded.clock.pass_by(100, more)
    assert (fast.pipe.closing, slow.pipe.closing) == (False, True)
    # What was sent quickly gives no credit for later.
    await guarded.clock.pass_by(BODY_SECONDS + 4)
    assert fast.pipe.closing


async def test_a_client_is_not_charged_for_what_the_shop_takes_its_time_for(guarded: Guarded) -> None:
    answered, expecting, paused = guarded.connect("203.0.113.1"), guarded.connect("203.0.113.2"), guarded.connect()
    answered.app.may_answer.clear()
    await answered.feed(REQUEST, REQUEST[:9])
    await paused.feed(POST)
    paused.protocol.flow.read_paused = True
    await expecting.feed(POST[:-2] + b"Expect: 100-continue\r\n\r\n")
    expecting.protocol.cycle.waiting_for_100_continue = True
    await guarded.clock.pass_by(100)
    assert not any(connection.pipe.closing for connection in (answered, expecting, paused))
    answered.app.may_answer.set()
    await guarded.clock.pass_by(HEAD_SECONDS + 1)
    assert answered.pipe.closing
    assert answered.pipe.written.count(b"200 OK") == 1


async def test_a_client_is_not_charged_for_the_time_in_which_the_worker_stood_still(guarded: Guarded) -> None:
    connection = guarded.connect()
    await connection.feed(REQUEST[:9])
    guarded.clock.now += 1000
    await guarded.clock.pass_by(1)
    assert not connection.pipe.closing
    await connection.feed(REQUEST[9:])
    assert connection.pipe.written.count(b"200 OK") == 1


async def test_an_answer_that_is_not_taken_ends_the_connection(guarded: Guarded) -> None:
    slow, stuck = guarded.connect(), guarded.connect()
    for connection in (slow, stuck):
        await connection.feed(REQUEST)
        connection.pipe.unsent = 1_000_000
        connection.protocol.pause_writing()

    async def take() -> None:
        slow.pipe.unsent -= 2 * RATE

    await guarded.clock.pass_by(100, take)
    assert (slow.pipe.aborted, stuck.pipe.aborted) == (False, True)


async def test_beyond_the_limit_of_its_address_a_connection_is_refused_in_good_order(guarded: Guarded) -> None:
    first = [guarded.connect() for _ in range(PER_ADDRESS)]
    refused = guarded.connect()
    assert refused.pipe.closing
    assert refused.pipe.written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nretry-after: 1\r\n" in refused.pipe.written
    assert not guarded.connect("203.0.113.10").pipe.closing
    assert not any(connection.pipe.closing for connection in first)
    refused.end()
    first[0].end()
    assert not guarded.connect().pipe.closing
    assert guarded.closed == [Closed.TOO_MANY]


async def test_proxies_and_unix_sockets_may_open_as_many_as_they_like() -> None:
    guarded = Guarded(uncounted="203.0.113.0/24")
    for client in ("203.0.113.9", "::ffff:203.0.113.9", ""):
        assert not any(guarded.connect(client).pipe.closing for _ in range(3 * PER_ADDRESS))


async def test_the_limit_is_one_for_all_workers_and_for_the_whole_network_of_an_ipv6_client() -> None:
    counts = ConnectionCounts(2)
    workers = Guarded(counts=counts), Guarded(counts=counts)
    for number, worker in enumerate(workers):
        counts.use_block(number)
        worker.connect("2001:db8::1")
    assert not workers[1].connect("2001:db8::2").pipe.closing
    refused = workers[1].connect("2001:db8::3")
    assert refused.pipe.closing
    refused.end()
    assert not workers[1].connect("2001:db8:0:1::3").pipe.closing
    # Another worker takes the place of the first, whose connections went with it.
    counts.use_block(0)
    assert not workers[0].connect("2001:db8::4").pipe.closing


async def test_the_silent_make_room_for_newcomers(guarded: Guarded) -> None:
    talking = guarded.connect("203.0.113.1", limit_concurrency=4)
    await talking.feed(REQUEST)
    silent = [guarded.connect(f"203.0.113.{last}", limit_concurrency=4) for last in (2, 3)]
    assert not any(connection.pipe.closing for connection in silent)
    newcomer = guarded.connect("203.0.113.4", limit_concurrency=4)
    assert [connection.pipe.closing for connection in (talking, *silent, newcomer)] == [False, True, False, False]
    silent[0].end()
    await newcomer.feed(REQUEST)
    assert newcomer.pipe.written.startswith(b"HTTP/1.1 200 OK")
    assert guarded.closed == [Closed.CROWDED_OUT]


async def test_a_flood_is_one_line_a_minute(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop.connections")
    for _ in range(PER_ADDRESS + 1000):
        guarded.connect()
    assert [record.getMessage() for record in records_of(caplog, "shop.connections")] == [
        "Connections: 1 refused, beyond MAX_CONNECTIONS_PER_ADDRESS, the last from 203.0.113.9"
    ]
    await guarded.clock.pass_by(60)
    assert records_of(caplog, "shop.connections")[-1].getMessage().startswith("Connections: 999 refused, ")
    assert len([record for record in records_of(caplog, "shop.connections") if record.levelname == "WARNING"]) == 2


async def test_without_connections_nothing_ticks(guarded: Guarded) -> None:
    connection = guarded.connect()
    connection.end()
    await guarded.clock.pass_by(1)
    assert guarded.clock.timers == []
    guarded.connect()
    assert len(guarded.clock.timers) == 1


async def test_garbage_for_an_address_is_counted_too() -> None:
    counts = ConnectionCounts()
    assert [counts.add(name) for name in ("", "x", "x", "fe80::1%eth0", "fe80::2%eth1")] == [1, 1, 2, 1, 2]
    counts.remove("x")
    assert counts.add("x") == 2
