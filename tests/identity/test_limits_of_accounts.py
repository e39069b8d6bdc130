"""What accounts cost the shop: limits of logins, a storm of them (A9), and rows whose time is over."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.settings import read_settings
from infrastructure.database.engine import Database
from infrastructure.embedded.servers import ServerUrls
from services.idempotency import PURGE_BATCH
from services.identity.account_tokens import purge_tokens
from services.identity.sessions import purge_sessions
from tests.identity.accounts import AccountShop, account_shop, registration
from tests.race.databases import execute, new_database, rows_of

pytestmark = pytest.mark.integration

LIMITS: Any = {
    "RATE_LIMIT_LOGIN": "2/60",
    "RATE_LIMIT_LOGIN_ADDRESS": "5/60",
    "RATE_LIMIT_REGISTER": "4/60",
    "RATE_LIMIT_REFRESH": "3/60",
}


@pytest.fixture(scope="module")
def own_url(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture
def limited(own_url: str, tmp_path: Path) -> Iterator[AccountShop]:
    """A shop with low limits, whose own network is exempt from that of all requests. Without Redis it counts by itself."""
    with account_shop(own_url, None, tmp_path, **LIMITS) as shop:
        yield shop


def test_logins_are_limited_for_each_account_and_address(limited: AccountShop) -> None:
    user = limited.user()
    wrong = {"username": user.username, "password": "wrong horse"}
    assert limited.http.post("/login", json=wrong).status_code == 401
    refused = limited.http.post("/auth/login", json=wrong | {"username": user.username.upper()})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limit_exceeded")
    assert refused.json()["detail"] == "Rate limit exceeded. Maximum 2 requests per 60 seconds."
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["cache-control"] == "private, no-store"
    # Another account is not locked, until the address has had its share.
    other = {"username": "somebody-else", "password": "wrong horse"}
    assert [limited.http.post("/login", json=other).status_code for _ in range(3)] == [401, 401, 429]


def test_registrations_and_forgotten_passwords_share_a_limit(limited: AccountShop) -> None:
    user = limited.user()
    assert limited.http.post("/register", json=registration()).status_code == 201
    for status in (202, 202, 429):
        assert limited.http.post("/auth/password/forgot", json={"email": user.email}).status_code == status
    assert limited.http.post("/register", json=registration()).status_code == 429


def test_refreshed_tokens_are_limited(limited: AccountShop) -> None:
    user = limited.user()
    assert [user.refresh().status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_storm_of_logins_is_refused_and_the_shop_sells_on(accounts: AccountShop) -> None:
    user = accounts.user()
    body = {"username": user.username, "password": "wrong horse"}
    with ThreadPoolExecutor(50) as crowd:
        logins = [crowd.submit(accounts.http.post, "/auth/login", json=body) for _ in range(50)]
        reads = [accounts.http.get("/products").status_code for _ in range(20)]
        responses = [login.result() for login in logins]
    assert set(reads) == {200}
    assert {response.status_code for response in responses} <= {401, 503}
    for response in responses:
        if response.status_code == 503:
            assert int(response.headers["retry-after"]) >= 1
    user.log_in()


def test_what_has_expired_is_deleted_in_batches(own_url: str) -> None:
    execute(
        own_url,
        "INSERT INTO users (username, email, email_key) VALUES ('purged', 'purged@example.com', 'purged@example.com')",
    )
    execute(
        own_url,
        "INSERT INTO user_sessions (user_id, expires_at, address) SELECT id_key, now() - interval '1 s' * sign(n), 'x'"
        " FROM users, generate_series(-1, %s) n WHERE username = 'purged' AND n <> 0",
        PURGE_BATCH + 1,
    )
    execute(
        own_url,
        "INSERT INTO account_tokens (user_id, purpose, email, secret_hash, expires_at)"
        " SELECT id_key, 'verify_email', 'x', sha256(n::text::bytea), now() - interval '1 s' * n"
        " FROM users, generate_series(-1, 1, 2) n WHERE username = 'purged'",
    )
    database = Database(own_url, read_settings({}))
    try:
        counts = [database.transact(work) for work in (purge_sessions, purge_sessions, purge_sessions, purge_tokens)]
    finally:
        database.close_pools()
        asyncio.run(asyncio.to_thread(database.close))
    assert counts == [PURGE_BATCH, 1, 0, 1]
    left = partial(rows_of, own_url)
    of_user = "WHERE user_id = (SELECT id_key FROM users WHERE username = 'purged')"
    assert left(f"SELECT count(*) FROM user_sessions {of_user}") == [(1,)]
    assert left(f"SELECT count(*) FROM account_tokens {of_user}") == [(1,)]
