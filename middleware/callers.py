"""Callers: who sends each request. Decided before the rate limit counts it, and before anything remembered answers it.

With AUTH=off every caller is everybody, and credentials are looked at by those routes only that are about users.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from starlette.types import Scope

from infrastructure.cache.batcher import SharedFuture
from infrastructure.cache.gateway import RedisUnavailable
from infrastructure.cache.tags import TagValues
from infrastructure.server.request_heads import memoize_on_headers
from security.credentials import Credentials, credentials_of
from security.principal import ANONYMOUS, EVERYBODY, Principal

_PRINCIPAL = "shop.principal"
_REFUSAL = "shop.refused_credentials"
_BEGUN = "shop.caller_begun"


class KnownCaller(Protocol):
    """A caller whom this worker has authenticated before."""

    @property
    def principal(self) -> Principal: ...

    def stands(self, current: TagValues) -> bool:
        """Whether nothing has changed about the caller since."""


K = TypeVar("K", bound=KnownCaller)


class Authenticator(Protocol[K]):
    """What finds the principal of credentials."""

    def recall(self, credentials: Credentials) -> K | None: ...

    def check(self, known: K) -> SharedFuture[TagValues] | None: ...

    async def authenticate(self, credentials: Credentials) -> Principal: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request. For one who is `known`, `current` tells whether that still holds."""

    principal: Principal
    known: KnownCaller | None = None
    current: SharedFuture[TagValues] | None = None

    def stands(self) -> bool:
        """Whether the principal is right, once `current` has its result."""
        if self.known is None:
            return True
        try:
            return self.current is not None and self.known.stands(self.current.result())
        except RedisUnavailable:
            return False


_EVERYBODY, _ANONYMOUS = Caller(EVERYBODY), Caller(ANONYMOUS)


class Callers:
    """Finds the callers of requests. `authenticator` is None with AUTH=off."""

    def __init__(self, authenticator: Authenticator[Any] | None = None) -> None:
        self._authenticator = authenticator

    def begin(self, scope: Scope) -> Caller | None:
        """The caller as far as that is known without waiting; None for one who has to be identified first."""
        if self._authenticator is None:
            return _EVERYBODY
        credentials = memoize_on_headers(scope, credentials_of)
        if credentials is None:
            return _ANONYMOUS
        # The fast path may have begun with this request, and left it to the layers.
        begun: Caller | None = scope.get(_BEGUN)
        known = self._authenticator.recall(credentials) if begun is None else None
        if known is not None:
            begun = scope[_BEGUN] = Caller(known.principal, known, self._authenticator.check(known))
        return begun

    async def identify(self, scope: Scope) -> Caller | None:
        """The caller; None where the credentials are refused. Routes learn of it by `principal_of`."""
        credentials = memoize_on_headers(scope, credentials_of)
        if self._authenticator is None or credentials is None:
            return self.begin(scope)
        try:
            return Caller(await self._authenticator.authenticate(credentials))
        except Exception as error:
            # Raised again inside the layers that turn errors into responses.
            scope[_REFUSAL] = error
            return None


def keep_caller(scope: Scope, caller: Caller | None) -> None:
    """Tell the routes who the caller is."""
    if caller is not None:
        scope[_PRINCIPAL] = caller.principal


def keep_principal(scope: Scope, principal: Principal) -> None:
    """Tell the route who the caller is, where only the route has asked."""
    scope[_PRINCIPAL] = principal


def principal_of(scope: Scope) -> Principal:
    """The principal of the request. Raises the error with which its credentials were refused."""
    principal: Principal | None = scope.get(_PRINCIPAL)
    if principal is None:
        raise scope[_REFUSAL]
    return principal


def actor_of(scope: Scope) -> str | None:
    """Who was found to send the request, as the audit trail says it; None for callers who are not known."""
    principal: Principal | None = scope.get(_PRINCIPAL)
    return None if principal is None else principal.actor
