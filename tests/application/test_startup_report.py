"""What a start says of the database, its migrations and Redis."""

import asyncio
import logging

import pytest

from application.startup_report import report_start
from config.release import Build, host_name
from config.settings import read_settings
from infrastructure.cache.gateway import RedisGateway
from infrastructure.database.async_pool import READ_CONNECTIONS, WRITE_CONNECTIONS
from infrastructure.database.engine import Database
from infrastructure.database.migrations import heads, named
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import execute, new_database, rows_of

pytestmark = pytest.mark.integration

BUILD = Build("1.2.3", "abcdef0123", None)


def said(caplog: pytest.LogCaptureFixture, database_url: str, redis_url: str | None) -> list[str]:
    """The lines, without the word and the colon at their beginning: Redis, Database, Migrations."""

    async def start() -> None:
        gateway = RedisGateway(redis_url, timeout=60)
        await report_start(database, gateway, redis_url, BUILD, needs_administrator=False)
        await gateway.close()
        database.close_pools()

    database = Database(database_url, read_settings({}))
    try:
        with caplog.at_level(logging.INFO, logger="shop.start"):
            asyncio.run(start())
    finally:
        database.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "shop.start"]
    assert [line.partition(":")[0] for line in lines] == ["Redis", "Database", "Migrations"]
    return [line.partition(": ")[2] for line in lines]


def test_a_start_is_noted_once(own_url: str, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        said(caplog, own_url, None)
        caplog.clear()
    kept = "SELECT release, commit, schema_revision, host, started_at <= now() FROM releases"
    assert rows_of(own_url, kept) == [("1.2.3", "abcdef0123", named(heads()), host_name(), True)]


def test_everything_is_there(servers: ServerUrls, redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    url = new_database(servers.database_url)
    redis, database, migrations = said(caplog, url, redis_url)
    assert redis.startswith("Valkey ")
    assert "database " in redis
    assert database.startswith("PostgreSQL 18")
    assert database.endswith(
        f", as postgres; 6 threads, a write pool of {WRITE_CONNECTIONS} connections, a read pool of {READ_CONNECTIONS}"
    )
    assert migrations.startswith("at revision 00")
    assert "," not in migrations


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (None, "switched off, nothing is cached"),
        ("redis://:secret@127.0.0.1:1/3", "database 3 on 127.0.0.1:1 does not answer ("),
        ("unix:///nowhere/valkey.sock?db=2&password=secret", "database 2 on /nowhere/valkey.sock does not answer ("),
    ],
)
def test_redis_is_not_there(servers: ServerUrls, url: str | None, line: str, caplog: pytest.LogCaptureFixture) -> None:
    assert said(caplog, new_database(servers.database_url), url)[0].startswith(line)
    assert "secret" not in caplog.text


def test_a_database_that_is_not_at_this_release(servers: ServerUrls, caplog: pytest.LogCaptureFixture) -> None:
    url = new_database(servers.database_url)
    execute(url, "UPDATE alembic_version SET version_num = '0001'")
    assert said(caplog, url, None)[2].startswith("at revision 0001, and this release needs 00")
    caplog.clear()
    execute(
        url,
        "UPDATE alembic_version SET version_num = '9999'; DO $$ BEGIN EXECUTE 'COMMENT ON TABLE alembic_version IS ''at 9999; "
        "has ' || (SELECT string_agg(lpad(n::text, 4, '0'), ' ') FROM generate_series(1, 99) n) || ' 9999'''; END $$",
    )
    assert said(caplog, url, None)[2].startswith("at revision 9999, by a newer release than this one (00")


@pytest.mark.parametrize(
    ("administrator", "is_said"),
    [
        ("SELECT", True),
        ("INSERT INTO users (username, email, email_key, role) VALUES ('boss', 'b@x.org', 'b@x.org', 'admin')", False),
        ("UPDATE users SET is_active = false", True),
        ("UPDATE users SET is_active = true, role = 'staff'", True),
    ],
)
def test_a_shop_without_an_administrator_says_how_to_make_one(
    own_url: str, caplog: pytest.LogCaptureFixture, administrator: str, is_said: bool
) -> None:
    execute(own_url, administrator)
    database = Database(own_url, read_settings({}))

    async def start() -> None:
        await report_start(database, RedisGateway(None), None, BUILD, needs_administrator=True)
        database.close_pools()

    with caplog.at_level(logging.WARNING, logger="shop.start"):
        asyncio.run(start())
    database.close()
    assert ("python -m scripts.users create-admin --email" in caplog.text) is is_said


@pytest.fixture(scope="module")
def own_url(servers: ServerUrls) -> str:
    return new_database(servers.database_url)
