"""Guard: the policy of a route, asked before the route does anything. A route without one stops the start."""

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from infrastructure.server.http_methods import READS
from infrastructure.server.request_heads import memoize_on_headers
from middleware.callers import keep_principal
from middleware.callers import principal_of as caller_of
from security.credentials import credentials_of
from security.policy import SIGNED_IN, Policy
from security.principal import ANONYMOUS, Kind, Principal
from services.declared_errors import refuses
from services.errors import ShopError, Unavailable
from services.identity.audit import Author, writing_as
from services.identity.authorization import authorize
from services.identity.errors import REFUSED_CALLERS

R = TypeVar("R", bound=Route)

_POLICY = "shop_policy"


def guard(route: R, policy: Policy) -> R:
    """The route itself, which from now on lets in only whom the policy does."""
    inside, action = route.app, _action(route)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        principal, is_audited = ANONYMOUS, False
        if policy.authenticated:
            # With AUTH=off this is everybody, who is not audited, also where the route is for users.
            is_audited = caller_of(scope).is_audited
            principal = await _principal(scope, policy)
            authorize(policy, principal)
        if action is None:
            await inside(scope, receive, send)
        else:
            with writing_as(_author(scope, principal, action, is_audited=is_audited)):
                await inside(scope, receive, send)

    route.app = guarded
    setattr(route, _POLICY, policy)
    return route


def _action(route: Route) -> str | None:
    """What the audit trail calls the writes of this route: its operation id. None where the route only reads."""
    only_reads = route.methods is not None and route.methods <= READS
    return None if only_reads else getattr(route, "operation_id", None) or route.name


def _author(scope: Scope, principal: Principal, action: str, *, is_audited: bool) -> Author:
    return Author(
        principal.actor,
        action,
        scope.get("shop.request_id"),
        scope.get("shop.client"),
        scope.get("shop.trace_parent"),
        is_audited,
    )


def guard_unguarded(routes: Iterable[BaseRoute], policy: Policy) -> None:
    """Guard those routes that have no policy yet."""
    for route in routes:
        if isinstance(route, Route) and policy_of(route) is None:
            guard(route, policy)


def policy_of(route: BaseRoute) -> Policy | None:
    """The policy of a route, if it has one."""
    policy: Policy | None = getattr(route, _POLICY, None)
    return policy


def require_policies(routes: Iterable[BaseRoute]) -> None:
    """Raise `RuntimeError` for the first route that does not say who may call it."""
    for route in routes:
        if policy_of(route) is None:
            raise RuntimeError(f"The route {getattr(route, 'path', route)!r} has no policy: who may call it?")


def principal_of(request: Request) -> Principal:
    """Who sends the request. To be called in a route whose policy asks for credentials."""
    return caller_of(request.scope)


@refuses(*REFUSED_CALLERS)
async def signed_in(request: Request) -> Principal:
    """The user who sends the request, for a route that also has other ways to know them. Raises as SIGNED_IN does."""
    principal = await _principal(request.scope, SIGNED_IN)
    authorize(SIGNED_IN, principal)
    return principal


async def may_go_on(request: Request) -> bool:
    """Whether the caller of a request that is still answered is who they were, and may what they might."""
    principal = caller_of(request.scope)
    credentials = memoize_on_headers(request.scope, credentials_of)
    if credentials is None or not principal.has_credentials:
        return True
    try:
        now = await request.app.state.authenticator.authenticate(credentials)
    except Unavailable:
        # Nobody can tell, and nothing can be read.
        return True
    except ShopError:
        return False
    return bool(now.audience == principal.audience)


async def _principal(scope: Scope, policy: Policy) -> Principal:
    principal = caller_of(scope)
    if principal.kind is not Kind.EVERYBODY or not policy.for_users:
        return principal
    # With AUTH=off nobody has looked at the credentials yet.
    credentials = memoize_on_headers(scope, credentials_of)
    if credentials is None:
        return ANONYMOUS
    authenticator: Any = scope["app"].state.authenticator
    principal = cast(Principal, await authenticator.authenticate(credentials))
    keep_principal(scope, principal)
    return principal
