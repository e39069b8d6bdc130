"""What a benchmark calls a failure."""

import pytest

from benchmarks.http import Pace, failures
from benchmarks.http_auth import COMPARISONS, Storm, with_token
from benchmarks.http_paths import PATHS
from benchmarks.http_scaling import Comparison, Figures
from benchmarks.load_generators import Load
from benchmarks.memory import is_flat
from benchmarks.raw_requests import raw_request

pytestmark = pytest.mark.unit

MIX, PRODUCT = (next(path for path in PATHS if path.name == name) for name in ("mix", "product"))
PACE = Pace(bare=1000, empty=3000)


def load_of(requests: int, p99_ms: float = 50, errors: int = 0) -> Load:
    return Load(requests, 1.0, 10, p99_ms, errors)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (load_of(700), []),
        (load_of(699), ["below 0.7"]),
        (load_of(700, p99_ms=61), ["p99 above 60 ms"]),
        (load_of(700, errors=1), ["1 errors"]),
        (load_of(0), ["below 0.7", "0 errors"]),
    ],
)
def test_a_path_fails_by_its_ratio_its_p99_and_its_errors(load: Load, expected: list[str]) -> None:
    assert list(failures(MIX, load, PACE)) == expected


def test_a_path_fails_by_either_reference() -> None:
    assert list(failures(PRODUCT, load_of(2400), PACE)) == []
    assert list(failures(PRODUCT, load_of(2399), PACE)) == ["below 0.8 of the empty application"]
    assert list(failures(PRODUCT, load_of(2400), Pace(bare=1601, empty=3000))) == ["below 1.5"]


def test_the_paths_of_the_issue_have_its_targets() -> None:
    targets = {path.name: path.target for path in PATHS if path.target is not None}
    assert targets == {"product": 1.5, "products": 1.4, "clients": 1.0, "mix": 0.7, "checkout": 0.22}
    of_empty = {path.name: path.target_of_empty for path in PATHS if path.target_of_empty is not None}
    assert of_empty == {"product": 0.8, "products": 0.75}
    assert MIX.p99_ms == 60


def test_references_are_measured_before_and_after() -> None:
    assert PACE.mean(Pace(bare=2000, empty=5000)) == Pace(1500, 4000)


def test_what_credentials_may_cost() -> None:
    assert {one.name: one.target for one in COMPARISONS} == {
        "product": 0.97,
        "products": 0.97,
        "clients": 0.9,
        "checkout": 0.9,
    }
    assert not Storm(5, alone_p99_ms=10, beside_p99_ms=20, errors=0).fails
    assert Storm(5, alone_p99_ms=10, beside_p99_ms=21, errors=0).fails
    assert Storm(5, alone_p99_ms=10, beside_p99_ms=10, errors=1).fails


def test_a_token_goes_with_the_request() -> None:
    (request,) = with_token([raw_request("POST", "/checkout", {"client_id": 1})], "abc")
    assert b"\r\nauthorization: Bearer abc\r\n" in request
    assert request.endswith(b'\r\n\r\n{"client_id":1}')


def figures_of(workers: int, *per_second: float) -> list[Figures]:
    return [Figures(workers, each, 50, 100, 1.0, 0) for each in per_second]


def test_workers_are_compared_round_by_round() -> None:
    comparison = Comparison("", figures_of(1, 1000, 500, 800), figures_of(2, 1800, 900, 800))
    assert comparison.ratio == pytest.approx(1.8)


@pytest.mark.parametrize(
    ("megabytes", "expected"), [([90, 100, 101, 102], True), ([90, 100, 103, 104], False), ([200, 100, 100, 100], True)]
)
def test_memory_is_flat_when_the_second_half_adds_nothing(megabytes: list[float], expected: bool) -> None:
    assert is_flat(megabytes) is expected
