"""What a benchmark calls a failure."""

import pytest

from benchmarks.generators import Load
from benchmarks.http import failures
from benchmarks.http_scaling import Comparison, Figures
from benchmarks.memory import is_flat
from benchmarks.shop_paths import PATHS

pytestmark = pytest.mark.unit

MIX = next(path for path in PATHS if path.name == "mix")


def load_of(requests: int, p99_ms: float = 50, errors: int = 0) -> Load:
    return Load(requests, 1.0, 10, p99_ms, errors)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (load_of(500), []),
        (load_of(499), ["below 0.5"]),
        (load_of(500, p99_ms=101), ["p99 above 100 ms"]),
        (load_of(500, errors=1), ["1 errors"]),
        (load_of(0), ["below 0.5", "0 errors"]),
    ],
)
def test_a_path_fails_by_its_ratio_its_p99_and_its_errors(load: Load, expected: list[str]) -> None:
    assert list(failures(MIX, load, bare_per_second=1000)) == expected


def test_the_paths_of_the_issue_have_its_targets() -> None:
    targets = {path.name: path.target for path in PATHS if path.target is not None}
    assert targets == {"product": 1.5, "products": 1.4, "clients": 0.17, "mix": 0.5, "checkout": 0.08}
    assert MIX.p99_ms == 100


def figures_of(workers: int, per_second: float, worker_cores: float) -> Figures:
    return Figures(workers, per_second, per_second / worker_cores, worker_cores, 1.0, 0)


def test_workers_that_have_no_core_are_told_from_workers_that_do_not_scale() -> None:
    bound = Comparison("", figures_of(1, 1000, 1.0), figures_of(2, 1100, 1.1))
    assert (bound.ratio, bound.worker_bound, bound.on_free_cores) == (1.1, False, pytest.approx(2))
    free = Comparison("", figures_of(1, 1000, 1.0), figures_of(2, 1200, 2.0))
    assert (free.ratio, free.worker_bound, free.on_free_cores) == (1.2, True, pytest.approx(1.2))


@pytest.mark.parametrize(
    ("megabytes", "expected"), [([90, 100, 101, 102], True), ([90, 100, 103, 104], False), ([200, 100, 100, 100], True)]
)
def test_memory_is_flat_when_the_second_half_adds_nothing(megabytes: list[float], expected: bool) -> None:
    assert is_flat(megabytes) is expected
