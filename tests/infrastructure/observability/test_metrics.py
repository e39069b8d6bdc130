"""Counting, alone and together with other workers, which may end in any way."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from infrastructure.observability import metrics as module
from infrastructure.observability.metrics import METHODS, STATUS_CLASSES, TIME_BOUNDS, Metrics, metrics_folder
from tests.log_records import records_of

pytestmark = pytest.mark.unit

_WORKER = """
import sys
from pathlib import Path
from infrastructure.observability.metrics import Metrics

metrics = Metrics()
with metrics.shared(Path(sys.argv[1])):
    for _ in range(5):
        metrics.count_read(hit=True)
    metrics.record_state(db_pool_size=6, db_pool_checked_out=2)
    print("counted", flush=True)
    sys.stdin.readline()
"""


def requests_of(metrics: Metrics) -> dict[tuple[str, str, str], int]:
    labels = product(metrics.routes, METHODS, STATUS_CLASSES)
    return {label: count for label, count in zip(labels, metrics.totals().requests, strict=False) if count}


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
    def test_requests_are_counted_by_route_method_and_status_class(self) -> None:
        metrics = Metrics(["products", "orders"])
        for method, path, status in [
            ("GET", "/products", 200),
            ("GET", "/products/7", 200),
            ("GET", "/products/7", 304),
            ("POST", "/orders/3/cancel", 503),
            ("BREW", "/orders/", 405),
            ("GET", "/health/live", 200),
            ("GET", "/", 404),
        ]:
            metrics.count_request(method, path, status, 0.0)
        assert requests_of(metrics) == {
            ("products", "GET", "2xx"): 2,
            ("products", "GET", "3xx"): 1,
            ("orders", "POST", "5xx"): 1,
            ("orders", "other", "4xx"): 1,
            ("other", "GET", "2xx"): 1,
            ("other", "GET", "4xx"): 1,
        }

    def test_a_prefix_is_no_part_of_the_route(self) -> None:
        metrics = Metrics(["products"], "/api/v1")
        for path in ("/api/v1/products/7", "/products/7", "/api"):
            metrics.count_request("GET", path, 200, 0.0)
        assert requests_of(metrics) == {("products", "GET", "2xx"): 1, ("other", "GET", "2xx"): 2}

    def test_a_page_has_room_for_the_routes_or_says_so(self) -> None:
        names = [f"route{number}" for number in range(64)]
        last = Metrics(names[:63])
        last.count_request("OPTIONS", "/elsewhere", 500, 0.0)
        last.count_request("BREW", "/elsewhere", 500, 0.0)
        assert requests_of(last) == {("other", "OPTIONS", "5xx"): 1, ("other", "other", "5xx"): 1}
        assert last.totals().times[0] == 2
        with pytest.raises(ValueError, match="64 routes"):
            Metrics(names)

    def test_only_429_is_counted_as_limited(self) -> None:
        metrics = Metrics()
        for status in (200, 404, 429, 429, 503):
            metrics.count_request("GET", "/products", status, 0.0)
        assert metrics.totals().rate_limited == 2

    def test_times_are_counted_in_the_first_class_that_holds_them(self) -> None:
        metrics = Metrics()
        for seconds in (0.0005, TIME_BOUNDS[0], 0.3, TIME_BOUNDS[-1] + 1):
            metrics.count_request("GET", "/products", 200, seconds)
        counts = metrics.totals()
        expected = [0] * (len(TIME_BOUNDS) + 1)
        expected[0], expected[TIME_BOUNDS.index(0.5)], expected[-1] = 2, 1, 1
        assert list(counts.times) == expected
        assert counts.nanoseconds / 1e9 == pytest.approx(0.0005 + TIME_BOUNDS[0] + 0.3 + TIME_BOUNDS[-1] + 1)

    def test_hits_and_misses(self) -> None:
        metrics = Metrics()
        for hit in (True, True, False):
            metrics.count_read(hit=hit)
        assert (metrics.totals().cache_hits, metrics.totals().cache_misses) == (2, 1)

    def test_it_tells_how_it_is(self) -> None:
        metrics = Metrics()
        metrics.record_state(db_pool_size=6, db_pool_checked_out=4)
        ((number, page),) = metrics.workers().items()
        assert (number, page.db_pool_size, page.db_pool_checked_out) == (0, 6, 4)
        # A Python process holds more than 5 MB, and these tests do not fill 5 GB.
        assert 5e6 < page.resident_bytes < 5e9


class TestSeveralWorkers:
    def test_each_tells_the_sum_of_all(self, tmp_path: Path) -> None:
        one, other = Metrics(["products"]), Metrics(["products"])
        with one.shared(tmp_path), other.shared(tmp_path):
            one.count_request("GET", "/products", 200, 0.25)
            other.count_request("GET", "/products", 200, 0.5)
            other.count_request("PUT", "/products/1", 412, 0.001)
            for metrics in (one, other):
                assert requests_of(metrics) == {("products", "GET", "2xx"): 2, ("products", "PUT", "4xx"): 1}
                assert metrics.totals().nanoseconds == 751_000_000

    def test_each_is_published_by_itself(self, tmp_path: Path) -> None:
        one, other = Metrics(), Metrics()
        with one.shared(tmp_path), other.shared(tmp_path):
            one.record_state(db_pool_size=1, db_pool_checked_out=0)
            other.record_state(db_pool_size=2, db_pool_checked_out=0)
            assert {number: page.db_pool_size for number, page in one.workers().items()} == {0: 1, 1: 2}
        assert one.workers().keys() == {0}

    @pytest.mark.parametrize("ending", [signal.SIGKILL, None], ids=["killed", "in good order"])
    def test_what_an_ended_worker_counted_is_neither_lost_nor_doubled(
        self, tmp_path: Path, ending: signal.Signals | None
    ) -> None:
        survivor, successor = Metrics(), Metrics()
        with survivor.shared(tmp_path):
            with start_worker(tmp_path) as worker:
                assert survivor.workers().keys() == {0, 1}
                if ending is not None:
                    os.kill(worker.pid, ending)
            assert survivor.totals().cache_hits == 5
            assert survivor.workers().keys() == {0}
            with successor.shared(tmp_path):
                successor.count_read(hit=True)
                assert survivor.totals().cache_hits == 6
                assert survivor.workers().keys() == {0, 1}
            assert len(list(tmp_path.iterdir())) == 2

    def test_after_the_block_nothing_is_written_into_the_page_any_more(self, tmp_path: Path) -> None:
        one, other = Metrics(), Metrics()
        with one.shared(tmp_path):
            one.count_read(hit=True)
        one.count_read(hit=True)
        assert one.totals().cache_hits == 2
        with other.shared(tmp_path):
            assert other.totals().cache_hits == 1

    def test_a_page_in_the_making_is_passed_over(self, tmp_path: Path) -> None:
        metrics = Metrics()
        with metrics.shared(tmp_path):
            (tmp_path / "worker.1").touch()
            metrics.count_read(hit=False)
            assert metrics.totals().cache_misses == 1

    def test_a_folder_that_cannot_be_used_is_published_and_everything_is_counted_alone(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        metrics = Metrics()
        with caplog.at_level(logging.WARNING), metrics.shared(tmp_path / "file"):
            metrics.count_read(hit=True)
            assert metrics.totals().cache_hits == 1
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
