"""The shop as its operators see it: started, stopped, killed, and refused, with nothing left behind."""

import os
import re
import signal
import socket
import stat
from http.client import HTTPConnection
from pathlib import Path

import pytest

from infrastructure.database.connection_limit import connections_of_worker
from infrastructure.database.migration_steps import MIGRATION_LOCK
from infrastructure.database.migrations import heads, history_statement, migrate
from infrastructure.embedded.servers import ServerUrls
from infrastructure.server.stop_requests import StopRequests
from tests.infrastructure.processes import Shop, free_port, postgres_pid, processes_of, wait_for
from tests.race.databases import connected, execute, rows_of

pytestmark = pytest.mark.integration


def refusal(shop: Shop) -> str:
    """The one line of a shop that does not start."""
    assert shop.exit_code() not in (0, None)
    lines = shop.output.splitlines()
    assert len(lines) == 1, shop.output
    assert processes_of(shop.data_dir) == {}
    return lines[0]


def get(shop: Shop, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", shop.port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def empty_database(servers: ServerUrls, name: str) -> str:
    """The URL of a new database without any table."""
    database = f"{name}_{os.getpid()}"
    execute(servers.database_url, f"CREATE DATABASE {database}")
    return servers.database_url.replace("/postgres?", f"/{database}?")


class TestStopping:
    @pytest.mark.usefixtures("traced_processes")
    def test_ends_every_process_and_is_no_failure(self, data_dir: Path) -> None:
        shop = Shop("main.py", data_dir, API_PREFIX="/api/v1", UVICORN_WORKERS="2")
        shop.until_it_says("Health ")
        assert shop.answers()
        assert f"API     http://127.0.0.1:{shop.port}/api/v1\n" in shop.output
        assert f"Docs    http://127.0.0.1:{shop.port}/docs\n" in shop.output
        assert f"Health  http://127.0.0.1:{shop.port}/health_check\n" in shop.output
        shop.until_it_says("AUTH=off: every caller may do everything\n")
        shop.until_it_says(f"Mails are files in {data_dir}/mail: SMTP_URL is not set\n")
        assert get(shop, "/api/v1/products")[0] == 200
        assert len(shop.workers()) == 2
        self.refuses_its_data_folder(shop)
        self.replaces_a_worker(shop)
        assert shop.end() == 0
        assert processes_of(data_dir) == {}
        assert "Traceback" not in shop.output
        assert "Warning" not in shop.output

    def refuses_its_data_folder(self, shop: Shop) -> None:
        second = Shop("main.py", shop.data_dir.parent / "second", DATA_DIR=str(shop.data_dir))
        assert second.exit_code() == 1
        assert f"process {shop.process.pid}" in second.output
        assert second.output.count("\n") == 1
        assert shop.answers()

    def replaces_a_worker(self, shop: Shop) -> None:
        before = shop.workers()
        os.kill(min(before), signal.SIGKILL)
        wait_for(lambda: shop.workers() - before, "another worker")
        assert shop.answers()

    def test_while_it_is_still_starting(self, empty_dir: Path) -> None:
        shop = Shop("main.py", empty_dir)
        wait_for(lambda: list(empty_dir.glob("postgres.new.*/base")), "initdb to be at work")
        assert shop.end() == 0
        assert processes_of(empty_dir) == {}
        assert shop.output == f"Creating the database in {empty_dir / 'postgres'}, once; this takes a few seconds\n"

    def test_while_it_imports_the_application(self, data_dir: Path) -> None:
        shop = Shop("main.py", data_dir)
        wait_for((data_dir / "postgres" / "postmaster.pid").exists, "PostgreSQL to be started")
        assert shop.end() == 0
        assert processes_of(data_dir) == {}
        assert shop.output == ""

    def test_while_it_migrates(self, empty_dir: Path, servers: ServerUrls) -> None:
        url = empty_database(servers, "migrating")
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        with connected(url) as connection, connection.cursor() as other:
            other.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
            shop = Shop("main.py", empty_dir, DATABASE_URL=url, REDIS_ENABLED="false")
            wait_for(lambda: rows_of(url, waiting, MIGRATION_LOCK), "the shop to wait for its turn")
            assert shop.workers() == set()
            assert shop.end() == 0
        assert shop.output == ""

    def test_a_second_ctrl_c_does_not_wait_for_the_drain(self, data_dir: Path) -> None:
        # For longer than the end is waited for below.
        shop = Shop("main.py", data_dir, DRAIN_SECONDS="600").until_it_answers()
        shop.process.send_signal(signal.SIGINT)
        wait_for(lambda: get(shop, "/health/ready")[0] == 503, "the drain to be announced")
        shop.until_it_says("Stopping")
        (said,) = (line for line in shop.output.splitlines() if line.startswith("Stopping"))
        assert "accepted for 600 s" in said
        assert "30 s" in said
        assert "Ctrl-C" in said
        assert shop.end(signal.SIGINT) == 0
        assert processes_of(data_dir) == {}


def test_variables_of_libpq_do_not_lead_to_another_server(data_dir: Path) -> None:
    odd = {"PGTARGETSESSIONATTRS": "standby", "PGREQUIREAUTH": "scram-sha-256", "PGCHANNELBINDING": "require"}
    strict = {"PGSSLMODE": "verify-full", "PGGSSENCMODE": "require", "PGPASSFILE": "/nowhere", "PGPORT": "1"}
    shop = Shop("main.py", data_dir, PGHOSTADDR="127.0.0.1", PGSERVICE="another", **odd, **strict).until_it_answers()
    assert get(shop, "/products") == (200, b"[]\n")
    assert shop.end() == 0


def test_more_workers_than_the_embedded_server_has_connections_for_is_one_line(data_dir: Path) -> None:
    shop = Shop("main.py", data_dir, UVICORN_WORKERS="1", DB_POOL_SIZE="1000").until_it_answers()
    assert get(shop, "/products") == (200, b"[]\n")
    assert shop.end() == 0
    (line,) = (line for line in shop.output.splitlines() if line.startswith("Warning"))
    assert "max_connections of the embedded server" in line
    fitted = 200 - connections_of_worker(1000) + 1000
    assert f"UVICORN_WORKERS=1 and DB_POOL_SIZE={fitted}" in line


class TestKilled:
    def test_launcher_takes_its_workers_along_and_starts_again(self, data_dir: Path) -> None:
        killed = Shop("main.py", data_dir, UVICORN_WORKERS="2").until_it_answers()
        assert len(killed.workers()) == 2
        killed.kill()
        wait_for(lambda: not killed.workers(), "the workers to end by themselves")
        orphan = postgres_pid(data_dir)
        shop = Shop("main.py", data_dir).until_it_answers()
        assert postgres_pid(data_dir) == orphan
        assert shop.end(signal.SIGINT) == 0
        assert processes_of(data_dir) == {}


class TestRefusedAtStart:
    def test_a_port_in_use(self, data_dir: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            line = refusal(Shop("main.py", data_dir, API_PORT=str(port)))
        assert f"127.0.0.1:{port}" in line
        assert "API_PORT" in line

    @pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b"])
    def test_a_host_that_is_not_this_machine(self, data_dir: Path, host: str) -> None:
        line = refusal(Shop("main.py", data_dir, API_HOST=host))
        assert host in line
        assert "API_HOST" in line

    def test_a_setting_that_cannot_be_used(self, data_dir: Path) -> None:
        line = refusal(Shop("main.py", data_dir, DB_POOL_SIZE="many"))
        assert "DB_POOL_SIZE" in line
        assert "'many'" in line

    def test_a_data_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        line = refusal(Shop("main.py", tmp_path / "d", DATA_DIR=str(tmp_path / "file" / "d")))
        assert "DATA_DIR" in line

    def test_an_application_that_cannot_be_imported(self, data_dir: Path, tmp_path: Path) -> None:
        # Python runs this file at its start; afterwards the module cannot be found, as if it were not installed.
        (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['application.assembly'] = None\n")
        shop = Shop("main.py", data_dir, PYTHONPATH=str(tmp_path))
        assert shop.exit_code() == 1
        lines = shop.output.splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[-1].startswith("The application cannot be imported (ModuleNotFoundError: ")
        assert shop.output.count("Traceback") == 1
        assert processes_of(data_dir) == {}

    def test_an_outside_database_that_is_away(self, empty_dir: Path) -> None:
        url = f"postgresql://u:secret@127.0.0.1:{free_port()}/shop"
        line = refusal(Shop("main.py", empty_dir, DATABASE_URL=url, REDIS_ENABLED="false"))
        assert "PostgreSQL did not answer" in line
        assert "secret" not in line

    def test_a_database_url_that_cannot_be_read(self, empty_dir: Path) -> None:
        line = refusal(Shop("main.py", empty_dir, DATABASE_URL="postgresql://u:secret@db:port/shop"))
        assert "DATABASE_URL" in line
        assert "secret" not in line


class TestProduction:
    def test_wants_its_servers_named(self, empty_dir: Path) -> None:
        line = refusal(Shop("run_production.py", empty_dir))
        assert all(name in line for name in ("DATABASE_URL", "POSTGRES_HOST", "EMBEDDED=true"))
        assert not empty_dir.exists()

    def test_refuses_an_empty_password(self, empty_dir: Path) -> None:
        line = refusal(Shop("run_production.py", empty_dir, POSTGRES_HOST="db.example", REDIS_ENABLED="false"))
        assert "POSTGRES_PASSWORD" in line

    def test_says_what_it_embeds_and_serves_everybody(self, data_dir: Path) -> None:
        shop = Shop("run_production.py", data_dir, EMBEDDED="true", API_PREFIX="/v1")
        shop.until_it_says("The shop serves on")
        assert "EMBEDDED=true" in shop.output.splitlines()[0]
        listening = Path("/proc/net/tcp").read_text()
        assert f"00000000:{shop.port:04X} 00000000:0000 0A" in listening
        (said,) = (line for line in shop.output.splitlines() if line.startswith("The shop serves on"))
        for url in re.findall(r"http://([0-9.]+):[0-9]+/v1", said):
            connection = HTTPConnection(url, shop.port, timeout=60)
            connection.request("GET", "/v1/products")
            assert connection.getresponse().status == 200
            connection.close()
        assert f"http://127.0.0.1:{shop.port}/v1" in said
        shop.until_it_says(f"Mails are files in {data_dir}/mail: SMTP_URL is not set\n")
        shop.until_it_says("python -m scripts.users create-admin --email")
        assert shop.end() == 0
        assert "AUTH=off" not in shop.output
        assert processes_of(data_dir) == {}

    def test_runs_without_redis_and_says_so_once(self, empty_dir: Path, servers: ServerUrls) -> None:
        shop = Shop(
            "run_production.py", empty_dir, DATABASE_URL=empty_database(servers, "production")
        ).until_it_answers()
        assert shop.output.count("No Redis is named") == 1
        assert b'"disabled"' in get(shop, "/health_check")[1]
        assert shop.end() == 0
        assert not empty_dir.exists()

    def test_needs_keys_unless_it_is_told_to_let_everybody_in(self, empty_dir: Path, servers: ServerUrls) -> None:
        url = empty_database(servers, "keys")
        line = refusal(Shop("run_production.py", empty_dir, DATABASE_URL=url, REDIS_ENABLED="false", SECRET_KEYS=""))
        assert line.startswith("SECRET_KEYS is not set, which AUTH=on needs")
        assert "secrets.token_urlsafe(32)" in line

        nowhere = empty_dir.with_name("a file")
        nowhere.touch()
        shop = Shop(
            "run_production.py",
            empty_dir,
            DATABASE_URL=url,
            REDIS_ENABLED="false",
            SECRET_KEYS="",
            AUTH="off",
            DATA_DIR=str(nowhere / "data"),
        ).until_it_answers()
        shop.until_it_says("AUTH=off: every caller may do everything\n")
        assert get(shop, "/clients")[0] == 200
        assert shop.output.count("SECRET_KEYS is not set, and ") == 1
        assert "create-admin" not in shop.output
        assert shop.end() == 0

    def test_main_makes_its_keys_also_with_outside_servers(self, empty_dir: Path, servers: ServerUrls) -> None:
        url = empty_database(servers, "own_keys")
        settings = {"DATABASE_URL": url, "REDIS_ENABLED": "false", "SECRET_KEYS": "", "AUTH": "on"}
        shop = Shop("main.py", empty_dir, **settings).until_it_answers()
        assert stat.S_IMODE((empty_dir / "secret_key").stat().st_mode) == 0o600
        assert get(shop, "/clients")[0] == 401
        shop.until_it_says("python -m scripts.users create-admin --email")
        assert "AUTH=off" not in shop.output
        assert shop.end() == 0

    def test_does_not_wait_for_a_database_that_is_not_there(self, empty_dir: Path, servers: ServerUrls) -> None:
        url = servers.database_url.replace("/postgres?", "/not_there?")
        line = refusal(Shop("run_production.py", empty_dir, DATABASE_URL=url, REDIS_ENABLED="false"))
        assert "PostgreSQL refuses the connection" in line
        assert 'database "not_there" does not exist' in line

    def test_refuses_a_schema_that_is_none_of_its_own(self, empty_dir: Path, servers: ServerUrls) -> None:
        url = empty_database(servers, "foreign")
        execute(url, "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('abcdef')")
        line = refusal(Shop("run_production.py", empty_dir, DATABASE_URL=url, REDIS_ENABLED="false"))
        assert "The database is at revision abcdef, which this release (" in line

    def test_refuses_a_database_that_cannot_hold_every_text(self, empty_dir: Path, servers: ServerUrls) -> None:
        name = f"ascii_{os.getpid()}"
        locale = "ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc"
        execute(servers.database_url, f"CREATE DATABASE {name} TEMPLATE template0 {locale}")
        url = servers.database_url.replace("/postgres?", f"/{name}?")
        line = refusal(Shop("run_production.py", empty_dir, DATABASE_URL=url, REDIS_ENABLED="false"))
        assert "has the encoding SQL_ASCII, and the shop needs UTF8" in line

    def test_serves_a_schema_that_a_newer_release_has_built_on_its_own(
        self, empty_dir: Path, servers: ServerUrls
    ) -> None:
        url = empty_database(servers, "newer")
        migrate(url)
        execute(
            url, f"UPDATE alembic_version SET version_num = '9999'; {history_statement({'9999'}, {*heads(), '9999'})}"
        )
        shop = Shop("run_production.py", empty_dir, DATABASE_URL=url, REDIS_ENABLED="false").until_it_answers()
        assert get(shop, "/health/ready")[0] == 200
        assert get(shop, "/products")[0] == 200
        assert shop.end() == 0

    def test_stops_while_it_waits_for_its_database(self, empty_dir: Path) -> None:
        url = f"postgresql://u:p@127.0.0.1:{free_port()}/shop"
        shop = Shop("run_production.py", empty_dir, DATABASE_URL=url, REDIS_ENABLED="false")
        shop.until_it_says("Waiting up to 60 s for PostgreSQL")
        assert shop.end() == 0
        assert processes_of(empty_dir) == {}


@pytest.mark.unit
def test_a_closed_terminal_does_not_end_what_nohup_protects() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequests().handling_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_reload_serves_and_ends(data_dir: Path) -> None:
    shop = Shop("main.py", data_dir, RELOAD="true").until_it_answers()
    assert shop.end(signal.SIGINT) == 0
    wait_for(lambda: not processes_of(data_dir), "the resource tracker of multiprocessing to end")
