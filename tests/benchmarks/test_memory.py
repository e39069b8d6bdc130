"""What the benchmark of the memory says of its samples."""

import pytest

from benchmarks.memory import is_flat

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("samples", "flat"),
    [([100, 150, 152, 151], True), ([150, 100, 149, 154.5], True), ([100, 150, 153, 155], False), ([100, 120], False)],
)
def test_memory_is_flat_when_next_to_nothing_comes_on_top(samples: list[float], flat: bool) -> None:
    assert is_flat(samples) is flat
