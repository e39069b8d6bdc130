"""The embedded servers as other users of the machine meet them; and the rights that the servers have themselves."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from config.settings import PROJECT_ROOT, Settings, read_settings
from infrastructure.embedded import packaged_programs
from infrastructure.embedded.errors import EmbeddedServerError
from infrastructure.embedded.folders import give_to
from infrastructure.embedded.postgres_access import own_name
from infrastructure.embedded.postgres_server import PostgresServer
from infrastructure.embedded.privileges import Account, named_account, nobody, running_users, server_account
from infrastructure.embedded.servers import embedded_urls, never, running_servers
from tests.infrastructure.processes import end_everything, postgres_pid, processes_of, valkey_pid

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="needs root, on Linux"),
]

# What a program of another user finds out. Modules are imported before: where Python is may be closed to it.
_INTRUDER = """
import json, os, socket, sys, psycopg2
uid, data, postgres, valkey, inside = int(sys.argv[1]), *sys.argv[2:]
os.chdir(data + "/postgres" if inside == "inside" else "/")
os.setgroups([]); os.setgid(uid); os.setuid(uid)

def outcome(act):
    try:
        return repr(act())
    except Exception as error:
        return str(error)

def query(statement, host):
    with psycopg2.connect(host=host, port=5432, user="postgres", dbname="postgres") as connection:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()

def ping():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(data + "/valkey/valkey.sock")

host = "/proc/self/cwd" if inside == "inside" else data + "/postgres"
print(json.dumps({
    "query": outcome(lambda: query("SELECT pg_read_file('/etc/hostname')", host)),
    "valkey": outcome(ping),
    "list": outcome(lambda: os.listdir(data + "/postgres")),
    "read": outcome(lambda: open(data + "/postgres/PG_VERSION").read()),
    "kill": outcome(lambda: os.kill(int(postgres), 0)),
    "enter": outcome(lambda: os.listdir("/proc/" + postgres + "/cwd")),
    "kill valkey": outcome(lambda: os.kill(int(valkey), 0)),
}))
"""

# An ordinary user, who has no other server than these.
_ORDINARY = """
import os, pwd, socket, sys, psycopg2
from infrastructure.embedded.servers import running_servers
from config.settings import read_settings
entry = pwd.getpwnam(sys.argv[2])
os.setgroups([]); os.setgid(entry.pw_gid); os.setuid(entry.pw_uid)
with running_servers(read_settings({"DATA_DIR": sys.argv[1]}), owner=sys.argv[3] == "owner", durable=False) as urls:
    with psycopg2.connect(urls.database_url.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user, system_user")
        print(*cursor.fetchone())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(urls.redis_url.removeprefix("unix://").partition("?")[0])
"""


def settings_of(data_dir: Path) -> Settings:
    return read_settings({"DATA_DIR": str(data_dir)})


def intrude(uid: int, data_dir: Path, *, inside: bool = False) -> dict[str, str]:
    """What happens to somebody who tries everything; `inside` the data folder of PostgreSQL already."""
    pids = str(postgres_pid(data_dir)), str(valkey_pid(data_dir))
    command = [sys.executable, "-c", _INTRUDER, str(uid), str(data_dir), *pids, "inside" if inside else "outside"]
    found: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def status_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def open_dir(cluster: Path) -> Iterator[Path]:
    """A data folder in a place that everybody may enter, and that is itself open to everybody."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    folder = place / "d"
    shutil.copytree(cluster, folder)
    folder.chmod(0o755)
    yield folder
    end_everything(folder)
    shutil.rmtree(place)


def test_no_other_user_gets_at_the_servers_or_their_data(open_dir: Path) -> None:
    with running_servers(settings_of(open_dir), owner=True, durable=False) as urls:
        for uid in (nobody().uid, 1, 31_337):
            found = intrude(uid, open_dir)
            assert "Permission denied" in found.pop("query")
            refused = {outcome.split("]")[-1].partition(":")[0].strip() for outcome in found.values()}
            assert refused <= {"Permission denied", "Operation not permitted"}, found
        with (
            psycopg2.connect(urls.database_url.replace("+psycopg2", "")) as connection,
            connection.cursor() as cursor,
            pytest.raises(psycopg2.errors.InsufficientPrivilege),
        ):
            cursor.execute("SELECT pg_read_file('/etc/shadow')")


def test_not_even_the_servers_own_user_is_let_in(open_dir: Path) -> None:
    """The kernel says who connects; that the folder is closed is only one of two locks."""
    with running_servers(settings_of(open_dir), owner=True, durable=False):
        own = (open_dir / "postgres").stat().st_uid
        found = intrude(own, open_dir, inside=True)
        assert "FATAL" in found["query"]
        assert "eer authentication failed" in found["query"] or "local user" in found["query"]
        assert "ermi" in found["kill valkey"]


def test_the_servers_have_users_of_their_own_and_no_rights_beyond(open_dir: Path) -> None:
    with running_servers(settings_of(open_dir), owner=True, durable=False):
        users = set()
        for pid in (postgres_pid(open_dir), valkey_pid(open_dir)):
            status = status_of(pid)
            assert {int(status[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
            assert status["NoNewPrivs"] == ["1"]
            assert len(set(status["Uid"])) == len(set(status["Gid"])) == 1
            assert status["Groups"] == []
            users.add(int(status["Uid"][0]))
        assert len(users) == 2
        assert not users & {0, nobody().uid}
        with pytest.raises(KeyError):
            pwd.getpwuid(users.pop())


def test_a_folder_of_an_earlier_version_is_taken_over(open_dir: Path) -> None:
    postgres = open_dir / "postgres"
    for path in (postgres, *postgres.rglob("*")):
        os.chown(path, nobody().uid, nobody().gid, follow_symlinks=False)
    (postgres / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 trust\n")
    with running_servers(settings_of(open_dir), owner=True, durable=False) as urls:
        assert "Permission denied" in intrude(nobody().uid, open_dir)["query"]
        with (
            psycopg2.connect(urls.database_url.replace("+psycopg2", "")) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT auth_method, error FROM pg_hba_file_rules")
            assert cursor.fetchall() == [("peer", None)] * 2
    owners = {path.stat().st_uid for path in (postgres, *postgres.rglob("*"))}
    assert len(owners) == 1
    assert not owners & {0, nobody().uid}


def test_a_server_that_an_earlier_version_left_running_is_not_kept(
    open_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("infrastructure.embedded.postgres_server.server_account", lambda folder: nobody())
        orphan = PostgresServer(open_dir, durable=False)
        orphan.begin(may_end=True, stopping=never)
        orphan.wait_until_ready(never)
    left = postgres_pid(open_dir)
    assert status_of(left)["Uid"][0] == str(nobody().uid)
    with running_servers(settings_of(open_dir), owner=True, durable=False):
        assert postgres_pid(open_dir) != left
        assert status_of(postgres_pid(open_dir))["Uid"][0] != str(nobody().uid)


def test_a_file_with_a_name_elsewhere_is_not_given_away(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root's")
    folder = tmp_path / "folder"
    folder.mkdir()
    os.link(secret, folder / "mine")
    with pytest.raises(EmbeddedServerError, match="has another name"):
        give_to(Account(1, 1), folder)
    assert secret.stat().st_uid == 0


@pytest.mark.skipif(
    not all(folder.stat().st_mode & stat.S_IXOTH for folder in Path(sys.prefix).resolve().parents),
    reason="the packages are in a folder that is closed to other users, as mktemp makes one: they could not install them there",
)
@pytest.mark.parametrize("role", ["owner", "guest"])
def test_an_ordinary_user_runs_servers_of_his_own(role: str) -> None:
    user = pwd.getpwnam("daemon")
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    os.chown(place, user.pw_uid, user.pw_gid)
    command = [sys.executable, "-c", _ORDINARY, str(place / "d"), user.pw_name, role]
    try:
        for _ in range(2):
            ended = subprocess.run(command, cwd=PROJECT_ROOT, check=False, capture_output=True, text=True)
            assert ended.stdout == f"postgres peer:{user.pw_name}\n", ended.stderr
            assert processes_of(place / "d") == {}
        assert {path.stat().st_uid for path in (place / "d").rglob("*")} == {user.pw_uid}
        # Root leaves them to whom they belong.
        with running_servers(settings_of(place / "d"), owner=True, durable=False) as urls:
            assert "Permission denied" in intrude(nobody().uid, place / "d")["query"]
            psycopg2.connect(urls.database_url.replace("+psycopg2", "")).close()
            assert status_of(postgres_pid(place / "d"))["Uid"][0] == str(user.pw_uid)
    finally:
        end_everything(place / "d")
        shutil.rmtree(place)


def test_programs_in_a_closed_place_are_copied_to_where_everybody_may_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wheel"
    (tmp_path / "wheel.libs").mkdir()
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "hello"
    program.write_text('#!/bin/sh\ncat "$(dirname "$0")/../../wheel.libs/words"\n')
    program.chmod(0o700)
    (tmp_path / "wheel.libs" / "words").write_text("hello\n")
    (tmp_path / "wheel.libs" / "words").chmod(0o600)
    folder.chmod(0o700)
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    monkeypatch.setattr(packaged_programs, "_PLACES", (str(tmp_path / "missing"), str(place)))
    try:
        for _ in range(2):
            copy = packaged_programs._open_program(program, folder, "do without")
            shown = subprocess.run([str(copy)], user=nobody().uid, group=nobody().gid, capture_output=True, check=True)
            assert shown.stdout == b"hello\n"
            assert copy.is_relative_to(place)
        assert len(list(place.iterdir())) == 1
        os.chown(next(place.iterdir()), 1, 1)
        with pytest.raises(EmbeddedServerError, match="do without"):
            packaged_programs._open_program(program, folder, "do without")
    finally:
        shutil.rmtree(place)


def test_users_that_are_taken_are_left_alone(tmp_path: Path) -> None:
    account = server_account(tmp_path / "d")
    assert account == server_account(tmp_path / "d") != server_account(tmp_path / "e")
    assert account is not None
    with subprocess.Popen(["/bin/sleep", "60"], user=account.uid) as stranger:
        assert account.uid in set(running_users())
        assert server_account(tmp_path / "d") not in (account, None)
        stranger.kill()
    initdb_account = named_account()
    assert initdb_account is not None
    assert pwd.getpwuid(initdb_account.uid)
    assert initdb_account.uid != 0


def test_a_user_without_a_name_is_published_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_name("") == "root"
    monkeypatch.setattr(os, "geteuid", lambda: 31_337)
    with pytest.raises(EmbeddedServerError, match="User 31337 has no name"):
        own_name("name another server")
    assert "=" in embedded_urls(settings_of(Path("/nowhere"))).database_url
