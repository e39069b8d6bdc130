"""The callers of the matrix: one of each kind that the contract tells apart, and what a rule says to them."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from security.access_token import AccessTokens
from security.scopes import ALL_SCOPES
from security.secret_keys import KeyRing
from tests.guarded_shop import Caller, GuardedShop
from tests.identity.operations import ADMINISTRATORS_ONLY, Operation
from tests.identity.shelf import Customer, Shelf
from tests.race.databases import execute

NOBODY, OWNER, OTHER, STAFF, ADMIN = "no token", "the owner", "another customer", "staff", "admin"
KEY, OTHER_KEY = "key with the scope", "key without it"
# Whatever scopes they had, they stand no more.
EXPIRED = ("expired token", "expired key")
INVALID = ("revoked session", "revoked key", "disabled user", "garbage")
# The mightiest first: what they were shown is remembered when the others ask.
KINDS = (ADMIN, STAFF, KEY, OWNER, OTHER_KEY, OTHER, NOBODY, *EXPIRED, *INVALID)

_NEWS_SECONDS = 30
_LONG_AGO = "now() - interval '1 hour'"


@dataclass(frozen=True)
class Expected:
    """The status of a response, and for a refusal its code and the scope that it names."""

    status: int
    code: str | None = None
    scope: str | None = None

    @property
    def challenge(self) -> str | None:
        """The header WWW-Authenticate (RFC 6750), without its description."""
        if self.scope is not None:
            return f'Bearer realm="shop", error="insufficient_scope", scope="{self.scope}"'
        if self.status != 401:
            return None
        return 'Bearer realm="shop"' + ("" if self.code == "not_authenticated" else ', error="invalid_token"')


def expected(operation: Operation, kind: str) -> Expected:
    """What the rule of the operation says to a caller of this kind."""
    let_in = Expected(operation.status)
    if operation.rule == "open":
        return let_in
    if kind in EXPIRED:
        return Expected(401, "token_expired")
    if kind in INVALID:
        return Expected(401, "token_invalid")
    if operation.rule == "public":
        return let_in
    if kind == NOBODY:
        return Expected(401, "not_authenticated")
    if kind in (OWNER, OTHER) and operation.is_for_customers:
        return Expected(404, "not_found") if kind == OTHER and operation.is_about_a_row else let_in
    if operation.rule == "users":
        return _of_users(operation, kind)
    has_scope = kind in (ADMIN, KEY) or (kind == STAFF and operation.scope not in ADMINISTRATORS_ONLY)
    return let_in if operation.scope and has_scope else Expected(403, "forbidden", operation.scope)


def _of_users(operation: Operation, kind: str) -> Expected:
    if kind in (KEY, OTHER_KEY):
        return Expected(403, "forbidden")
    is_other_row = operation.is_about_a_row and kind != OWNER
    return Expected(404, "not_found") if is_other_row else Expected(operation.status)


class Callers:
    """Finds the caller of each kind; keys are those for the scope of an operation."""

    def __init__(self, shop: GuardedShop, shelf: Shelf, owner: Customer, other: Customer) -> None:
        self._shop = shop
        self._standing: dict[str, Caller] = {
            OWNER: owner.caller,
            OTHER: other.caller,
            STAFF: shelf.staff,
            ADMIN: shop.user("admin"),
        }
        self._fallen = dict(self._fall())
        self._key: Callable[[frozenset[str]], Caller] = lru_cache(lambda scopes: shop.key(*scopes))

    def find(self, operation: Operation, kind: str) -> Caller | None:
        """The caller of this kind, or nobody."""
        if kind == NOBODY:
            return None
        if kind in (KEY, OTHER_KEY):
            scopes = frozenset((operation.scope or "orders:read",))
            return self._key(scopes if kind == KEY else frozenset(ALL_SCOPES) - scopes)
        if kind in self._fallen:
            return self._fallen[kind]
        if operation.ends_sessions:
            return self._shop.user(kind if kind in (STAFF, ADMIN) else "customer")
        return self._standing[kind]

    def _fall(self) -> Iterator[tuple[str, Caller]]:
        """Callers who might have done everything. The shop has seen them before they fell, and has heard of it since."""
        database, admin = self._shop.database_url, self._standing[ADMIN]
        old = AccessTokens(KeyRing([self._shop.secret]), -60).issue(admin.id, admin.session_id, ALL_SCOPES)
        yield EXPIRED[0], Caller(admin.id, {"Authorization": f"Bearer {old}"}, admin.session_id)
        yield "garbage", Caller(0, {"Authorization": "Bearer of.good.news"})
        for kind, caller, statement in (
            (
                EXPIRED[1],
                self._shop.key(*ALL_SCOPES),
                f"UPDATE api_keys SET expires_at = {_LONG_AGO} WHERE id_key = %s",
            ),
            ("revoked key", self._shop.key(*ALL_SCOPES), "DELETE FROM api_keys WHERE id_key = %s"),
            ("revoked session", self._shop.user("admin"), "DELETE FROM user_sessions WHERE user_id = %s"),
            ("disabled user", self._shop.user("admin"), "UPDATE users SET is_active = false WHERE id_key = %s"),
        ):
            assert self._shop(caller, "GET", "/clients").status_code == 200
            execute(database, statement, caller.id)
            # The news of a change by another program takes a moment.
            deadline = time.monotonic() + _NEWS_SECONDS
            while self._shop(caller, "GET", "/clients").status_code != 401:
                assert time.monotonic() < deadline, f"the {kind} still stands"
            yield kind, caller


def headers_of(caller: Caller | None) -> Mapping[str, str]:
    return caller.headers if caller else {}
