"""The fast path: the responses of the layers, without a call of them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infrastructure.cache.batcher import SharedFuture
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import TagValues
from infrastructure.observability.access_log import AccessLog
from infrastructure.observability.metrics import Metrics
from infrastructure.server.deferred_request import DeferredRequest
from infrastructure.server.http_protocol import ShopProtocol
from middleware import conditional_response as conditional_response_module
from middleware.cache_control import SHARED
from middleware.conditional_response import LARGE_BYTES, ConditionalResponse, LargeBodies
from middleware.edge import Edge
from middleware.fast_path import FastPath
from middleware.rate_limit import RateLimit
from middleware.request_context import RequestContext
from middleware.route_cache import register
from services.errors import NotFound
from tests.counted import hits, misses, requests
from tests.middleware.asgi import call, scope_of, served
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.unit]

ANSWER = RenderedResponse(b'{"id_key":1}', '"v1"', {"X-Total-Count": "1"})
NEWER = RenderedResponse(b'{"id_key":2}', '"v2"')
LARGE = b'{"id_key":1,"name":"%b"}' % (b"lamp " * 500)
# The headers that differ from one response to the next.
OWN_TO_A_RESPONSE = {"date", "x-request-id", "x-response-time", "x-ratelimit-remaining", "ratelimit", "traceparent"}
# With this header a request goes through the layers.
BY_THE_LAYERS = {"Origin": "https://shop.example"}
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Thing:
    """A resolved route whose state the tests set. A new response waits at the gate."""

    cache_control = SHARED

    def __init__(self) -> None:
        self.has_copy = self.is_cached = True
        self.is_gone = self.broken = self.away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.answered = 0
        self.copy = ANSWER

    def check(self) -> SharedFuture[TagValues] | None:
        if not self.is_cached:
            return None
        found: SharedFuture[TagValues] = SharedFuture()
        asyncio.get_running_loop().call_soon(self._find, found)
        return found

    def _find(self, found: SharedFuture[TagValues]) -> None:
        if self.away:
            found.set_exception(RedisUnavailable("away"))
            found.exception()
        else:
            found.set_result({})

    def get_if_fresh(self, current: TagValues) -> RenderedResponse | None:
        if self.broken:
            raise RuntimeError("broken")
        return self.copy if self.has_copy else None

    async def get_or_load(self, current: SharedFuture[TagValues] | None = None) -> tuple[RenderedResponse, bool | None]:
        self.answered += 1
        if self.is_gone:
            raise NotFound("Thing", 1)
        if not self.is_cached:
            return self.copy, None
        if self.has_copy:
            return self.copy, True
        await self.gate.wait()
        return NEWER, False


class Service:
    draining = False
    tracer = None


class SmallShop:
    """Routes that register, within the layers, and the fast path beside them."""

    def __init__(self, calls: int = 1000) -> None:
        self.thing, self.service = Thing(), Service()
        self.asked = self.called = 0
        self.metrics, self.access_log = Metrics(), AccessLog()
        edge = Edge(self.route, limit=RateLimit(gateway=RedisGateway(None), calls=calls, period=60))
        self.layers = RequestContext(edge, service=self.service, metrics=self.metrics, access_log=self.access_log)
        self.fast_path = FastPath(edge, self.layers)

    async def route(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        register(scope, self.thing)
        await Response(b"from the routes")(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.called += 1
        await self.layers(scope, receive, send)

    def handle_early(self, request: DeferredRequest) -> bool:
        return self.fast_path.handle_early(request)


@asynccontextmanager
async def client_of(shop: SmallShop) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the shop, whose only target is registered."""
    async with (
        served(shop, http=ShopProtocol) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}") as client,
    ):
        assert (await client.get("/things/1")).text == "from the routes"
        shop.called = 0
        yield client


async def read_and_count(shop: SmallShop, client: httpx.AsyncClient) -> tuple[httpx.Response, int, int]:
    """The response to one more request, and the hits and misses of the cache that were counted for it."""
    before = hits(shop.metrics), misses(shop.metrics)
    response = await client.get("/things/1")
    return response, hits(shop.metrics) - before[0], misses(shop.metrics) - before[1]


async def test_a_trace_goes_on_on_both_ways(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop.access")
    shop = SmallShop()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    async with client_of(shop) as client:
        answers = [await client.get("/things/1", headers=headers | more) for more in ({}, BY_THE_LAYERS)]
        without = await client.get("/things/1")
    shop.access_log.write()

    assert shop.called == 1
    for answer in answers:
        assert answer.headers["traceparent"].startswith(f"00-{trace}-")
        assert answer.headers["traceparent"] != headers["traceparent"]
    assert "traceparent" not in without.headers


async def test_a_cached_read_does_not_go_through_the_layers() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        response = await client.get("/things/1")

    assert (response.status_code, response.content, shop.called) == (200, ANSWER.body, 0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("etag", ['"v1"', 'W/"v1", "v0"', '"v0"'])
async def test_it_answers_what_the_layers_answer(method: str, etag: str) -> None:
    shop = SmallShop()
    headers = {"If-None-Match": etag, "X-Request-ID": "abc-123"}
    async with client_of(shop) as client:
        fast = await client.request(method, "/things/1", headers=headers)
        assert shop.called == 0
        slow = await client.request(method, "/things/1", headers=headers | BY_THE_LAYERS)
        assert shop.called == 1

    assert (fast.status_code, fast.content) == (slow.status_code, slow.content)
    assert fast.headers.keys() == slow.headers.keys()
    for name in fast.headers.keys() - OWN_TO_A_RESPONSE:
        assert fast.headers[name] == slow.headers[name], name
    assert fast.headers["X-Request-ID"] == "abc-123"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("coding", ["identity", "gzip", "gzip, deflate, br, zstd", "gzip;q=0, *"])
@pytest.mark.parametrize("etag", ['"v1"', '"v1-gzip"', 'W/"v1-zstd"', '"v0"'])
async def test_it_compresses_as_the_layers_do(method: str, coding: str, etag: str) -> None:
    shop = SmallShop()
    headers = {"Accept-Encoding": coding, "If-None-Match": etag}
    async with client_of(shop) as client:
        # One response for each way, so that each has to be compressed.
        shop.thing.copy = RenderedResponse(LARGE, '"v1"')
        fast = await client.request(method, "/things/1", headers=headers)
        assert shop.called == 0
        shop.thing.copy = RenderedResponse(LARGE, '"v1"')
        slow = await client.request(method, "/things/1", headers=headers | BY_THE_LAYERS)
        assert shop.called == 1

    assert fast.headers["Vary"] == "Accept-Encoding"
    assert (fast.status_code, fast.headers.keys()) == (slow.status_code, slow.headers.keys())
    for name in fast.headers.keys() - OWN_TO_A_RESPONSE:
        assert fast.headers[name] == slow.headers[name], name


async def test_a_compressed_form_is_cached_with_its_response() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        shop.thing.copy = RenderedResponse(LARGE, '"v1"')
        for _ in range(2):
            answers = await asyncio.gather(*(client.get("/things/1", headers=GZIP) for _ in range(5)))
            assert {answer.content for answer in answers} == {LARGE}
            assert {answer.headers["ETag"] for answer in answers} == {'"v1-gzip"'}
            assert shop.thing.copy.coded.size == int(answers[0].headers["Content-Length"]) < len(LARGE)
    assert shop.called == 0


@pytest.mark.parametrize("is_cached", [True, False])
@pytest.mark.parametrize("size", [LARGE_BYTES, LARGE_BYTES + 1, 20 * LARGE_BYTES])
async def test_a_large_answer_is_read_once_and_sent_in_pieces(size: int, is_cached: bool) -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        body = bytes(place % 251 for place in range(997)) * (size // 997 + 1)
        shop.thing.copy, shop.thing.is_cached = RenderedResponse(body[:size], '"v1"'), is_cached
        answer = await client.get("/things/1", headers={"Accept-Encoding": "identity"})
        assert answer.content == body[:size]
        assert answer.headers["Content-Length"] == str(size)
        head = await client.head("/things/1", headers={"Accept-Encoding": "identity"})
        assert (head.headers["Content-Length"], head.content) == (str(size), b"")
    assert shop.called == (1 if size > LARGE_BYTES else 0)
    assert shop.thing.answered == (0 if is_cached else 2)


async def test_no_piece_of_a_large_answer_is_large() -> None:
    body = bytes(3 * LARGE_BYTES + 5)
    sent = await call(ConditionalResponse(200, (), body), scope_of())
    pieces = [message["body"] for message in sent[1:]]
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= LARGE_BYTES
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(pieces) - 1) + [False]


async def test_an_answer_that_cannot_be_written_is_left_to_the_layers(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks gets an answer, whatever is wrong with what was to be sent: a header that no server can send."""
    shop = SmallShop()
    async with client_of(shop) as client:
        for has_copy in (True, False):
            shop.thing.has_copy = has_copy
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(shop.fast_path, "_send", broken)
                assert (await client.get("/things/1")).status_code == 200
    assert caplog.text.count("could not be answered on the fast path") == 2


def broken(*args: object) -> bool:
    raise UnicodeEncodeError("latin-1", "€", 0, 1, "no such letter")


async def test_an_old_answer_is_made_anew() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        shop.thing.has_copy = False
        response, hits, misses = await read_and_count(shop, client)

    assert (response.content, response.headers["X-Cache-Hit"]) == (NEWER.body, "false")
    assert (shop.asked, shop.called, shop.thing.answered) == (1, 0, 1)
    assert (hits, misses) == (0, 1)


async def test_what_is_never_cached_says_nothing_of_a_cache() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        shop.thing.is_cached = False
        response, hits, misses = await read_and_count(shop, client)

    assert (response.content, shop.called) == (ANSWER.body, 0)
    assert "X-Cache-Hit" not in response.headers
    assert (hits, misses) == (0, 0)


async def test_nobody_waits_for_one_that_is_read_anew() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        shop.thing.has_copy = False
        shop.thing.gate.clear()
        slow = asyncio.create_task(client.get("/things/1"))
        await until(lambda: shop.thing.answered == 1)
        shop.thing.has_copy = True
        assert (await client.get("/things/1")).content == ANSWER.body
        assert not slow.done()
        shop.thing.gate.set()
        assert (await slow).status_code == 200


async def test_a_read_that_fails_is_answered_by_the_layers_and_counted_once() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        before = await client.get("/things/1")
        shop.thing.has_copy, shop.thing.is_gone = False, True
        response = await client.get("/things/1")

    assert (response.status_code, response.json()["message"]) == (404, "Thing with id 1 not found")
    remaining = [int(answer.headers["X-RateLimit-Remaining"]) for answer in (before, response)]
    assert remaining[0] - remaining[1] == 1


async def test_who_has_sent_too_much_is_refused() -> None:
    shop = SmallShop(calls=2)
    async with client_of(shop) as client:
        responses = [await client.get("/things/1") for _ in range(3)]

    assert [response.status_code for response in responses] == [200, 429, 429]
    assert [response.headers["X-RateLimit-Remaining"] for response in responses] == ["0", "0", "0"]
    assert responses[1].headers["Content-Type"] == "application/problem+json"


async def test_with_redis_away_it_is_read_anew() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        shop.thing.away = True
        response = await client.get("/things/1")

    assert (response.status_code, response.content, shop.thing.answered) == (200, ANSWER.body, 1)


async def test_one_that_fails_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        shop.thing.broken = True
        responses = await asyncio.gather(*(client.get("/things/1") for _ in range(5)))

    assert {response.content for response in responses} == {ANSWER.body}
    assert shop.thing.answered == 5
    remaining = sorted(int(response.headers["X-RateLimit-Remaining"]) for response in responses)
    assert remaining == [*range(remaining[0], remaining[0] + 5)]
    assert "could not be answered on the fast path" in caplog.text


async def test_whoever_drains_asks_clients_to_leave() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        shop.service.draining = True
        assert (await client.get("/things/1")).headers["Connection"] == "close"


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    shop = SmallShop()
    async with client_of(shop) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        for number in range(50):
            writer.write(b"GET /things/1 HTTP/1.1\r\nHost: shop\r\nX-Request-ID: %d\r\n\r\n" % number)
        for number in range(50):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            assert b"x-request-id: %d\r\n" % number in head
            assert await reader.readexactly(len(ANSWER.body)) == ANSWER.body
        writer.close()

    assert shop.called == 0


async def test_requests_are_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop.access")
    shop = SmallShop()
    async with client_of(shop) as client:
        before = hits(shop.metrics), misses(shop.metrics), requests(shop.metrics)
        await asyncio.gather(*(client.get("/things/1", headers={"X-Request-ID": "abc-123"}) for _ in range(3)))
    shop.access_log.write()

    after = hits(shop.metrics), misses(shop.metrics), requests(shop.metrics)
    assert [count - first for count, first in zip(after, before, strict=True)] == [3, 0, 3]
    assert caplog.text.count("[abc-123] GET /things/1 - 200 OK") == 3


async def test_large_answers_under_way_have_a_bound_and_one_for_many_counts_once() -> None:
    large, others = LargeBodies(most=10), [bytes([place]) * 4 for place in range(4)]
    assert [large.take(body) for body in (others[0], others[0], others[1], others[2])] == [True, True, True, False]
    large.give_back(others[0])
    assert not large.take(others[2])
    large.give_back(others[0])
    assert [large.take(others[2]), large.take(others[3])] == [True, False]
    for body in (others[1], others[2]):
        large.give_back(body)
    assert large.take(bytes(10))


async def test_a_large_answer_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditional_response_module, "_large", LargeBodies(most=LARGE_BYTES))
    sent = await call(ConditionalResponse(200, (), bytes(LARGE_BYTES + 1)), scope_of())
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
