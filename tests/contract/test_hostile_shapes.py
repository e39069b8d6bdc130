"""Requests of every shape that is known to be costly: none holds the others up, fills the memory or is answered at length.

`python -m benchmarks.hostile` measures the same from outside, with the waits of another client.
"""

import gc
import http.client
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.hostile import LARGEST_REFUSAL, forget_peak, memory_bound, peak_megabytes
from benchmarks.hostile_bodies import MEBIBYTE, Hostile, shapes
from tests.bounds import Bounds
from tests.builders import a_category
from tests.pieces import Pieces, measured_pieces
from tests.shop import environment_of, shop_in_thread, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# A bulk request of this size shows what a larger one would: to read it at once takes several times as long as allowed.
SMALLER = 3 * MEBIBYTE
LONGEST_PIECE = 0.05
# What the kernel does for a thread counts as its time, too, and on a crowded machine that can be much, once.
ATTEMPTS = 3
# The heaviest, which take seconds each.
FLOODS = {"10,000 long products", "10,000 long products under a key", "10,000 products of two scripts"}


def flood(name: str) -> object:
    """A parameter that `make test` leaves to `make test-faults`."""
    return pytest.param(name, marks=pytest.mark.chaos)


def send(url: str, hostile: Hostile) -> tuple[int, bytes]:
    """The status and the body of the answer."""
    connection = http.client.HTTPConnection(httpx.URL(url).netloc.decode(), timeout=100)
    try:
        connection.request(hostile.method, hostile.path, hostile.body, hostile.headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def category_of(url: str) -> int:
    """The key of a category for products to be of."""
    with httpx.Client(base_url=url) as client:
        return int(a_category(client)["id_key"])


@pytest.fixture(scope="module")
def measured_shop(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Pieces]]:
    """The URL of a shop in this process, and how long its threads keep the interpreter."""
    environment = environment_of(database_url, redis_url, tmp_path_factory.mktemp("held"))
    with measured_pieces() as pieces, shop_in_thread(environment) as url:
        yield url, pieces


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected: the collector would look through all that the tests have here."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def one_worker(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The URL of a production server, and the process id of its one worker."""
    environment = environment_of(database_url, None, tmp_path_factory.mktemp("memory"))
    with shop_processes(environment, workers=1) as (url, launcher):
        parent = psutil.Process(launcher.pid)
        (worker,) = [child.pid for child in parent.children() if child.cmdline() == parent.cmdline()]
        yield url, worker


@pytest.mark.timed
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", shapes())
def test_nobody_is_held_up(measured_shop: tuple[str, Pieces], name: str, bounds: Bounds) -> None:
    url, pieces = measured_shop
    make = shapes(SMALLER, category_of(url))[name]
    found: list[tuple[float, str]] = []
    while len(found) < ATTEMPTS and (not found or found[-1][0] >= LONGEST_PIECE):
        pieces.forget()
        status, body = send(url, make())
        assert status < 500
        assert status < 400 or len(body) <= LARGEST_REFUSAL
        found.append((pieces.longest, pieces.what))
    bounds.require(min(found)[0], LONGEST_PIECE, min(found)[1], margin=0)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a process")
@pytest.mark.parametrize(
    "name",
    [
        "rows of unknown fields",
        "one row of unknown fields",
        "unknown fields",
        "a name: empty arrays",
        flood("rows: fractions"),
        flood("rows: small objects"),
        flood("rows: nested often"),
        flood("rows: one text of two scripts"),
        *map(flood, sorted(FLOODS)),
    ],
)
def test_the_memory_is_bounded(one_worker: tuple[str, int], name: str) -> None:
    url, worker = one_worker
    category = category_of(url)
    # What the first request of its kind makes for all of them is not its own.
    send(url, shapes(SMALLER, category)[name]())
    hostile = shapes(category=category)[name]()
    before = forget_peak(worker)
    assert send(url, hostile)[0] == (201 if hostile.is_valid else 422)
    assert peak_megabytes(worker) - before < memory_bound(hostile.size)
