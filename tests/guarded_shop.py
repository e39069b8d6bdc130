"""A shop with AUTH=on, and callers of every kind, who are made by SQL."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from security.access_token import AccessTokens
from security.secret_keys import KeyRing
from tests.race.databases import execute, rows_of
from tests.shop import PATIENT_REDIS_SECONDS, environment_of, shop_in_thread, shop_processes

_numbers = itertools.count(1)
_EXPIRES = "now() + interval '1 day'"


@dataclass(frozen=True)
class Caller:
    """The key of a user or of an API key, and the headers with which it calls."""

    id: int
    headers: Mapping[str, str]
    session_id: int = 0


@dataclass
class GuardedShop:
    """The shop at `url`, on its own database."""

    url: str
    database_url: str
    secret: str
    http: httpx.Client
    known: dict[str, Caller] = field(default_factory=dict)

    def user(self, role: str, client_id: int | None = None) -> Caller:
        """A new user of this role who has logged in."""
        name = f"{role}{next(_numbers)}"
        ((user_id,),) = rows_of(
            self.database_url,
            "INSERT INTO users (username, email, email_key, role, client_id, email_verified_at)"
            " VALUES (%s, %s, %s, %s, %s, now()) RETURNING id_key",
            name,
            f"{name}@example.com",
            f"{name}@example.com",
            role,
            client_id,
        )
        return self.log_in(user_id)

    def log_in(self, user_id: int) -> Caller:
        """The user, in a new session."""
        insertion = f"INSERT INTO user_sessions (user_id, expires_at, address) VALUES (%s, {_EXPIRES}, '127.0.0.1')"
        ((session_id,),) = rows_of(self.database_url, f"{insertion} RETURNING id_key", user_id)
        token = AccessTokens(KeyRing([self.secret]), 15).issue(user_id, session_id, [])
        return Caller(user_id, {"Authorization": f"Bearer {token}"}, session_id)

    def key(self, *scopes: str) -> Caller:
        """A new API key with these scopes."""
        prefix = f"t{next(_numbers)}"
        secret = f"shop_{prefix}_{'x' * 43}"
        ((key_id,),) = rows_of(
            self.database_url,
            "INSERT INTO api_keys (name, prefix, secret_hash, scopes) VALUES ('test', %s, %s, %s) RETURNING id_key",
            prefix,
            hashlib.sha256(secret.encode()).digest(),
            list(scopes),
        )
        return Caller(key_id, {"X-API-Key": secret})

    def __call__(self, caller: Caller | None, method: str, path: str, **more: Any) -> httpx.Response:
        """The response to a call."""
        headers = {**(caller.headers if caller else {}), **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def entries(self) -> list[dict[str, Any]]:
        """The audit trail since the last call of this, the oldest entry first."""
        names = ("actor", "action", "resource", "resource_id", "changes", "request_id", "address")
        rows = rows_of(self.database_url, f"SELECT {', '.join(names)} FROM audit_entries ORDER BY id_key")
        execute(self.database_url, "TRUNCATE audit_entries")
        return [dict(zip(names, row, strict=True)) for row in rows]


@contextmanager
def guarded_shop(database_url: str, redis_url: str | None, folder: Path, **settings: str) -> Iterator[GuardedShop]:
    """A shop with AUTH=on in a thread of this process."""
    environment = _environment(database_url, redis_url, folder, **settings)
    with (
        shop_in_thread(environment, redis_seconds=PATIENT_REDIS_SECONDS) as url,
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        yield GuardedShop(url, database_url, environment["SECRET_KEYS"], http)


@contextmanager
def guarded_processes(database_url: str, redis_url: str | None, folder: Path, **settings: str) -> Iterator[GuardedShop]:
    """A production shop with AUTH=on and two worker processes. Each request has its own connection, to either of them."""
    environment = _environment(database_url, redis_url, folder, **settings)
    no_reuse = httpx.Limits(max_keepalive_connections=0)
    with (
        shop_processes(environment, workers=2) as (url, _),
        httpx.Client(base_url=url, timeout=30, limits=no_reuse) as http,
    ):
        yield GuardedShop(url, database_url, environment["SECRET_KEYS"], http)


def _environment(database_url: str, redis_url: str | None, folder: Path, **settings: str) -> dict[str, str]:
    # Callers with credentials are counted whatever their address is.
    unlimited = {"RATE_LIMIT_CALLS_AUTHENTICATED": "1000000"}
    own = {"AUTH": "on", "DATA_DIR": str(folder / "data"), **unlimited, **settings}
    return environment_of(database_url, redis_url, folder, **own)
