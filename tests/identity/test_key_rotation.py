"""SECRET_KEYS is rotated as docs/security.md says, one restart after the other, and nobody is logged out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.identity.accounts import SECRET, AccountShop, LoggedIn, account_shop, bearer
from tests.race.databases import new_database

pytestmark = pytest.mark.integration

NEW_SECRET = "another-only-for-tests-0123456789abcdef01234"


class Shops:
    """Shops on one database, one after the other."""

    def __init__(self, database_url: str, redis_url: str, folder: Path) -> None:
        self._urls, self._folder = (database_url, redis_url), folder

    @contextmanager
    def started(self, secrets: str) -> Iterator[AccountShop]:
        with account_shop(*self._urls, self._folder, SECRET_KEYS=secrets) as shop:
            yield shop


@pytest.fixture
def shops(servers: ServerUrls, redis_url: str, tmp_path: Path) -> Shops:
    return Shops(new_database(servers.database_url), redis_url, tmp_path)


def key_of(user: LoggedIn) -> str:
    """The key that has signed the user's access token."""
    return str(jwt.get_unverified_header(user.tokens["access_token"])["kid"])


def test_tokens_of_the_old_secret_hold_until_it_is_taken_away(shops: Shops) -> None:
    with shops.started(SECRET) as shop:
        user, idle = shop.user(), shop.user()
        old_key, old_tokens = key_of(user), dict(user.tokens)
        # As in a mail that was sent before the first restart.
        verifying = user.mailed("verify_email")
    with shops.started(f"{NEW_SECRET},{SECRET}") as shop:
        user, idle = replace(user, http=shop.http), replace(idle, http=shop.http)
        assert user("GET", "/me").status_code == 200
        assert shop.http.post("/auth/email/verify", json={"token": verifying}).status_code == 204
        user.tokens = user.refresh().json()
        assert key_of(user) != old_key
        # The other tab, which has the old one still, gets the same.
        assert user.refresh(old_tokens["refresh_token"]).json()["refresh_token"] == user.tokens["refresh_token"]
        asked = shop.http.post("/auth/password/forgot", json={"email": user.email})
        assert asked.status_code == 202
        reset = shop.token(user.email, "new password")
    with shops.started(NEW_SECRET) as shop:
        user, idle = replace(user, http=shop.http), replace(idle, http=shop.http)
        assert user("GET", "/me").status_code == 200
        assert user.refresh().status_code == 200
        assert shop.http.get("/me", headers=bearer(old_tokens["access_token"])).status_code == 401
        assert idle("GET", "/me").status_code == idle.refresh().status_code == 401
        # Passwords are no matter of secrets.
        idle.log_in()
        new = {"token": reset, "password": "another horse battery"}
        assert shop.http.post("/auth/password/reset", json=new).status_code == 204
