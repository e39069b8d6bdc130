"""Author: whose the writes of a transaction are, for the audit trail and for events."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

_AUTHOR = "author"
# The columns that say who wrote something, and the parameters for them.
AUTHOR_PARAMETERS = {name: f"author_{name}" for name in ("actor", "action", "request_id", "address", "trace_parent")}


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, by which operation, in which request, from which address, as part of which trace.

    `actor` is None for callers who are not known. `is_audited` says whether the audit trail shows the writes; events are
    told of everybody's.
    """

    actor: str | None = None
    action: str | None = None
    request_id: str | None = None
    address: str | None = None
    trace_parent: str | None = None
    is_audited: bool = True

    def parameters(self) -> dict[str, str | None]:
        """The parameters of statements that write entries or events."""
        return {parameter: getattr(self, name) for name, parameter in AUTHOR_PARAMETERS.items()}


NOBODY = Author(is_audited=False)


def set_author(session: Session, author: Author) -> None:
    """From now on `author` has written what the session writes."""
    session.info[_AUTHOR] = author


def author_of(session: Session) -> Author:
    """Who has written what the session writes; nobody where nothing else is said."""
    author: Author = session.info.get(_AUTHOR, NOBODY)
    return author
