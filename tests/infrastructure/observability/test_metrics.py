"""Counting, alone and together with other workers, which may end in any way."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from infrastructure.observability import metrics_folder as module
from infrastructure.observability.metric_families import (
    HTTP_DURATION,
    HTTP_IN_FLIGHT,
    HTTP_REQUESTS,
    POOL_SIZE,
    POOL_WAITING,
    RESIDENT_MEMORY,
    TIME_BOUNDS,
)
from infrastructure.observability.metrics import Metrics
from infrastructure.observability.metrics_folder import metrics_folder
from tests.counted import hits, misses
from tests.log_records import records_of

pytestmark = pytest.mark.unit

_WORKER = """
import sys
from pathlib import Path
from infrastructure.observability.metric_families import POOL_SIZE
from infrastructure.observability.metrics import Metrics

metrics = Metrics()
with metrics.shared(Path(sys.argv[1])):
    for _ in range(5):
        metrics.count_read(hit=True)
    metrics.record(POOL_SIZE, 6)
    print("counted", flush=True)
    sys.stdin.readline()
"""


def requests_of(metrics: Metrics) -> dict[tuple[str, ...], int]:
    return {
        name[1:]: numbers[0] for name, numbers in metrics.snapshot().totals.items() if name[0] == HTTP_REQUESTS.name
    }


def start_worker(folder: Path) -> subprocess.Popen[str]:
    """Another process that has counted five hits and still lives."""
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(folder)],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "counted\n"
    return worker


class TestOneWorker:
    def test_requests_are_counted_by_route_method_and_status(self) -> None:
        metrics = Metrics()
        for method, route, status in [
            ("GET", "/products", 200),
            ("GET", "/products/{id_key}", 200),
            ("GET", "/products/{id_key}", 200),
            ("GET", "/products/{id_key}", 304),
            ("BREW", "/orders", 405),
            ("SPILL", "/orders", 405),
            ("GET", "other", 404),
        ]:
            metrics.count_request(method, route, status, 0.0)
        assert requests_of(metrics) == {
            ("/products", "GET", "200"): 1,
            ("/products/{id_key}", "GET", "200"): 2,
            ("/products/{id_key}", "GET", "304"): 1,
            ("/orders", "other", "405"): 2,
            ("other", "GET", "404"): 1,
        }

    def test_times_are_counted_in_the_first_bucket_that_holds_them(self) -> None:
        metrics = Metrics()
        times = (0.0005, TIME_BOUNDS[0], 0.3, TIME_BOUNDS[-1] + 1)
        for seconds in times:
            metrics.count_request("GET", "/products", 200, seconds)
        *buckets, total = metrics.snapshot().totals[HTTP_DURATION.name, "/products"]
        expected = [0] * (len(TIME_BOUNDS) + 1)
        expected[0], expected[TIME_BOUNDS.index(0.5)], expected[-1] = 2, 1, 1
        assert buckets == expected
        assert total / 1e9 == pytest.approx(sum(times))

    def test_hits_and_misses(self) -> None:
        metrics = Metrics()
        for hit in (True, True, False):
            metrics.count_read(hit=hit)
        assert (hits(metrics), misses(metrics)) == (2, 1)

    def test_it_tells_how_it_is(self) -> None:
        metrics = Metrics()
        metrics.record(POOL_SIZE, 6)
        metrics.record(POOL_WAITING, 3, "threads")
        metrics.record_memory()
        metrics.begin_request()
        metrics.begin_request()
        metrics.end_request()
        ((number, states),) = metrics.snapshot().workers.items()
        assert (number, states[POOL_SIZE.name,], states[POOL_WAITING.name, "threads"]) == (0, 6, 3)
        assert states[HTTP_IN_FLIGHT.name,] == 1
        # A Python process holds more than 5 MB, and these tests do not fill 5 GB.
        assert 5e6 < states[RESIDENT_MEMORY.name,] < 5e9


class TestSeveralWorkers:
    def test_each_tells_the_sum_of_all(self, tmp_path: Path) -> None:
        one, other = Metrics(), Metrics()
        with one.shared(tmp_path), other.shared(tmp_path):
            one.count_request("GET", "/products", 200, 0.25)
            other.count_request("GET", "/products", 200, 0.5)
            other.count_request("PUT", "/products/{id_key}", 412, 0.001)
            for metrics in (one, other):
                assert requests_of(metrics) == {
                    ("/products", "GET", "200"): 2,
                    ("/products/{id_key}", "PUT", "412"): 1,
                }
                assert metrics.snapshot().totals[HTTP_DURATION.name, "/products"][-1] == 750_000_000

    def test_each_is_published_by_itself(self, tmp_path: Path) -> None:
        one, other = Metrics(), Metrics()
        with one.shared(tmp_path), other.shared(tmp_path):
            one.record(POOL_SIZE, 1)
            other.record(POOL_SIZE, 2)
            sizes = {number: states[POOL_SIZE.name,] for number, states in one.snapshot().workers.items()}
            assert sizes == {0: 1, 1: 2}
        assert one.snapshot().workers.keys() == {0}

    @pytest.mark.parametrize("ending", [signal.SIGKILL, None], ids=["killed", "in good order"])
    def test_what_an_ended_worker_counted_is_neither_lost_nor_doubled(
        self, tmp_path: Path, ending: signal.Signals | None
    ) -> None:
        survivor, successor = Metrics(), Metrics()
        with survivor.shared(tmp_path):
            with start_worker(tmp_path) as worker:
                assert survivor.snapshot().workers.keys() == {0, 1}
                if ending is not None:
                    os.kill(worker.pid, ending)
            assert hits(survivor) == 5
            assert survivor.snapshot().workers.keys() == {0}
            with successor.shared(tmp_path):
                successor.count_read(hit=True)
                assert hits(survivor) == 6
                # What its predecessor said of itself is gone.
                assert survivor.snapshot().workers[1][POOL_SIZE.name,] == 0
            assert len(list(tmp_path.iterdir())) == 2

    def test_after_the_block_nothing_is_written_into_the_page_any_more(self, tmp_path: Path) -> None:
        one, other = Metrics(), Metrics()
        with one.shared(tmp_path):
            one.count_read(hit=True)
        one.count_read(hit=True)
        assert hits(one) == 2
        with other.shared(tmp_path):
            assert hits(other) == 1

    def test_a_page_in_the_making_is_passed_over(self, tmp_path: Path) -> None:
        metrics = Metrics()
        with metrics.shared(tmp_path):
            (tmp_path / "worker.1").touch()
            metrics.count_read(hit=False)
            assert misses(metrics) == 1

    def test_a_folder_that_cannot_be_used_is_published_and_everything_is_counted_alone(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        metrics = Metrics()
        with caplog.at_level(logging.WARNING), metrics.shared(tmp_path / "file"):
            metrics.count_read(hit=True)
            assert hits(metrics) == 1
        (warning,) = records_of(caplog, "shop.metrics")
        assert warning.getMessage().startswith("METRICS_DIR cannot be used")


class TestFolder:
    def test_it_is_gone_in_the_end(self) -> None:
        with metrics_folder(None) as folder:
            assert folder is not None
            with Metrics().shared(folder):
                assert {path.name for path in folder.iterdir()} == {"launcher", "worker.0"}
        assert not folder.exists()

    def test_what_a_killed_launcher_left_is_removed_and_what_a_living_one_uses_is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_SHARED_MEMORY", tmp_path)
        left = tmp_path / "shop-metrics-left"
        left.mkdir()
        (left / "launcher").touch()
        (left / "worker.0").touch()
        with metrics_folder(None) as one, metrics_folder(None) as other:
            assert set(tmp_path.iterdir()) == {one, other}
            assert one != other
        assert not list(tmp_path.iterdir())

    def test_one_that_was_named_stays(self, tmp_path: Path) -> None:
        with metrics_folder(tmp_path / "given") as folder:
            assert folder == tmp_path / "given"
            with Metrics().shared(folder):
                pass
        assert folder.exists()

    def test_without_any_place_the_shop_starts_all_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(module, "_SHARED_MEMORY", tmp_path / "missing")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        with metrics_folder(None) as folder:
            assert folder is None
        assert len(records_of(caplog, "shop.metrics")) == 1
