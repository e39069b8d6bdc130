"""Bounds of time, as the client measures them: held where nothing else runs on the machine, and not elsewhere.

A test that asks for `bounds` runs twice. In `make test` it sees what comes, whenever that is. In the last part of
`make test-faults` (marker `timed`), one test at a time, it sees that it comes in time.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import pytest

T = TypeVar("T")

# What a client may measure beyond the bound of the shop: its own time, and the way there and back.
CLIENT_SECONDS = 1.0


@dataclass(frozen=True)
class Bounds:
    """Requires that something took no longer than the contract says; where `are_held` is false, nothing."""

    are_held: bool = True

    def require(self, seconds: float, at_most: float, what: str, margin: float = CLIENT_SECONDS) -> None:
        if self.are_held:
            assert seconds <= at_most + margin, f"{what} took {seconds:.2f} s, of at most {at_most:g} and {margin:g} s"

    @contextmanager
    def within(self, at_most: float, what: str, margin: float = CLIENT_SECONDS) -> Iterator[None]:
        """Require it of the block."""
        start = time.monotonic()
        yield
        self.require(time.monotonic() - start, at_most, what, margin)


def timed(action: Callable[[], T]) -> tuple[T, float]:
    """What the action returns, and how many seconds it took."""
    start = time.monotonic()
    result = action()
    return result, time.monotonic() - start


def in_both_runs(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `bounds` without them, and with them; one that is marked `timed` only with them."""
    if "bounds" not in metafunc.fixturenames:
        return
    runs = [pytest.param(Bounds(), id="timed", marks=pytest.mark.timed)]
    if metafunc.definition.get_closest_marker("timed") is None:
        runs.insert(0, pytest.param(Bounds(are_held=False), id="untimed"))
    metafunc.parametrize("bounds", runs)
