"""What an invariant of the data is, and what was found when it was checked."""

from collections.abc import Callable
from dataclasses import dataclass

from repositories.verification import EVERYTHING, Span, VerificationRepository

SHOWN_BREACHES = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one invariant: how many rows of each kind were checked, and which of them break it.

    `breaches` holds at most `SHOWN_BREACHES` lines; `more` says whether there are others. `older` are lines, as many, about
    rows that are older than the invariant.
    """

    invariant: str
    checked: dict[str, int]
    breaches: tuple[str, ...]
    more: bool
    older: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invariant:
    """What always holds. `find` gives a line for each row that breaks it, up to a limit, among the keys of a span.

    The keys are those of the tables `walked`; without any the span means nothing. `checked` are the names of what is looked
    at. What is not `lasting` may be so for a moment without a fault. `find_older` gives lines for rows that are older than the
    invariant, which do not break it.
    """

    text: str
    checked: tuple[str, ...]
    find: Callable[[VerificationRepository, int, Span], list[str]]
    walked: tuple[str, ...] = ()
    lasting: bool = True
    find_older: Callable[[VerificationRepository, int], list[str]] = lambda rows, limit: []

    def finding(self, rows: VerificationRepository) -> Finding:
        """The result for all rows."""
        breaches = self.find(rows, SHOWN_BREACHES + 1, EVERYTHING)
        checked = {name: rows.count(name) for name in self.checked}
        older = self.find_older(rows, SHOWN_BREACHES)
        return Finding(
            self.text, checked, tuple(breaches[:SHOWN_BREACHES]), len(breaches) > SHOWN_BREACHES, tuple(older)
        )
