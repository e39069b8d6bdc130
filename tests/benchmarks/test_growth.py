"""The benchmark of growth: a filled shop keeps every invariant, and no request over its target goes unnoticed."""

import random
import subprocess
import sys

import httpx
import pytest

from benchmarks.growth import LARGE, Row, line, scaled
from benchmarks.growth_data import Size, word
from benchmarks.growth_filling import RowStream, fill
from benchmarks.growth_requests import TARGETS, cases, checkout_body
from config.settings import PROJECT_ROOT
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import breaches, new_database, rows_of

SIZE = Size(products=200, clients=40, orders=300)


@pytest.mark.unit
class TestVerdict:
    @pytest.mark.parametrize(
        ("large_ms", "target", "statuses", "verdict"),
        [
            (3.0, 1.5, (), "PASS"),
            (3.1, 1.5, (), "FAIL"),
            (24.0, 12.0, (), "PASS"),
            (99.0, None, (), ""),
            (2.0, 1.5, (200, 500), "FAIL  answered (200, 500)"),
            (2.0, None, (404,), "FAIL  answered (404,)"),
        ],
    )
    def test_is_by_ratio_and_answer(
        self, large_ms: float, target: float | None, statuses: tuple[int, ...], verdict: str
    ) -> None:
        row = Row("filter", "/orders?status=1", 2.0, large_ms, target, statuses)
        assert row.fails == verdict.startswith("FAIL")
        assert line(row).endswith(verdict or f"{row.ratio:.2f}")

    def test_a_scale_of_one_is_the_whole_shop(self) -> None:
        assert scaled(1) == LARGE
        assert scaled(0.01) == Size(10_000, 2_000, 10_000)


@pytest.mark.unit
def test_rows_are_read_in_pieces_and_none_is_lost() -> None:
    stream = RowStream(str(number) for number in range(1000))
    pieces = []
    while piece := stream.read(64):
        pieces.append(piece)
    assert len(pieces) > 10
    assert "".join(pieces).split() == [str(number) for number in range(1000)]


@pytest.mark.unit
def test_words_differ() -> None:
    assert len({word(number) for number in range(LARGE.words)}) == LARGE.words


@pytest.mark.integration
def test_a_filled_shop_keeps_every_invariant(servers: ServerUrls) -> None:
    url = new_database(servers.database_url)
    fill(url, SIZE)
    assert breaches(url) == []
    for table, rows in {"products": SIZE.products, "clients": SIZE.clients, "orders": SIZE.orders}.items():
        assert rows_of(url, f"SELECT count(*), max(id_key) FROM {table}") == [(rows, rows)]
    fill(url, SIZE)
    assert rows_of(url, "SELECT count(*) FROM clients") == [(SIZE.clients,)], "a filled shop is left alone"


@pytest.mark.integration
def test_everything_that_is_asked_exists(client: httpx.Client) -> None:
    """Keys aside: the shared shop has other rows, where a single read or a client's orders may be 404."""
    dice = random.Random(1)
    for case in cases():
        answer = client.get(case.path_in(SIZE, dice))
        assert answer.status_code == 200 or (answer.status_code == 404 and case.group in ("read", "combined")), case
    assert client.post("/checkout", json=checkout_body(SIZE, dice)).status_code != 422


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.integration
def test_a_small_run_measures_what_it_is_asked_for() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", "--scale", "0.001", "--repeats", "1", "--only", "checkout"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode in (0, 1), run.stderr
    assert "1 kinds of requests, 1 with a target" in run.stdout
    assert "answered" not in run.stdout, run.stdout
    assert f"{TARGETS['checkout']} {'FAIL' if run.returncode else 'PASS'}" in run.stdout
