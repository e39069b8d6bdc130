"""Authenticator: who the credentials of a request belong to.

A token is verified once, and then remembered with its principal until it expires. Whether the user and the session still
stand is decided as for cached responses: the principal has cache tags, and a write that ends a session, or changes a user
or a key, invalidates them. Their values are fetched together with those of the responses of the same turn. With Redis
away, one query asks the database for all requests of a turn.
"""

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from infrastructure.cache.batcher import Batcher, SharedFuture
from infrastructure.cache.lru_cache import LruCache
from infrastructure.cache.tags import EVERYTHING, CurrentTagValues, TagValues, row_tag, tag_key
from repositories.standing import keys_by_hash, standing_sessions
from security.access_token import AccessTokens, BadToken, Claims, ExpiredToken
from security.credentials import Credentials
from security.principal import Kind, Principal
from security.scopes import ALL_SCOPES, SCOPES_OF, Role, Scope
from services.executor import Executor
from services.identity.errors import BothCredentials, TokenExpired, TokenInvalid

log = logging.getLogger("shop.identity")

# The bytes of all remembered principals, and of one beside its token.
_MEMORY_BYTES, _PRINCIPAL_BYTES = 4 * 1024 * 1024, 2000

USERS, SESSIONS, API_KEYS = "users", "user_sessions", "api_keys"


@dataclass(frozen=True, slots=True)
class KnownCaller:
    """A principal, and the tag values with which it was read. `expires_at` is in seconds since 1970."""

    principal: Principal
    expires_at: float
    tag_keys: tuple[str, ...]
    tag_values: CurrentTagValues
    on_use: Callable[[], None] | None = None

    def stands(self, current: TagValues) -> bool:
        """Whether nothing has changed about the caller, by the result of `check`. If so, the caller is let in."""
        values = self.tag_values
        if not all(current.get(key) == values[key] for key in self.tag_keys) or time.time() >= self.expires_at:
            return False
        if self.on_use is not None:
            self.on_use()
        return True


class Authenticator:
    """Finds the principals of one worker's requests. `note_use` is called with each API key that is let in."""

    def __init__(
        self, executor: Executor, tokens: Callable[[], AccessTokens], note_use: Callable[[int], None] = lambda _: None
    ) -> None:
        self._executor, self._cache, self._note_use = executor, executor.cache, note_use
        # The keys are read when the first token comes: a start must not depend on a folder that nobody needs.
        self._tokens = tokens
        self._known: LruCache[str, KnownCaller] = LruCache(_MEMORY_BYTES)
        self._sessions: Batcher[set[int], dict[int, Any]] = Batcher(set, partial(self._read, standing_sessions, 0))
        self._keys: Batcher[set[bytes], dict[bytes, Any]] = Batcher(set, partial(self._read, keys_by_hash, 1))

    # In steps, for the fast path.

    def recall(self, credentials: Credentials) -> KnownCaller | None:
        """The caller, if this worker has seen the credentials before. Whether it still stands is to be checked."""
        return self._known.get(credentials.token or credentials.key or "")

    def check(self, known: KnownCaller) -> SharedFuture[TagValues] | None:
        """Begin to fetch what decides whether the caller stands; None when Redis cannot tell."""
        return self._cache.check_tags(known.tag_keys)

    async def authenticate(self, credentials: Credentials) -> Principal:
        """The principal. Raises `BothCredentials`, `TokenExpired`, `TokenInvalid`, or `Unavailable`."""
        if credentials.is_ambiguous:
            raise BothCredentials
        known = self.recall(credentials)
        current = None if known is None else await self._cache.current_tags(known.tag_keys)
        if known is not None and current is not None and known.stands(current):
            return known.principal
        if credentials.token is not None:
            return await self._user(credentials.token)
        if credentials.key is not None:
            return await self._api_key(credentials.key)
        raise TokenInvalid

    # Parts of `authenticate`.

    async def _user(self, token: str) -> Principal:
        claims = self.verify(token)
        tags = (row_tag(SESSIONS, claims.session_id), row_tag(USERS, claims.user_id))

        async def load() -> tuple[Principal, float]:
            row = await self._ask(self._sessions, claims.session_id)
            if row is None or row.user_id != claims.user_id:
                raise TokenInvalid
            role = Role(row.role)
            principal = Principal(
                Kind.USER,
                row.user_id,
                SCOPES_OF[role],
                role,
                row.username,
                row.client_id,
                row.id_key,
                row.email_verified_at is not None,
            )
            return principal, min(claims.expires_at, row.expires_at.timestamp())

        return await self._remembered(token, tags, load)

    async def _api_key(self, key: str) -> Principal:
        digest = hashlib.sha256(key.encode()).digest()
        row = await self._ask(self._keys, digest)
        if row is None:
            raise TokenInvalid
        if not row.is_valid:
            raise TokenExpired

        async def load() -> tuple[Principal, float]:
            # Once more, after the tag values: a change in between would be missed.
            row = await self._ask(self._keys, digest)
            if row is None or not row.is_valid:
                raise TokenInvalid
            scopes = frozenset(map(Scope, ALL_SCOPES.intersection(row.scopes)))
            ends = float("inf") if row.expires_at is None else row.expires_at.timestamp()
            return Principal(Kind.API_KEY, row.id_key, scopes, username=row.name), ends

        note = partial(self._note_use, row.id_key)
        principal = await self._remembered(key, (row_tag(API_KEYS, row.id_key),), load, note)
        note()
        return principal

    def verify(self, token: str) -> Claims:
        """What a token says. Raises `TokenExpired` or `TokenInvalid`."""
        try:
            return self._tokens().verify(token)
        except ExpiredToken:
            raise TokenExpired from None
        except BadToken:
            raise TokenInvalid from None

    async def _remembered(
        self,
        secret: str,
        tags: Iterable[str],
        load: Callable[[], Awaitable[tuple[Principal, float]]],
        on_use: Callable[[], None] | None = None,
    ) -> Principal:
        keys = tuple(map(tag_key, (EVERYTHING, *tags)))
        # Before the database is read: what changes meanwhile has other values afterwards.
        values = await self._cache.current_tags(keys)
        principal, expires_at = await load()
        if values is not None:
            caller = KnownCaller(principal, expires_at, keys, values, on_use)
            self._known.put(secret, caller, weight=_PRINCIPAL_BYTES + 4 * len(secret))
        return principal

    async def _ask(self, batches: Batcher[set[Any], dict[Any, Any]], wanted: Any) -> Any:
        batch, rows = batches.join()
        batch.add(wanted)
        return (await rows).get(wanted)

    async def _read(self, query: Callable[..., Any], column: int, wanted: set[Any]) -> dict[Any, Any]:
        rows = await self._executor.read(lambda session: query(session, wanted))
        return {bytes(row[column]) if column else row[column]: row for row in rows}
