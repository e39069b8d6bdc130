"""Cells: named numbers in a block of memory that one process writes, and that every process with the block can read.

The names stand in the block too, each before its first number: a reader needs to know none of them, and a process that
takes over the block of one that has ended finds all of its numbers again.
"""

from collections.abc import Iterator
from mmap import mmap

Name = tuple[str, ...]

CELLS = 1 << 14
_NUMBER_BYTES = 8
_NAMES_BYTES = 1 << 20
BLOCK_BYTES = CELLS * _NUMBER_BYTES + _NAMES_BYTES

# The last cells take what has no room: nothing that counts must fail for it.
_SPARE = 32
# The first cell says how many bytes of names there are.
_NAMES_LENGTH = 0
_FIRST = 1
_BETWEEN, _END = "\t", "\n"


class Cells:
    """The numbers of one block, `memory`, of BLOCK_BYTES bytes, which are 0 at first.

    Several numbers in a row can have one name. A name has neither tabs nor line breaks.
    """

    def __init__(self, memory: "bytearray | mmap | bytes") -> None:
        self._block = memoryview(memory)
        self.numbers = self._block[: CELLS * _NUMBER_BYTES].cast("q")
        self._names = self._block[CELLS * _NUMBER_BYTES :]
        self._places: dict[Name, tuple[int, int]] = {}
        self._next = _FIRST
        for name, length in self._stored_names():
            self._places[name] = (self._next, length)
            self._next += length

    def place(self, name: Name, length: int = 1) -> int:
        """Where the `length` numbers of this name begin. Where there is no room for new ones, they are in nobody's cells."""
        found = self._places.get(name)
        return self._added(name, length) if found is None else found[0]

    def items(self) -> Iterator[tuple[Name, list[int]]]:
        """All names with their numbers."""
        for name, (place, length) in self._places.items():
            yield name, self.numbers[place : place + length].tolist()

    def content(self) -> bytes:
        """A copy of the whole block."""
        return bytes(self._block)

    def _added(self, name: Name, length: int) -> int:
        line = (_BETWEEN.join((str(length), *name)) + _END).encode()
        start, place = self.numbers[_NAMES_LENGTH], self._next
        if start + len(line) > _NAMES_BYTES or place + length > CELLS - _SPARE:
            return CELLS - _SPARE
        self._names[start : start + len(line)] = line
        # Only now: a reader must not see half of a name.
        self.numbers[_NAMES_LENGTH] = start + len(line)
        self._next = place + length
        self._places[name] = (place, length)
        return place

    def _stored_names(self) -> Iterator[tuple[Name, int]]:
        text = bytes(self._names[: self.numbers[_NAMES_LENGTH]]).decode()
        for line in text.split(_END)[:-1]:
            length, *name = line.split(_BETWEEN)
            yield tuple(name), int(length)
