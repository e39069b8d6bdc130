"""Authorization: whether the policy of a route lets a caller in. The one place that decides it."""

from security.policy import Policy
from security.principal import Kind, Principal
from services.identity.errors import Forbidden, NotAuthenticated


def authorize(policy: Policy, principal: Principal) -> None:
    """Return if the policy lets the caller in. Raises `NotAuthenticated` or `Forbidden`."""
    if policy.for_users:
        if principal.kind is not Kind.USER:
            raise Forbidden(text="This is for users who have logged in") if principal.id else NotAuthenticated
        return
    if policy.own_only:
        _require_customer(principal)
        return
    scope = policy.scope
    if scope is None or scope in principal.scopes or (policy.or_own and principal.is_customer):
        return
    if principal.kind is Kind.ANONYMOUS:
        raise NotAuthenticated
    raise Forbidden(scope)


def _require_customer(principal: Principal) -> None:
    if principal.kind is Kind.ANONYMOUS:
        raise NotAuthenticated
    if not (principal.is_customer or principal.kind is Kind.EVERYBODY):
        raise Forbidden(text="This is for customers, about what is theirs")
