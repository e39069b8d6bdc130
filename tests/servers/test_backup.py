"""Backups of a PostgreSQL of the distribution, which is older than the embedded one, by a role that owns nothing but its database."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import make_url

from config.settings import get_settings
from infrastructure.database.migrations import migrate
from scripts.backup import main
from scripts.database import EXIT_CANNOT, EXIT_FINE
from tests.race.databases import breaches, execute, rows_of
from tests.servers.debian_postgres import debian_postgres

pytestmark = [pytest.mark.integration, pytest.mark.slow]


_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with debian_postgres() as url:
        execute(url, "CREATE ROLE shop LOGIN PASSWORD 'only for tests'")
        yield url


@pytest.fixture(params=["public", "sales"])
def database(
    server: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A migrated database of the role, in this schema, which the settings of this process name."""
    schema = str(request.param)
    name = f"shop_{next(_numbers)}"
    execute(server, f'CREATE DATABASE "{name}" OWNER shop')
    url = make_url(server).set(database=name, username="shop", password="only for tests")
    if schema != "public":
        url = url.update_query_dict({"options": f"-csearch_path={schema}"})
    text = url.render_as_string(hide_password=False)
    execute(
        make_url(server).set(database=name, username="shop").render_as_string(),
        f'CREATE SCHEMA IF NOT EXISTS "{schema}"',
    )
    migrate(text)
    monkeypatch.setenv("DATABASE_URL", text)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REDIS_ENABLED", "false")
    get_settings.cache_clear()
    yield text
    get_settings.cache_clear()


def test_they_are_taken_proved_and_restored(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(
        database, "INSERT INTO clients (name, lastname, email, email_key) VALUES ('Ada', 'B', 'a@x.org', 'a@x.org')"
    )
    # Proved in the embedded server, which is of a newer version.
    assert main(["--verify"]) == EXIT_FINE, capsys.readouterr()
    (about,) = (tmp_path / "backups").glob("*.json")
    ((version,),) = rows_of(database, "SHOW server_version")
    assert json.loads(about.read_text())["server_version"] == version.partition(" ")[0]
    execute(database, "DELETE FROM clients; CREATE TABLE of_later (id int)")
    assert main(["--restore", "newest", "--yes"]) == EXIT_FINE, capsys.readouterr()
    assert rows_of(database, "SELECT name FROM clients") == [("Ada",)]
    assert rows_of(database, "SELECT to_regclass('of_later')") == [(None,)]
    assert breaches(database) == []


def test_without_programs_the_package_is_named(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infrastructure.backup.programs._installed", lambda: ())
    assert main([]) == EXIT_CANNOT
    assert "install the package postgresql-client-" in capsys.readouterr().err
