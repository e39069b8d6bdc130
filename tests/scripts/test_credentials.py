"""Scripts call a shop with AUTH=on by what the environment gives them, or by a key of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from config.settings import PROJECT_ROOT, read_settings
from infrastructure.embedded.servers import ServerUrls
from scripts.api_errors import EXIT_CANNOT, EXIT_FINE
from scripts.credentials import CredentialsNeeded, credentials_for, given_credentials
from security.scopes import ALL_SCOPES
from tests.guarded_shop import GuardedShop, guarded_shop
from tests.race.databases import new_database, rows_of
from tests.scripts.small_server import Answer, serving


@pytest.fixture(scope="module")
def guarded(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedShop]:
    with guarded_shop(new_database(servers.database_url), None, tmp_path_factory.mktemp("guarded")) as shop:
        yield shop


def load_demo(shop: GuardedShop, **variables: str) -> subprocess.CompletedProcess[str]:
    """The loader of the demo catalog, as a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in ("SHOP_TOKEN", "SHOP_API_KEY")}
    return subprocess.run(
        [sys.executable, "-m", "scripts.load_demo", "--base-url", shop.url],
        cwd=PROJECT_ROOT,
        env={**environment, "REDIS_ENABLED": "false", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.unit
class TestGiven:
    def test_a_token_goes_before_a_key(self) -> None:
        assert given_credentials({}) == {}
        assert given_credentials({"SHOP_TOKEN": "", "SHOP_API_KEY": "shop_a_b"}) == {"X-API-Key": "shop_a_b"}
        assert given_credentials({"SHOP_TOKEN": "t", "SHOP_API_KEY": "k"}) == {"Authorization": "Bearer t"}

    def test_a_shop_that_asks_nobody_is_told_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SHOP_TOKEN", raising=False)
        monkeypatch.delenv("SHOP_API_KEY", raising=False)
        with serving(lambda _: Answer(200, b"[]")) as url, credentials_for(url) as headers:
            assert headers == {}

    def test_without_a_database_the_script_says_what_it_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SHOP_TOKEN", raising=False)
        monkeypatch.delenv("SHOP_API_KEY", raising=False)
        nowhere = read_settings({"DATABASE_URL": "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"})
        monkeypatch.setattr("scripts.credentials.get_settings", lambda: nowhere)
        with (
            serving(lambda _: Answer(401, b"{}")) as url,
            pytest.raises(CredentialsNeeded, match="SHOP_API_KEY") as needed,
            credentials_for(url.replace("//", "//ada:secret-word@")),
        ):
            pass
        assert str(needed.value).startswith(f"The shop at {url} asks who calls")


@pytest.mark.integration
class TestLoader:
    def test_a_throw_away_key_is_gone_afterwards(self, guarded: GuardedShop) -> None:
        finished = load_demo(guarded, DATABASE_URL=guarded.database_url)
        assert finished.returncode == EXIT_FINE, finished.stderr
        assert "0 reviews" in finished.stdout
        assert rows_of(guarded.database_url, "SELECT name FROM api_keys") == []
        assert httpx.get(f"{guarded.url}/products").json()

    def test_a_key_of_the_environment(self, guarded: GuardedShop) -> None:
        key = guarded.key(*ALL_SCOPES).headers["X-API-Key"]
        assert load_demo(guarded, SHOP_API_KEY=key, DATABASE_URL="").returncode == EXIT_FINE

    def test_a_token_of_the_environment(self, guarded: GuardedShop) -> None:
        token = guarded.user("staff").headers["Authorization"].removeprefix("Bearer ")
        assert load_demo(guarded, SHOP_TOKEN=token, DATABASE_URL="").returncode == EXIT_FINE

    def test_a_refusal_is_one_line(self, guarded: GuardedShop) -> None:
        finished = load_demo(guarded, SHOP_API_KEY="shop_none_none", DATABASE_URL="")
        assert finished.returncode == EXIT_CANNOT
        assert finished.stderr.count("\n") == 1
        assert "401" in finished.stderr
