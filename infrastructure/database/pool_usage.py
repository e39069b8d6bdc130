"""How busy the ways to the database are that requests can take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """Of `size` connections of one kind, how many are in use; how many requests wait for one.

    `blocked` are those in use for so long that nobody should count on them.
    """

    size: int
    in_use: int
    waiting: int
    blocked: int

    @property
    def percent(self) -> float:
        """How much of them is taken, in percent."""
        return 100 * self.blocked / self.size
