"""`python -m scripts.users`: the first administrator, and what helps where nobody can log in."""

import io
import sys
import time
from collections.abc import Iterator

import pytest

from config.settings import get_settings
from infrastructure.embedded.servers import ServerUrls
from scripts.database import EXIT_FINE
from scripts.users import EXIT_REFUSED, main
from security.passwords import Passwords
from tests.guarded_shop import Caller, GuardedShop, guarded_shop
from tests.race.databases import new_database, rows_of

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery staple"


@pytest.fixture(params=["with Redis", "without Redis"], scope="module")
def shop(
    request: pytest.FixtureRequest, servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedShop]:
    """A shop at work on the database that the script works on. Without Redis it is told by the database alone."""
    url = new_database(servers.database_url)
    redis = redis_url if request.param == "with Redis" else None
    with guarded_shop(url, redis, tmp_path_factory.mktemp("users")) as shop:
        yield shop


@pytest.fixture(autouse=True)
def settings(shop: GuardedShop, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings of this process name the database, and not the Redis of the shop: only the database tells it."""
    monkeypatch.setenv("DATABASE_URL", shop.database_url)
    monkeypatch.setenv("REDIS_ENABLED", "false")
    get_settings.cache_clear()
    shop.entries()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{text}\n"))


def becomes(shop: GuardedShop, caller: Caller, status: int, path: str = "/orders") -> None:
    """The shop answers the caller with this status, now or very soon."""
    ends = time.monotonic() + 30
    while shop(caller, "GET", path).status_code != status:
        assert time.monotonic() < ends
        time.sleep(0.01)


def name_of(shop: GuardedShop, caller: Caller) -> str:
    ((name,),) = rows_of(shop.database_url, "SELECT username FROM users WHERE id_key = %s", caller.id)
    return str(name)


def test_makes_an_administrator(
    shop: GuardedShop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, PASSWORD)
    assert main(["create-admin", "--email", "Ada+boss@Example.com"]) == EXIT_FINE
    # The shop in this process writes its log there, too.
    assert "Ada-boss is an administrator now." in capsys.readouterr().out.splitlines()
    found = "SELECT id_key, role, is_active, password_hash, email_verified_at FROM users WHERE username = 'Ada-boss'"
    ((user_id, role, is_active, password_hash, verified_at),) = rows_of(shop.database_url, found)
    assert (role, is_active, verified_at is not None) == ("admin", True, True)
    assert Passwords().is_right(PASSWORD, password_hash)
    (entry,) = shop.entries()
    assert (entry["actor"], entry["action"], entry["resource_id"]) == ("system", "create_admin", user_id)
    assert "argon2" not in str(entry)
    assert shop(shop.log_in(user_id), "GET", "/users").status_code == 200
    typed(monkeypatch, PASSWORD)
    assert main(["create-admin", "--email", "ada+BOSS@example.com", "--username", "other"]) == EXIT_REFUSED
    assert "User with email 'ada+BOSS@example.com' already exists" in capsys.readouterr().err
    assert main(["list"]) == EXIT_FINE
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "Ada-boss" in line)
    assert line.split()[:5] == [str(user_id), "Ada-boss", "Ada+boss@Example.com", "admin", "yes"]


@pytest.mark.parametrize(
    ("password", "arguments", "reason"),
    [
        ("short", [], "password: "),
        ("password123", [], "The password is one of the most common passwords"),
        ("b@example.com", [], "The password must not be"),
        (PASSWORD, ["--username", "a b"], "username: "),
    ],
)
def test_says_in_one_line_why_not(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    password: str,
    arguments: list[str],
    reason: str,
) -> None:
    typed(monkeypatch, password)
    assert main(["create-admin", "--email", "b@example.com", *arguments]) == EXIT_REFUSED
    refusal = capsys.readouterr().err.splitlines()[-1]
    assert refusal.startswith(f"Refused: {reason}")
    assert password not in refusal.removeprefix("Refused: The password").replace("password: ", "") or "b@" in password


def test_what_it_does_holds_at_once(shop: GuardedShop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.user("admin")
    staff = shop.user("staff")
    name = name_of(shop, staff)
    assert shop(staff, "GET", "/clients").status_code == 200
    assert main(["set-role", name, "admin"]) == EXIT_FINE
    becomes(shop, staff, 200, "/users")
    assert main(["revoke-sessions", f"{name}@EXAMPLE.com"]) == EXIT_FINE
    becomes(shop, staff, 401)
    staff = shop.log_in(staff.id)
    becomes(shop, staff, 200)
    assert main(["disable", name.upper()]) == EXIT_FINE
    becomes(shop, staff, 401)
    actions = [(entry["actor"], entry["action"], entry["changes"]) for entry in shop.entries()]
    assert actions == [
        ("system", "set_role", {"role": ["staff", "admin"]}),
        ("system", "revoke_sessions", {"sessions": [1, 0]}),
        ("system", "disable", {"is_active": [True, False]}),
    ]
    other = shop.user("staff")
    becomes(shop, other, 200)
    typed(monkeypatch, PASSWORD)
    assert main(["reset-password", name_of(shop, other)]) == EXIT_FINE
    becomes(shop, other, 401)
    ((password_hash,),) = rows_of(shop.database_url, "SELECT password_hash FROM users WHERE id_key = %s", other.id)
    assert Passwords().is_right(PASSWORD, password_hash)
    assert [entry["changes"] for entry in shop.entries()] == [{}]


def test_the_rules_of_the_shop_hold_here_too(shop: GuardedShop, capsys: pytest.CaptureFixture[str]) -> None:
    for (name,) in rows_of(shop.database_url, "SELECT username FROM users WHERE role = 'admin' AND is_active")[1:]:
        assert main(["set-role", name, "staff"]) == EXIT_FINE
    ((last,),) = rows_of(shop.database_url, "SELECT username FROM users WHERE role = 'admin' AND is_active")
    shop.entries()
    assert main(["disable", last]) == EXIT_REFUSED
    assert "The last active administrator" in capsys.readouterr().err
    assert main(["disable", "nobody at all"]) == EXIT_REFUSED
    assert "There is no user 'nobody at all'" in capsys.readouterr().err
    assert shop.entries() == []
