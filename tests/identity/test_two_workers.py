"""Accounts on two workers: tabs that refresh at once (A3), and what ends a session everywhere (A2)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.identity.accounts import AccountShop, account_shop, bearer, current_session, is_void, replaced_long_ago
from tests.race.conftest import PATIENT
from tests.race.databases import new_database, rows_of

pytestmark = [pytest.mark.integration, pytest.mark.race, pytest.mark.slow]


@pytest.fixture(scope="module")
def workers(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountShop]:
    """A production shop; each request goes to either of its workers."""
    folder = tmp_path_factory.mktemp("workers")
    with account_shop(new_database(servers.database_url), redis_url, folder, workers=2, **PATIENT) as shop:
        yield shop


def test_tabs_that_refresh_at_once_get_one_successor(workers: AccountShop) -> None:
    user = workers.user()
    with ThreadPoolExecutor(8) as tabs:
        for _ in range(5):
            token = user.tokens["refresh_token"]
            responses = list(tabs.map(user.refresh, [token] * 8))
            assert {response.status_code for response in responses} == {200}
            (successor,) = {response.json()["refresh_token"] for response in responses}
            user.tokens = responses[0].json()
            assert user.tokens["refresh_token"] == successor


def test_what_ends_a_session_holds_at_the_next_request_on_every_worker(workers: AccountShop) -> None:
    for end in ("logout", "password", "sessions", "reuse"):
        user = workers.user()
        old = dict(user.tokens)
        for _ in range(6):
            assert user("GET", "/me").status_code == 200
        if end == "logout":
            assert user("POST", "/auth/logout").status_code == 204
        elif end == "sessions":
            assert user("DELETE", "/auth/sessions").status_code == 204
        elif end == "password":
            user.log_in()
            change = {"password": "another horse battery", "current_password": user.password}
            assert user("PATCH", "/me", json=change).status_code == 200
            assert user("GET", "/me").status_code == 200
        else:
            user.refresh()
            replaced_long_ago(user, current_session(user))
            assert is_void(user.refresh())
        for _ in range(6):
            assert is_void(workers.http.get("/me", headers=bearer(old["access_token"]))), end


def test_a_token_of_a_mail_works_once_and_a_name_has_one_owner(workers: AccountShop) -> None:
    user = workers.user()
    token = user.mailed("reset_password")
    with ThreadPoolExecutor(6) as crowd:
        bodies = [{"token": token, "password": f"another horse {number}"} for number in range(6)]
        resets = list(crowd.map(lambda body: workers.http.post("/auth/password/reset", json=body), bodies))
        assert sorted(response.status_code for response in resets) == [204, *[400] * 5]
        ((key, _),) = rows_of(user.database_url, "SELECT id_key, 1 FROM users WHERE id_key = %s", user.id)
        body = {"username": f"race-{key}", "email": f"race-{key}@example.com", "password": user.password}
        body |= {"name": "Ada", "lastname": "Lovelace"}
        made = list(crowd.map(lambda body: workers.http.post("/auth/register", json=body), [body] * 6))
        assert sorted(response.status_code for response in made) == [201, *[409] * 5]
