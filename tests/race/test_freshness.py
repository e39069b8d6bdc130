"""What a write answered, every reader sees, on whichever worker it asks: no stale answer out of the cache."""

import itertools
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.race.crowd import Call, Connection
from tests.race.goods import Goods

pytestmark = [pytest.mark.race, pytest.mark.integration]

# Each is followed by seven reads.
WRITES = 300
# By each of four writers.
ADDED = 150


@pytest.fixture
def connections(race_url: str) -> Iterator[list[Connection]]:
    """Enough keep-alive connections that both workers have some of them."""
    opened = [Connection(race_url) for _ in range(8)]
    yield opened
    for connection in opened:
        connection.close()


class Readers:
    """Threads that read the same answers all the time, so that loads and writes keep crossing."""

    def __init__(self, url: str, paths: list[str], count: int = 2) -> None:
        self._stop = threading.Event()
        self.failures: list[object] = []
        self._threads = [threading.Thread(target=self._read, args=(url, paths)) for _ in range(count)]

    def _read(self, url: str, paths: list[str]) -> None:
        with Connection(url) as connection:
            for path in itertools.cycle(paths):
                if self._stop.is_set():
                    return
                outcome = connection.send(Call("GET", path))
                if outcome.status != 200:
                    self.failures.append(outcome)

    def __enter__(self) -> "Readers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_read_after_a_write_is_never_stale(
    race_url: str, http: httpx.Client, goods: Goods, connections: list[Connection]
) -> None:
    product = goods.product(stock=WRITES)
    one, many = f"/products/{product}", f"/products?category_id={goods.category_id}"
    turn = itertools.cycle(connections)
    cart = goods.cart((product, 1))
    with Readers(race_url, [one, many]) as readers:
        for left in range(WRITES - 1, -1, -1):
            assert next(turn).send(Call("POST", "/checkout", cart)).status == 201
            shown = [next(turn).get(one)["stock"] for _ in range(4)]
            listed = [next(turn).get(many)[0]["stock"] for _ in range(3)]
            assert shown + listed == [left] * 7
    assert readers.failures == []


def test_a_renamed_category_and_a_new_one_are_seen_at_once(
    race_url: str, http: httpx.Client, goods: Goods, connections: list[Connection]
) -> None:
    path = f"/categories/{goods.category_id}"
    name = http.get(path).json()["name"]
    turn = itertools.cycle(connections)
    with Readers(race_url, [path, "/categories"]) as readers:
        for number in range(WRITES // 4):
            new = f"{name}-{number}"
            assert next(turn).send(Call("PUT", path, {"name": new})).status == 200
            assert {next(turn).get(path)["name"] for _ in range(4)} == {new}
            assert next(turn).get(f"/categories?name={new}")[0]["name"] == new
    assert readers.failures == []


def test_the_number_of_all_rows_has_every_row_that_was_answered(race_url: str) -> None:
    """A count grows by new rows without a look at them: also where it is made while others come and go."""
    started = finished = 0
    lock = threading.Lock()

    def write(number: int) -> None:
        nonlocal started, finished
        with Connection(race_url) as connection:
            for step in range(ADDED):
                with lock:
                    started += 1
                name = f"counted {number} {step} {uuid.uuid4()}"
                row = connection.send(Call("POST", "/categories", {"name": name}))
                assert row.status == 201
                with lock:
                    finished += 1
                if step % 25 == 24:
                    # What is removed has all rows counted again, in the middle of everything.
                    with lock:
                        removals.append(row.body["id_key"])

    def total(connection: Connection) -> int:
        return int(connection.send(Call("GET", "/categories?limit=1")).headers["x-total-count"])

    removals: list[int] = []
    with Connection(race_url) as connection, ThreadPoolExecutor(5) as pool:
        before = total(connection)
        writers = [pool.submit(write, number) for number in range(4)]
        removed = 0
        while not all(writer.done() for writer in writers):
            with lock:
                least, removal = finished, removals.pop() if removals else None
            if removal is not None:
                assert connection.send(Call("DELETE", f"/categories/{removal}")).status == 204
                removed += 1
            shown = total(connection) - before + removed
            with lock:
                most = started
            assert least <= shown <= most
        for writer in writers:
            writer.result()
        assert total(connection) - before + removed == 4 * ADDED
