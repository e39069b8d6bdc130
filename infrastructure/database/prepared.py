"""Prepared statements: what PostgreSQL parses and plans once for a connection, and then only executes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement under a name that only it has. `parameters` are the names of its $1, $2 and so on, in this order."""

    name: str
    text: str
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What the log shows of it."""
        return f"{self.name} ({', '.join(self.parameters)})"
