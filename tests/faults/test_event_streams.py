"""E8: streams and waiting requests end at once when a worker drains, and the drain keeps its time."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import Popen

import httpx
import pytest

from tests.events.event_streams import streamed
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STREAMS = 5


@pytest.fixture
def shop(database: str, redis_url: str, tmp_path: Path) -> Iterator[tuple[str, Popen[bytes]]]:
    settings = {"DRAIN_SECONDS": "20", "BACKGROUND_WORKERS": "0"}
    with shop_processes(environment_of(database, redis_url, tmp_path, **settings), workers=1) as (url, launcher):
        yield url, launcher
        # A second one ends the drain.
        launcher.send_signal(signal.SIGTERM)


def test_streams_end_when_the_drain_begins(shop: tuple[str, Popen[bytes]]) -> None:
    url, launcher = shop
    begun = threading.Semaphore(0)

    def stream() -> dict[str, str] | None:
        with httpx.Client(base_url=url) as client, streamed(client) as opened:
            begun.release()
            return opened.fields()

    def wait() -> httpx.Response:
        begun.release()
        return httpx.get(f"{url}/events", params={"wait": 30}, timeout=60)

    with ThreadPoolExecutor(2 * STREAMS) as pool:
        ends = [pool.submit(stream) for _ in range(STREAMS)]
        waits = [pool.submit(wait) for _ in range(STREAMS)]
        for _ in range(2 * STREAMS):
            assert begun.acquire(timeout=60)
        launcher.send_signal(signal.SIGTERM)
        assert [end.result() for end in ends] == [None] * STREAMS
        answers = [one.result() for one in waits]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, [])] * STREAMS
    assert all(answer.headers["x-next-after"] == "0" for answer in answers)
    # It still serves, and whoever comes again is sent on.
    with httpx.Client(base_url=url) as client:
        assert client.get("/health/ready").status_code == 503
        with streamed(client) as opened:
            assert opened.response.headers["connection"] == "close"
            assert opened.fields() is None
        assert client.get("/events", params={"wait": 30}).json() == []
    assert launcher.poll() is None
