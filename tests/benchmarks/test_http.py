"""What a benchmark calls a failure."""

import pytest

from benchmarks.http import failures
from benchmarks.http_auth import COMPARISONS, Storm, with_token
from benchmarks.http_paths import PATHS
from benchmarks.http_scaling import Comparison, Figures
from benchmarks.load_generators import Load
from benchmarks.memory import is_flat
from benchmarks.raw_requests import raw_request

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
