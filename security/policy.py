"""Policy: which callers a route lets in. Every route declares one; a route without one stops the start."""

from dataclasses import dataclass

from security.scopes import Scope


@dataclass(frozen=True, slots=True)
class Policy:
    """`scope` is what callers need; None if they need none. `or_own` lets customers in without it, to what is theirs.

    `own_only` lets in customers and nobody else. `for_users` asks for a user who has logged in, in both modes of AUTH. A
    route that is not `authenticated` does not look at credentials, so that bad ones are no error.
    """

    scope: Scope | None = None
    or_own: bool = False
    own_only: bool = False
    for_users: bool = False
    authenticated: bool = True

    @property
    def is_about_own(self) -> bool:
        """Whether customers are let in to what is theirs."""
        return self.or_own or self.own_only


# Does not ask who calls, and so takes no notice of a bad token: health, documentation, login.
OPEN = Policy(authenticated=False)
# For everybody, but what it shows may depend on who calls.
PUBLIC = Policy()
# For users who have logged in, about themselves.
SIGNED_IN = Policy(for_users=True)
# For customers, about what is theirs; no scope stands in for that.
OWN = Policy(own_only=True)


def needs(scope: str, *, or_own: bool = False) -> Policy:
    """The policy of a route that asks for `scope`; with `or_own` customers may use it for what is theirs."""
    return Policy(Scope(scope), or_own)
