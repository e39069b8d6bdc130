"""Named numbers in a block of memory."""

import pytest

from infrastructure.observability import cells as module
from infrastructure.observability.cells import BLOCK_BYTES, Cells

pytestmark = pytest.mark.unit


def test_another_reader_of_the_block_finds_all_numbers_with_their_names() -> None:
    block = bytearray(BLOCK_BYTES)
    written = Cells(block)
    written.numbers[written.place(("requests", "/products/é"))] = 7
    times = written.place(("times",), 3)
    written.numbers[times + 2] = -1
    assert dict(Cells(block).items()) == {("requests", "/products/é"): [7], ("times",): [0, 0, -1]}
    assert Cells(block).content() == bytes(block)


def test_who_takes_the_block_over_goes_on() -> None:
    block = bytearray(BLOCK_BYTES)
    first = Cells(block)
    first.numbers[first.place(("hits",))] += 1
    second = Cells(block)
    second.numbers[second.place(("misses",), 2)] += 5
    second.numbers[second.place(("hits",))] += 1
    assert dict(Cells(block).items()) == {("hits",): [2], ("misses",): [5, 0]}


def test_what_has_no_room_is_in_nobodys_cells() -> None:
    block = bytearray(BLOCK_BYTES)
    cells = Cells(block)
    for number in range(module.CELLS):
        cells.numbers[cells.place((str(number), "x" * 40))] += 1
    counted = dict(Cells(block).items())
    assert 10_000 < len(counted) < module.CELLS
    assert all(numbers == [1] for numbers in counted.values())
    assert cells.place(("0", "x" * 40)) == 1
