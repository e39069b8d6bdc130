"""Principal: who sends a request, as far as the shop knows, and what that allows."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum

from security.scopes import ALL_SCOPES, Role, Scope


class Kind(StrEnum):
    """How a caller is known."""

    # With AUTH=off nobody is asked who they are, and everybody may do everything.
    EVERYBODY = "everybody"
    ANONYMOUS = "anonymous"
    USER = "user"
    API_KEY = "key"


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller. `id` is the key of the user or of the API key, `session_id` that of the user's session.

    `client_id` is the client that a customer is; None while the e-mail address is not verified, and for all others.
    """

    kind: Kind
    id: int | None = None
    scopes: frozenset[Scope] = frozenset()
    role: Role | None = None
    username: str = ""
    client_id: int | None = None
    session_id: int | None = None
    is_email_verified: bool = False
    # Whether the caller has proven who they are.
    has_credentials: bool = field(init=False)
    # The caller in the audit trail, such as user:7; None for callers who are not known.
    actor: str | None = field(init=False)
    # All that responses to a GET depend on: callers with the same audience get the same responses.
    audience: Hashable = field(init=False)

    def __post_init__(self) -> None:
        # Made once, because every request asks for them.
        object.__setattr__(self, "has_credentials", self.id is not None)
        object.__setattr__(self, "actor", f"{self.kind}:{self.id}" if self.has_credentials else None)
        object.__setattr__(self, "audience", self._audience())

    @property
    def is_customer(self) -> bool:
        """Whether the caller is a customer, who sees what is theirs and nothing else."""
        return self.role is Role.CUSTOMER

    @property
    def user_id(self) -> int | None:
        """The key of the user; None for callers who are none."""
        return self.id if self.kind is Kind.USER else None

    @property
    def sees_inactive(self) -> bool:
        """Whether products that are not on sale are shown to the caller."""
        return not (self.kind is Kind.ANONYMOUS or self.is_customer)

    @property
    def is_audited(self) -> bool:
        """Whether the writes of the caller go into the audit trail: those of staff, administrators and keys."""
        return self.has_credentials and not self.is_customer

    def _audience(self) -> Hashable:
        if self.is_customer:
            return "customer", self.client_id
        return ("scopes", self.scopes) if self.has_credentials else self.kind


EVERYBODY = Principal(Kind.EVERYBODY, scopes=ALL_SCOPES)
ANONYMOUS = Principal(Kind.ANONYMOUS)
