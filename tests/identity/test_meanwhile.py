"""What changes about a user while a request about them is under way: it is looked at again under the lock of the user."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.identity.accounts import AccountShop, LoggedIn, a_name, account_shop
from tests.race.databases import WAITING, connected, new_database, rows_of

pytestmark = pytest.mark.integration

R = TypeVar("R")

_SECONDS = 30


@pytest.fixture(scope="module")
def accounts(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountShop]:
    """A shop that waits for locks as long as the tests do."""
    folder, patience = tmp_path_factory.mktemp("meanwhile"), str(2 * _SECONDS)
    url = new_database(servers.database_url)
    with account_shop(url, redis_url, folder, DB_LOCK_TIMEOUT=patience, DB_STATEMENT_TIMEOUT=patience) as shop:
        yield shop


@pytest.fixture
def user(accounts: AccountShop) -> LoggedIn:
    return accounts.user()


@contextmanager
def locked(user: LoggedIn) -> Iterator[Callable[[str], None]]:
    """Nobody else changes the user, until the function that this gives commits a change of these columns."""
    with connected(user.database_url) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM users WHERE id_key = %s FOR UPDATE", (user.id,))

        def commit(columns: str) -> None:
            cursor.execute(f"UPDATE users SET {columns} WHERE id_key = %s", (user.id,))
            cursor.execute("COMMIT")

        yield commit


def wait_for_waiting(user: LoggedIn, statements: int) -> None:
    """Return once so many statements wait for a lock."""
    deadline = time.monotonic() + _SECONDS
    while len(rows_of(user.database_url, WAITING)) < statements:
        assert time.monotonic() < deadline, "nothing waits for the lock"
        time.sleep(0.02)


def during(user: LoggedIn, columns: str, *calls: Callable[[], R]) -> list[R]:
    """The results of the calls, all of which have read the user before these columns change."""
    with ThreadPoolExecutor(len(calls)) as pool, locked(user) as commit:
        running: list[Future[R]] = [pool.submit(call) for call in calls]
        wait_for_waiting(user, len(calls))
        commit(columns)
        return [call.result(_SECONDS) for call in running]


@pytest.mark.parametrize("columns", ["is_active = false", "password_hash = 'another'"])
def test_nobody_logs_in_who_was_shut_out_after_the_password_was_checked(
    accounts: AccountShop, user: LoggedIn, columns: str
) -> None:
    def log_in() -> httpx.Response:
        return accounts.http.post("/auth/login", json={"username": user.username, "password": user.password})

    count = "SELECT count(*) FROM user_sessions WHERE user_id = %s"
    before = rows_of(user.database_url, count, user.id)
    (response,) = during(user, columns, log_in)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_credentials")
    assert rows_of(user.database_url, count, user.id) == before


def test_the_token_of_a_mail_sets_one_password_of_two_at_once(accounts: AccountShop, user: LoggedIn) -> None:
    token = user.mailed("reset_password")

    def reset(password: str) -> Callable[[], httpx.Response]:
        return lambda: accounts.http.post("/auth/password/reset", json={"token": token, "password": password})

    responses = during(user, "full_name = full_name", reset("first horse battery"), reset("second horse battery"))
    assert sorted(response.status_code for response in responses) == [204, 400]


def test_the_token_of_a_new_address_is_used_up(accounts: AccountShop, user: LoggedIn) -> None:
    old, new = user.email, f"{a_name()}@example.com"
    token = user.mailed("change_email", new)
    assert accounts.http.post("/auth/email/verify", json={"token": token}).status_code == 204
    user.set(f"email = '{old}', email_key = '{old}'")
    again = accounts.http.post("/auth/email/verify", json={"token": token})
    assert (again.status_code, again.json()["code"]) == (400, "account_token_invalid")
