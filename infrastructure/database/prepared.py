"""Prepared statements: what PostgreSQL parses once for a connection, and then only executes."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]

# So many stay prepared on a connection. PostgreSQL keeps each in the memory of the connection's process, with its plan:
# some 100 kB. Those that the shop needs all the time are fewer.
MOST_PREPARED = 80


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that every lane prepares before its first use. `call` is the EXECUTE, with the driver's parameters."""

    name: str
    text: str
    call: str

    @property
    def preparation(self) -> str:
        return f"PREPARE {self.name} AS {self.text}"


class OnConnection:
    """The statements that are prepared on one connection: `most`, beyond which those go that were not used for longest."""

    def __init__(self, most: int = MOST_PREPARED) -> None:
        self._most = most
        self._names: OrderedDict[str, None] = OrderedDict()

    def missing(self, statement: Prepared) -> str | None:
        """What has to be sent before the statement can be used, which counts as used now; None for nothing."""
        if statement.name in self._names:
            self._names.move_to_end(statement.name)
            return None
        if len(self._names) < self._most:
            return statement.preparation
        oldest, _ = self._names.popitem(last=False)
        return f"DEALLOCATE {oldest}; {statement.preparation}"

    def add(self, statement: Prepared) -> None:
        """Note that the statement has been prepared."""
        self._names[statement.name] = None

    def clear(self) -> None:
        """Note that there is another connection, on which nothing is prepared."""
        self._names.clear()
