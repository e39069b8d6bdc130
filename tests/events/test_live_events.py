"""Waiting for events: by requests that wait, and by streams; on workers with and without Redis."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from events.news import News
from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_category
from tests.events.event_streams import streamed
from tests.infrastructure.processes import wait_for
from tests.race.databases import execute, new_database, rows_of
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

_WRITE = "INSERT INTO events (type, resource, resource_id, data) VALUES (%s, 'products', %s, %s) RETURNING id::text"


@pytest.fixture(scope="module")
def database(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture(scope="module", params=["redis", "alone"])
def shop(
    request: pytest.FixtureRequest, database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    redis = redis_url if request.param == "redis" else None
    settings = {"LIMIT_EVENT_STREAMS": "3", "LIMIT_EVENT_WAITS": "2"}
    with (
        shop_in_thread(environment_of(database, redis, tmp_path_factory.mktemp("live"), **settings)) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


@pytest.fixture
def end(shop: httpx.Client) -> int:
    """The sequence behind which there is nothing."""
    after = 0
    while True:
        response = shop.get("/events", params={"after": after, "limit": 1000})
        if not response.json():
            return int(response.headers["x-next-after"])
        after = int(response.headers["x-next-after"])


def write(url: str, kind: str = "product.updated", resource_id: int = 1, data: str = "{}") -> str:
    ((event_id,),) = rows_of(url, _WRITE, kind, resource_id, data)
    return str(event_id)


class TestWait:
    def test_an_event_that_is_there_is_answered_at_once(self, shop: httpx.Client, database: str, end: int) -> None:
        event_id = write(database)
        (event,) = shop.get("/events", params={"after": end, "wait": 30}).json()
        assert event["id"] == event_id

    def test_one_that_comes_ends_the_wait(self, shop: httpx.Client, database: str, end: int) -> None:
        with ThreadPoolExecutor(1) as pool:
            response = pool.submit(shop.get, "/events", params={"after": end, "wait": 30})
            time.sleep(0.2)
            event_id = write(database)
            (event,) = response.result().json()
        assert event["id"] == event_id
        assert response.result().headers["x-next-after"] == str(event["sequence"])

    def test_one_that_is_not_asked_for_does_not(self, shop: httpx.Client, database: str, end: int) -> None:
        asked: dict[str, Any] = {"after": end, "wait": 30, "type": "stock.*", "resource_id": 7}
        with ThreadPoolExecutor(1) as pool:
            response = pool.submit(shop.get, "/events", params=asked)
            time.sleep(0.2)
            write(database, "stock.low", 8)
            write(database, "product.updated", 7)
            wanted = write(database, "stock.low", 7)
            (event,) = response.result().json()
        assert event["id"] == wanted

    def test_what_the_shop_does_ends_it_too(self, shop: httpx.Client, end: int) -> None:
        with ThreadPoolExecutor(1) as pool:
            response = pool.submit(shop.get, "/events", params={"after": end, "wait": 30, "type": "category.*"})
            time.sleep(0.2)
            category = a_category(shop)
            events = response.result().json()
        assert [event["resource_id"] for event in events] == [category["id_key"]]

    def test_nothing_is_an_empty_array_at_the_end_of_the_time(self, shop: httpx.Client, end: int) -> None:
        response = shop.get("/events", params={"after": end, "wait": "0.3"})
        assert response.json() == []
        assert response.headers["x-next-after"] == str(end)
        # A timer of the event loop counts from the beginning of its turn.
        assert float(response.headers["x-response-time"]) >= 200

    def test_who_waits_far_ahead_keeps_nobody_from_their_end(self, shop: httpx.Client, database: str, end: int) -> None:
        with streamed(shop, after=2**63 - 1):
            assert shop.get("/events", params={"after": end, "wait": "0.3"}).json() == []
            self.test_one_that_comes_ends_the_wait(shop, database, end)

    def test_removed_events_keep_nobody_from_their_end(self, shop: httpx.Client, database: str, end: int) -> None:
        write(database)
        newest = shop.get("/events", params={"after": end}).headers["x-next-after"]
        with streamed(shop, after=newest):
            time.sleep(0.1)
            execute(database, "DELETE FROM events")
            assert shop.get("/events", params={"after": 0, "wait": "0.3"}).json() == []
            self.test_one_that_comes_ends_the_wait(shop, database, 0)

    def test_who_comes_when_the_last_one_has_just_gone_is_told_too(
        self, shop: httpx.Client, database: str, end: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closing, come = threading.Event(), threading.Event()
        close = News.__aexit__

        async def close_late(news: News, *error: object) -> None:
            closing.set()
            await asyncio.to_thread(come.wait, 60)
            await close(news, *error)

        monkeypatch.setattr(News, "__aexit__", close_late)
        deadline = time.monotonic() + 60
        while not closing.wait(1.5):
            assert time.monotonic() < deadline
            shop.get("/events", params={"after": end, "wait": "0.1"})
        with ThreadPoolExecutor(1) as pool:
            response = pool.submit(shop.get, "/events", params={"after": end, "wait": 30})
            time.sleep(0.3)
            come.set()
            time.sleep(0.3)
            event_id = write(database)
            assert [event["id"] for event in response.result().json()] == [event_id]
        assert float(response.result().headers["x-response-time"]) < 25_000

    @pytest.mark.parametrize("wait", ["-1", "30.1", "31", "x", "1s", "NaN"])
    def test_a_time_that_it_cannot_wait_is_422(self, shop: httpx.Client, wait: str) -> None:
        assert shop.get("/events", params={"wait": wait}).status_code == 422

    def test_a_head_waits_for_nothing(self, shop: httpx.Client, end: int) -> None:
        assert shop.head("/events", params={"after": end, "wait": 30}).status_code == 200

    def test_there_is_a_limit_of_its_own(self, shop: httpx.Client, database: str, end: int) -> None:
        with ThreadPoolExecutor(8) as pool:
            asked: dict[str, Any] = {"after": end, "wait": 20, "type": "stock.low"}
            responses = [pool.submit(shop.get, "/events", params=asked) for _ in range(4)]
            while sum(response.done() for response in responses) < 2:
                time.sleep(0.02)
            refused = [response.result() for response in responses if response.done()]
            write(database, "stock.low")
            answered = [response.result() for response in responses]
        assert sorted(response.status_code for response in answered) == [200, 200, 503, 503]
        for response in refused:
            assert response.headers["retry-after"] == "1"
            assert response.json()["code"] == "service_unavailable"

    def test_a_client_that_goes_frees_its_place(self, shop: httpx.Client, end: int) -> None:
        for _ in range(6):
            with pytest.raises(httpx.ReadTimeout):
                httpx.get(f"{shop.base_url}/events", params={"after": end, "wait": 30}, timeout=0.2)
        deadline = time.monotonic() + 60
        while shop.get("/events", params={"after": end, "wait": "0.01"}).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)


class TestStream:
    def test_events_come_one_by_one_in_their_order(self, shop: httpx.Client, database: str, end: int) -> None:
        with streamed(shop, after=end) as stream:
            for _ in range(3):
                event_id = write(database)
                assert stream.event()["id"] == event_id
            ids = [write(database) for _ in range(150)]
            assert [event["id"] for event in stream.events(150)] == ids

    def test_its_head_is_that_of_a_stream(self, shop: httpx.Client) -> None:
        headers = {"Accept-Encoding": "gzip, zstd"}
        with streamed(shop, headers) as stream:
            response = stream.response
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            assert "content-encoding" not in response.headers
            assert "etag" not in response.headers
        assert shop.head("/events/stream").status_code == 200
        assert shop.post("/events/stream").status_code == 405

    def test_its_first_field_is_a_retry_longer_than_a_drain(self, shop: httpx.Client) -> None:
        with shop.stream("GET", "/events/stream") as response:
            match = re.fullmatch(r"retry: (\d+)", next(response.iter_lines()))
        assert match is not None
        assert 1100 <= int(match[1]) <= 2100

    def test_data_is_the_event_in_one_line(self, shop: httpx.Client, database: str, end: int) -> None:
        event_id = write(database, data='{"a":\r\n 1.50,\n "b": "x\\ny"}')
        with streamed(shop, after=end) as stream:
            fields = stream.fields()
        assert fields is not None
        assert '{"a":   1.50,  "b": "x\\ny"}' in fields["data"]
        assert shop.get(f"/events/{event_id}").json()["data"] == {"a": 1.5, "b": "x\ny"}

    def test_without_a_place_it_begins_now(self, shop: httpx.Client, database: str) -> None:
        write(database)
        with streamed(shop) as stream:
            event_id = write(database)
            assert stream.event()["id"] == event_id

    def test_last_event_id_goes_on_behind_it(self, shop: httpx.Client, database: str, end: int) -> None:
        ids = [write(database) for _ in range(3)]
        with streamed(shop, after=end) as stream:
            first = stream.event()
        with streamed(shop, {"Last-Event-ID": str(first["sequence"])}, after=0) as stream:
            assert [event["id"] for event in stream.events(2)] == ids[1:]

    @pytest.mark.parametrize("text", ["x", "-1", "1.5", "1 2", "9" * 30])
    def test_what_is_no_id_of_a_stream_is_422(self, shop: httpx.Client, text: str) -> None:
        response = shop.get("/events/stream", headers={"Last-Event-ID": text})
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["header", "Last-Event-ID"]

    @pytest.mark.parametrize("params", [{"limit": 5}, {"wait": 1}, {"type": "x"}, {"after": "x"}])
    def test_it_has_the_same_filters_and_no_others(self, shop: httpx.Client, params: dict[str, Any]) -> None:
        assert shop.get("/events/stream", params=params).status_code == 422

    def test_filters(self, shop: httpx.Client, database: str) -> None:
        with streamed(shop, type="stock.*", resource_id=7) as stream:
            write(database, "stock.low", 8)
            write(database, "product.updated", 7)
            wanted = write(database, "stock.out", 7)
            assert stream.event()["id"] == wanted

    def test_there_is_a_limit_of_its_own(self, shop: httpx.Client) -> None:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(streamed(shop))
            refused = shop.get("/events/stream")
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["code"] == "service_unavailable"
        deadline = time.monotonic() + 60
        while shop.head("/events/stream").status_code != 200:
            assert time.monotonic() < deadline

    def test_a_slow_reader_delays_nobody(self, shop: httpx.Client, database: str, end: int) -> None:
        big = '{"text": "' + "x" * 50_000 + '"}'
        with streamed(shop, after=end), streamed(shop, after=end) as quick:
            for _ in range(200):
                write(database, data=big)
            assert len(quick.events(200)) == 200

    def test_streams_hold_no_connection_to_the_database(self, shop: httpx.Client, database: str) -> None:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(streamed(shop))
            shop.get("/products")
            busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
            assert rows_of(database, busy) == [(0,)]

    def test_its_time_is_no_time_of_a_request(self, shop: httpx.Client) -> None:
        def counted() -> float:
            text = shop.get("/metrics").text
            return float(re.findall(r"^shop_http_request_duration_seconds_sum (\S+)$", text, re.M)[0])

        open_seconds = 2
        start, before = time.monotonic(), counted()
        with streamed(shop):
            time.sleep(open_seconds)
        # The server has noticed the end when there is a place for all.
        with streamed(shop), streamed(shop), streamed(shop):
            grown = counted() - before
        # What the other requests took.
        assert grown <= time.monotonic() - start - open_seconds


@pytest.fixture
def own_shop(database: str, redis_url: str, tmp_path: Path) -> Iterator[str]:
    with shop_in_thread(environment_of(database, redis_url, tmp_path)) as url:
        yield url


def test_a_server_that_stops_ends_streams_and_waits(database: str, redis_url: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool, httpx.Client(timeout=60) as client:
        environment = environment_of(database, redis_url, tmp_path, LIMIT_EVENT_WAITS="1")
        with shop_in_thread(environment) as url:
            client.base_url = httpx.URL(url)
            begun = threading.Event()

            def stream() -> int:
                with streamed(client) as opened:
                    begun.set()
                    return 0 if opened.fields() is None else 1

            ended = pool.submit(stream)
            end = client.get("/events", params={"limit": 1000}).headers["x-next-after"]

            def wait() -> httpx.Response:
                params = {"after": end, "wait": "30", "type": "user.registered"}
                # The place may be taken by the one who looks whether it is.
                while (response := client.get("/events", params=params)).status_code == 503:
                    pass
                return response

            waited = pool.submit(wait)
            begun.wait(60)
            # Beside the one that waits there is no place.
            nothing = {"after": end, "wait": "0.01", "type": "user.registered"}
            wait_for(lambda: client.get("/events", params=nothing).status_code == 503, "the request to wait")
        assert ended.result() == 0
        assert waited.result().json() == []


def test_a_database_that_is_away_ends_no_stream(own_shop: str, database: str) -> None:
    with httpx.Client(base_url=own_shop, timeout=60) as client, streamed(client) as stream:
        execute(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        event_id = write(database)
        assert stream.event()["id"] == event_id
