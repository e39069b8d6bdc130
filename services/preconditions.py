"""Preconditions of a write: the versions of a row that `If-Match` and `If-None-Match` allow."""

from dataclasses import dataclass

from models import Row
from services.errors import PreconditionFailed


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The versions that a row may have (None: any), and those it must not have (None: every version)."""

    wanted: frozenset[str] | None = None
    unwanted: frozenset[str] | None = frozenset()

    def require(self, thing: str, row: Row) -> None:
        """Raise `PreconditionFailed` where the row's version is not as asked."""
        if self.wanted is not None and row.version not in self.wanted:
            raise PreconditionFailed(thing, row.id_key, "not at the version that If-Match names")
        if self.unwanted is None or row.version in self.unwanted:
            raise PreconditionFailed(thing, row.id_key, "at a version that If-None-Match names")


UNCONDITIONAL = Preconditions()
