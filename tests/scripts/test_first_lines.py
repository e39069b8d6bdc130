"""The first line of every script: which database it speaks to, or which shop, without the password."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from config.settings import PROJECT_ROOT
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import new_database

SCRIPTS = sorted(
    path.stem
    for path in (PROJECT_ROOT / "scripts").glob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)
# `make` runs it before there is anything else.
WITHOUT_DATABASE = {"install_packages"}
SHOP = "http://ada:secret-word@127.0.0.1:1"
# How a script is run that does not run without arguments, or calls a shop.
ARGUMENTS = {
    "books": ["--plan"],
    "export_csv": ["categories", "-"],
    "import_csv": ["categories", "/nonexistent"],
    "load_demo": ["--base-url", SHOP],
    "load_online_retail": ["/nonexistent", "--base-url", SHOP],
    "personal_data": ["export", "--client", "1"],
    # It asks a deployment from outside, where there is no database.
    "smoke": ["--base-url", SHOP],
    "users": ["list"],
}


@pytest.mark.unit
def test_what_can_be_run_is_seen() -> None:
    assert {"verify", "worker", *WITHOUT_DATABASE} < set(SCRIPTS)


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("script", [name for name in SCRIPTS if name not in WITHOUT_DATABASE])
def test_the_first_line_names_the_database(script: str, servers: ServerUrls, tmp_path: Path) -> None:
    url = make_url(new_database(servers.database_url)).set(password="secret-word")
    environment = {
        **os.environ,
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "REDIS_ENABLED": "false",
        "LOG_DIR": str(tmp_path),
    }
    arguments = ARGUMENTS.get(script, [])
    calls_a_shop = SHOP in arguments
    # On both outputs together, in the order in which they are written.
    with subprocess.Popen(
        [sys.executable, "-m", f"scripts.{script}", *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        # Who calls a shop says that it does not answer, and ends.
        if not calls_a_shop:
            process.terminate()
        # `communicate` would leave out what came together with the first line.
        rest = process.stdout.read()
    assert first.startswith("Shop: http://127.0.0.1:1\n" if calls_a_shop else f"Database: {url.database} on "), first
    assert "secret-word" not in first + rest
    assert not calls_a_shop or rest
