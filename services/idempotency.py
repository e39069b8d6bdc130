"""Idempotency keys: a request has one effect, however often it is sent with the same Idempotency-Key.

The reply is stored in the transaction that does the work, so that both exist or neither. While it runs, an advisory lock
of that transaction refuses repeats (409); a killed worker leaves none behind, because PostgreSQL ends the transaction
with the connection.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from repositories.idempotency_key import IdempotencyKeyRepository
from schemas.problem import problem_json
from services.errors import KeyReused, RequestInProgress, ShopError
from services.refusal_log import log_refusal

PROBLEM = "application/problem+json"
KEEP_HOURS = 24
PURGE_BATCH = 1000
# Refusals by a rule are kept like any other reply; what may succeed when it is repeated is not.
_KEPT_REFUSALS = {400, 404, 409}


def is_kept(refusal: ShopError) -> bool:
    """Whether a repeat gets the same refusal, rather than doing the work again."""
    return refusal.status in _KEPT_REFUSALS and not isinstance(refusal, RequestInProgress)


@dataclass(frozen=True, slots=True)
class Reply:
    """The finished reply to a write: status, body and headers.

    With `kept` a repeat gets this refusal instead, because the reply has a secret in it.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    kept: ShopError | None = None


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an Idempotency-Key, and what the body of an error says about it."""

    key: str
    fingerprint: bytes
    path: str
    request_id: str | None


class Idempotency:
    """The work of one keyed request. `transact` runs a function in a transaction of its own."""

    def __init__(self, request: KeyedRequest, transact: Callable[[Callable[[Session], Reply]], Reply]) -> None:
        self.request = request
        self._transact = transact

    def once(self, work: Callable[[Session], Reply]) -> Reply:
        """The reply of `work`, done now or earlier. Raises `RequestInProgress`, `KeyReused`, and refusals that are not kept."""

        def first_time(session: Session) -> Reply:
            kept = self._kept(session)
            if kept is not None:
                return kept
            reply = work(session)
            self._keep(session, reply if reply.kept is None else self._refused(reply.kept))
            return reply

        try:
            return self._transact(first_time)
        except ShopError as refusal:
            if not is_kept(refusal):
                raise
            log_refusal(refusal)
            return self._transact(self._refusal(refusal))

    def _refusal(self, refusal: ShopError) -> Callable[[Session], Reply]:
        """Keep a refusal in a second transaction: the first was rolled back, its lock included.

        If a repeat has done the work in between, its reply counts.
        """

        def keep_refusal(session: Session) -> Reply:
            kept = self._kept(session)
            if kept is not None:
                return kept
            reply = self._refused(refusal)
            self._keep(session, reply)
            return reply

        return keep_refusal

    def _refused(self, refusal: ShopError) -> Reply:
        body = problem_json(
            refusal.status,
            refusal.detail,
            code=refusal.code,
            instance=self.request.path,
            request_id=self.request.request_id,
            extra=refusal.members,
        )
        return Reply(refusal.status, body, {"Content-Type": PROBLEM, **refusal.headers})

    def _kept(self, session: Session) -> Reply | None:
        keys = IdempotencyKeyRepository(session)
        if not keys.try_lock(self.request.key):
            raise RequestInProgress
        kept = keys.find(self.request.key)
        if kept is None:
            return None
        if bytes(kept.fingerprint) != self.request.fingerprint:
            raise KeyReused
        return Reply(kept.status, keys.body(self.request.key, kept), {**kept.headers, "Idempotent-Replayed": "true"})

    def _keep(self, session: Session, reply: Reply) -> None:
        request = self.request
        IdempotencyKeyRepository(session).keep(
            request.key, request.fingerprint, reply.status, reply.headers, reply.body
        )


def purge(session: Session) -> int:
    """Delete replies that were kept long enough, at most `PURGE_BATCH` of them; how many there were."""
    return IdempotencyKeyRepository(session).purge(KEEP_HOURS, PURGE_BATCH)
