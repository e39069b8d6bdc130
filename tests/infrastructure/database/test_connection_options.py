"""What connections are opened with, whoever opens them: what the operator said counts, and the shop's defaults beside it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from config.settings import read_settings
from infrastructure.database.async_connection import connect
from infrastructure.database.async_pool import AsyncPool
from infrastructure.database.availability import Availability
from infrastructure.database.connection_options import connection_options
from infrastructure.database.engine import Database
from infrastructure.database.migrations import maintenance_connection, migrate
from infrastructure.database.prepared import Prepared
from infrastructure.database.probe import Probe
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import connected, execute, process_number, rows_of

pytestmark = pytest.mark.integration

SETTINGS = read_settings({"DB_POOL_SIZE": "1"})


def by_session(url: str, name: str) -> str:
    database = Database(url, SETTINGS)
    try:
        return database.transact(lambda session: str(session.execute(text(f"SHOW {name}")).scalar_one()))
    finally:
        database.close()


def by_pool(url: str, name: str) -> str:
    async def shown() -> str:
        pool = AsyncPool(url, SETTINGS, number=1)
        try:
            rows = await pool.run(Prepared("shown", f"SELECT current_setting('{name}')"), {})
        finally:
            pool.close()
        assert rows is not None
        return str(rows[0][0])

    return asyncio.run(shown())


def by_probe(url: str, name: str) -> str:
    async def shown() -> str:
        probe = Probe(url, SETTINGS, Availability(url), lambda: None)
        try:
            rows = await probe.ask(Prepared("shown", f"SELECT current_setting('{name}')"))
        finally:
            probe.close()
        assert rows is not None
        return str(rows[0][0])

    return asyncio.run(shown())


def by_listener(url: str, name: str) -> str:
    async def shown() -> str:
        async with await connect(url, "LISTEN shop_catalog", "shop notices") as connection:
            row = await (await connection.execute(f"SHOW {name}")).fetchone()
        assert row is not None
        return str(row[0])

    return asyncio.run(shown())


def by_maintenance(url: str, name: str) -> str:
    with maintenance_connection(url) as connection:
        return str(connection.execute(text(f"SHOW {name}")).scalar_one())


WAYS = pytest.mark.parametrize("shown", [by_session, by_pool, by_probe, by_listener, by_maintenance])
Shown = Callable[[str, str], str]


# Settings of a role, each with an odd value, and with what counts all the same.
ODD = {
    "client_encoding": ("LATIN1", "UTF8"),
    "TimeZone": ("Asia/Kolkata", "UTC"),
    "datestyle": ("German, DMY", "ISO, DMY"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "standard_conforming_strings": ("off", "on"),
    "array_nulls": ("off", "on"),
    "jit": ("on", "off"),
    "idle_session_timeout": ("2min", "0"),
    "transaction_timeout": ("2min", "0"),
}


def with_query(url: str, **query: str) -> str:
    return make_url(url).update_query_dict(query).render_as_string(hide_password=False)


@WAYS
def test_the_operator_names_the_connections(database_url: str, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(database_url, "application_name").startswith("shop")
    monkeypatch.setenv("PGAPPNAME", "store 7")
    assert shown(database_url, "application_name") == "store 7"
    assert shown(with_query(database_url, application_name="store 8"), "application_name") == "store 8"


@WAYS
def test_the_operator_s_options_are_kept(database_url: str, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    url = with_query(database_url, options="-csearch_path=store -cwork_mem=5MB")
    assert (shown(url, "search_path"), shown(url, "work_mem")) == ("store", "5MB")
    monkeypatch.setenv("PGOPTIONS", "-c search_path=depot")
    assert shown(database_url, "search_path") == "depot"
    assert shown(url, "search_path") == "store"


@WAYS
def test_texts_are_utf8_on_every_connection(database_url: str, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    assert shown(database_url, "client_encoding").upper() == "UTF8"
    assert shown(with_query(database_url, client_encoding="latin1"), "client_encoding").upper() == "UTF8"


@pytest.fixture
def odd_role(database_url: str) -> Iterator[str]:
    """The URL for a role that has set by itself what the shop relies on."""
    name = f"odd_{process_number()}"
    execute(database_url, f"CREATE ROLE {name} LOGIN SUPERUSER")
    for setting, (value, _) in ODD.items():
        execute(database_url, f"ALTER ROLE {name} SET {setting} = '{value}'")
    yield make_url(database_url).set(username=name).render_as_string(hide_password=False)
    execute(database_url, f"DROP ROLE {name}")


@WAYS
def test_no_setting_of_a_role_changes_what_the_shop_relies_on(odd_role: str, shown: Shown) -> None:
    assert {setting: shown(odd_role, setting) for setting in ODD} == {
        setting: value for setting, (_, value) in ODD.items()
    }


def test_long_work_may_rest_within_its_transaction(database_url: str, odd_role: str) -> None:
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        execute(database_url, f"ALTER ROLE {make_url(odd_role).username} SET {setting} = '2min'")
        assert by_maintenance(odd_role, setting) == "0"


@WAYS
def test_nor_does_the_environment(database_url: str, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    monkeypatch.setenv("PGDATESTYLE", "German")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "read-write")
    monkeypatch.setenv("PGOPTIONS", "-cdefault_transaction_isolation=serializable -cclient_encoding=latin1")
    assert (shown(database_url, "TimeZone"), shown(database_url, "datestyle")[:3]) == ("UTC", "ISO")
    assert shown(database_url, "client_encoding").upper() == "UTF8"
    assert shown(database_url, "default_transaction_isolation") == "read committed"


def test_migrations_go_where_the_search_path_leads(servers: ServerUrls) -> None:
    name = "own_schema"
    with connected(servers.database_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    plain = make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)
    execute(plain, "CREATE SCHEMA store")
    url = with_query(plain, options="-csearch_path=store")
    migrate(url)
    tables = rows_of(
        plain, "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('alembic_version', 'orders')"
    )
    assert tables == [("store",)]
    assert by_session(url, "search_path") == "store"


def test_a_silent_server_is_found_out_unless_somebody_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql+psycopg2://ann@db.example/shop"
    options = connection_options(url, "shop")
    assert {name: options[name] for name in ("connect_timeout", "tcp_user_timeout")} == {
        "connect_timeout": 2,
        "tcp_user_timeout": 8000,
    }
    assert (options["keepalives_idle"], options["keepalives_interval"], options["keepalives_count"]) == (2, 2, 3)
    assert "tcp_user_timeout" not in connection_options(f"{url}?tcp_user_timeout=60000", "shop")
    assert "fallback_application_name" not in connection_options(f"{url}?fallback_application_name=x", "shop")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "9")
    assert "connect_timeout" not in connection_options(url, "shop")
    file = tmp_path / "services"
    file.write_text("[shop]\nhost=db.example\nkeepalives_idle=30\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    options = connection_options("postgresql+psycopg2://?service=shop", "shop")
    assert ("keepalives_idle" in options, "keepalives_interval" in options) == (False, True)


def test_long_work_is_more_patient() -> None:
    url = "postgresql+psycopg2://ann@db.example/shop"
    assert connection_options(url, "shop maintenance", 60)["tcp_user_timeout"] == 60_000
