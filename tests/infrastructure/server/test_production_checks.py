"""Which outside databases production accepts (I19), and how long it waits for them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from config.settings import Settings, SettingsError, read_settings
from infrastructure.embedded.servers import ServerUrls, never
from infrastructure.server.production_checks import (
    DatabaseAway,
    check_database_url,
    check_redis_url,
    is_final,
    refuse_weak_password,
    wait_for_database,
)
from infrastructure.server.startup_banner import web_address
from tests.infrastructure.processes import free_port

REFUSED = [
    {"POSTGRES_HOST": "db.example"},
    {"POSTGRES_HOST": "db.example", "POSTGRES_PASSWORD": "postgres"},
    {"POSTGRES_HOST": "10.0.0.1", "POSTGRES_PASSWORD": ""},
    {"DATABASE_URL": "postgresql://u@db.example/shop"},
    {"DATABASE_URL": "postgresql://u:postgres@db.example/shop"},
    {"DATABASE_URL": "postgresql://u@/shop?host=db.example"},
    {"DATABASE_URL": "postgresql://u@/shop?host=localhost,db.example"},
    {"DATABASE_URL": "postgresql://u@/shop?host=localhost&host=db.example"},
    {"DATABASE_URL": "postgresql://u@localhost/shop?hostaddr=10.0.0.1"},
    {"DATABASE_URL": "postgresql://u@127.0.0.1/shop?host=db.example"},
    {"DATABASE_URL": "postgresql://u@localhost/shop?host=db.example:5432&host=localhost:5433"},
    {"DATABASE_URL": "postgresql://u@localhost,db.example/shop"},
    {"DATABASE_URL": "postgresql://u@/shop?host=a,localhost&hostaddr=127.0.0.1,10.0.0.1"},
    {"DATABASE_URL": "postgresql://u@/shop?host=localhost,db.example&hostaddr=127.0.0.1,"},
    {"DATABASE_URL": "postgresql://u@/shop?service=production"},
    {"DATABASE_URL": "postgresql://u@localhost/shop?service=addressed"},
    {"DATABASE_URL": "postgresql://u@/shop?service=not_in_the_file"},
    {"DATABASE_URL": "postgresql://u:s3cret@localhost/shop?password=postgres&host=db.example"},
    {"DATABASE_URL": "postgresql://u@db.example/shop?sslmode=verify-full&sslcert=/not/there.pem"},
    {"DATABASE_URL": f"postgresql://u@db.example/shop?sslmode=disable&sslcert={__file__}"},
    {"DATABASE_URL": "postgresql://u@db.example/shop?sslcert="},
    {"DATABASE_URL": "postgresql:///shop", "PGHOST": "db.example"},
    {"DATABASE_URL": "postgresql://u@localhost/shop", "PGHOSTADDR": "10.0.0.1"},
    {"DATABASE_URL": "postgresql:///shop", "PGSERVICE": "production"},
    {"DATABASE_URL": "postgresql://u@localhost/shop", "PGSERVICE": "addressed"},
    {"POSTGRES_HOST": "localhost", "PGHOSTADDR": "10.0.0.1"},
    {"POSTGRES_HOST": "db.example", "PGPASSWORD": "postgres"},
]
ACCEPTED = [
    {},
    {"POSTGRES_HOST": "db.example", "POSTGRES_PASSWORD": "s3cret"},
    {"POSTGRES_HOST": "localhost"},
    {"POSTGRES_HOST": "127.0.0.2"},
    {"POSTGRES_HOST": "::1", "POSTGRES_PASSWORD": "postgres"},
    {"POSTGRES_HOST": "/run/postgresql"},
    {"POSTGRES_HOST": "db.example", "ALLOW_INSECURE": "true"},
    {"DATABASE_URL": "postgresql://u:s3cret@db.example/shop"},
    {"DATABASE_URL": "postgresql://u@db.example/shop?password=s3cret"},
    {"DATABASE_URL": "postgresql://u@/shop?host=/run/postgresql"},
    {"DATABASE_URL": "postgresql:///shop"},
    {"DATABASE_URL": "postgresql:///shop", "PGHOST": "/run/postgresql"},
    {"DATABASE_URL": "postgresql://u@localhost/shop", "PGHOST": "db.example"},
    {"DATABASE_URL": "postgresql://u@localhost/shop", "PGSERVICE": "production"},
    {"DATABASE_URL": "postgresql://u@/shop?service=at_home"},
    {"DATABASE_URL": "postgresql://u@/shop?service=with_password"},
    {"DATABASE_URL": "postgresql://u@db.example/shop", "PGPASSWORD": "s3cret"},
    # Some file that is there.
    {"DATABASE_URL": f"postgresql://u@db.example/shop?sslmode=verify-full&sslcert={__file__}&sslkey=/k.pem"},
    {"DATABASE_URL": f"postgresql://u@db.example/shop?sslcert={__file__}"},
    {"DATABASE_URL": "postgresql://u@db.example/shop?host=127.0.0.1"},
    {"DATABASE_URL": "postgresql://u@db.example/shop?hostaddr=127.0.0.1"},
    {"DATABASE_URL": "postgresql://u@db.example/shop?hostaddr=127.0.0.1,::1&host=a,b"},
    {"DATABASE_URL": "postgresql://u@/shop?host=/run/postgresql:5432&host=localhost:5433"},
    {"DATABASE_URL": "postgresql://u@/shop?host=@abstract"},
]


SERVICES = """
[production]
host=db.example

[addressed]
hostaddr=10.0.0.1
[at_home]
host=localhost
# A comment.
[with_password]
host=db.example
password=s3cret%
"""


@pytest.fixture
def variables(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The environment without what libpq reads, which is set instead; and a service file."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    services = tmp_path / "services.conf"
    services.write_text(SERVICES)
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    for name, value in environment.items():
        if name.startswith("PG"):
            monkeypatch.setenv(name, value)
    return {name: value for name, value in environment.items() if not name.startswith("PG")}


@pytest.mark.unit
@pytest.mark.parametrize("environment", REFUSED)
def test_an_empty_or_default_password_is_refused(environment: dict[str, str], variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as error:
        refuse_weak_password(read_settings(variables))
    line = str(error.value)
    assert ("DATABASE_URL" if "DATABASE_URL" in environment else "POSTGRES_PASSWORD") in line
    assert "ALLOW_INSECURE=true" in line
    assert "\n" not in line


@pytest.mark.unit
@pytest.mark.parametrize("environment", ACCEPTED)
def test_what_nobody_else_can_use_is_accepted(environment: dict[str, str], variables: dict[str, str]) -> None:
    refuse_weak_password(read_settings(variables))


def require_refused_without_password(check: Callable[[Settings], None], variable: str, url: str) -> None:
    with pytest.raises(SettingsError) as error:
        check(read_settings({variable: url}))
    assert variable in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.unit
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@db:port/shop",
        "postgresql://u:secret@[::1/shop",
        "postgresql://u:secret@db:99999/shop",
        "postgresql://u:secret@db/shop?ssl_mode=require",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    require_refused_without_password(check_database_url, "DATABASE_URL", url)


@pytest.mark.unit
@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@cache:port/0",
        "redis://:secret@cache:99999/0",
        "redis://:secret@cache/first",
        "redis://:secret@cache/0?timeout=5",
        "redis://:secret@cache/0?socket_timeout=soon",
        "redis://:secret@[::1/0",
    ],
)
def test_a_redis_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    require_refused_without_password(check_redis_url, "REDIS_URL", url)


@pytest.mark.unit
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"REDIS_URL": "redis://cache"},
        {"REDIS_URL": "redis://cache/"},
        {"REDIS_URL": "redis://:secret@cache:6379/15?socket_timeout=5"},
        {"REDIS_URL": "rediss://user:secret@cache:6380/0?ssl_cert_reqs=none"},
        {"REDIS_URL": "unix:///run/valkey.sock?db=1"},
        {"REDIS_HOST": "/run/valkey.sock", "REDIS_PASSWORD": "p@ss"},
        {"REDIS_URL": "redis://cache:port", "REDIS_ENABLED": "false"},
    ],
)
def test_a_redis_url_that_can_be_used_is_accepted(environment: dict[str, str]) -> None:
    check_redis_url(read_settings(environment))


@pytest.mark.integration
def test_a_database_that_answers_is_not_waited_for(servers: ServerUrls, capsys: pytest.CaptureFixture[str]) -> None:
    wait_for_database(servers.database_url, 60, never)
    assert "Waiting" not in capsys.readouterr().err


@pytest.mark.integration
@pytest.mark.parametrize(("database", "user"), [("not_there", "postgres"), ("postgres", "not there")])
def test_what_waiting_does_not_change_is_not_waited_for(
    servers: ServerUrls, database: str, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = make_url(servers.database_url).set(database=database, username=user).render_as_string(hide_password=False)
    with pytest.raises(DatabaseAway, match=r"PostgreSQL refuses the connection: .*not.there") as error:
        wait_for_database(url, 60, never)
    assert "Waiting" not in capsys.readouterr().err
    assert "\n" not in str(error.value)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "final"),
    [
        ('FATAL:  password authentication failed for user "shop"', True),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "shop", database "shop", no encryption', True),
        ("fe_sendauth: no password supplied", True),
        ('FATAL:  role "shop" is not permitted to log in', True),
        ('FATAL:  database "shop" does not exist', True),
        ("FATAL:  the database system is starting up", False),
        ("FATAL:  sorry, too many clients already", False),
        ("connection refused", False),
        ('could not translate host name "db" to address: Name or service not known', False),
    ],
)
def test_what_ends_the_wait(text: str, final: bool) -> None:
    assert is_final(DBAPIError("", None, psycopg2.OperationalError(text)), "postgresql://") is final


@pytest.mark.unit
def test_a_database_that_does_not_answer_is_waited_for_so_long(capsys: pytest.CaptureFixture[str]) -> None:
    start = time.monotonic()
    with pytest.raises(DatabaseAway, match="did not answer within 1 s"):
        wait_for_database(f"postgresql+psycopg2://u:secret@127.0.0.1:{free_port()}/shop", 1, never)
    assert time.monotonic() - start >= 1
    said = capsys.readouterr().err
    assert said.count("Waiting up to 1 s for PostgreSQL") == 1
    assert "secret" not in said


@pytest.mark.unit
@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1:8000"),
        ("0.0.0.0", "127.0.0.1:8000"),
        ("::", "[::1]:8000"),
        ("2001:db8::1", "[2001:db8::1]:8000"),
        ("shop.example", "shop.example:8000"),
    ],
)
def test_addresses_are_shown_as_one_can_open_them(host: str, shown: str) -> None:
    assert web_address(host, 8000) == shown
