"""The drill: a shop that sells is backed up, its data folder is lost, and another machine goes on from the backup."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from config.settings import PROJECT_ROOT, read_settings
from infrastructure.backup.programs import connection_words, programs_for
from infrastructure.embedded.secret_file import kept_secret
from infrastructure.embedded.servers import embedded_urls
from tests.infrastructure.processes import Shop, end_everything, wait_for
from tests.race.databases import execute, rows_of
from tests.race.goods import Goods

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.chaos]


def command(data_dir: Path, *words: str) -> str:
    """What `python -m` with these words prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=PROJECT_ROOT,
        env={**os.environ, "DATA_DIR": str(data_dir), "REDIS_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running_shop(data_dir: Path, **settings: str) -> Iterator[tuple[Shop, Goods]]:
    shop = Shop("main.py", data_dir, RATE_LIMIT_ENABLED="false", SECRET_KEYS="", **settings)
    try:
        shop.until_it_answers()
        with httpx.Client(base_url=f"http://127.0.0.1:{shop.port}") as http:
            yield shop, Goods(http)
        shop.process.terminate()
        shop.process.wait(90)
    finally:
        end_everything(data_dir)


def database_of(data_dir: Path) -> str:
    return embedded_urls(read_settings({"DATA_DIR": str(data_dir)})).database_url


def test_a_lost_machine_is_replaced_by_its_backup(tmp_path: Path) -> None:
    lost, found = tmp_path / "lost", tmp_path / "found"
    sold: list[int] = []
    # As the first login makes it.
    secret = kept_secret(lost)
    with running_shop(lost) as (_, goods):
        lamp = goods.product(stock=100_000)
        sold.extend(goods.bought((lamp, 1))["id_key"] for _ in range(5))
        before = set(sold)
        over = Event()

        def sell() -> None:
            while not over.is_set():
                sold.append(goods.bought((lamp, 1))["id_key"])

        buyer = Thread(target=sell)
        buyer.start()
        try:
            command(lost, "scripts.backup")
        finally:
            over.set()
            buyer.join()
        # The shop is killed with its database, and nothing of it is left.
        end_everything(lost)
    shutil.copytree(lost / "backups", tmp_path / "kept")
    shutil.rmtree(lost)

    shutil.copytree(tmp_path / "kept", found / "backups")
    found.chmod(0o700)
    assert "Restored: " in command(found, "scripts.backup", "--restore", "newest", "--yes")
    assert "BROKEN" not in command(found, "scripts.verify")
    assert kept_secret(found) == secret
    with running_shop(found) as (shop, goods):
        stored = {key for (key,) in rows_of(database_of(found), "SELECT id_key FROM orders")}
        assert before <= stored <= set(sold)
        assert goods.http.get(f"/orders/{min(before)}").status_code == 200
        assert goods.bought((lamp, 1))["id_key"] > max(stored)
        assert shop.answers()


@pytest.fixture
def archive() -> Iterator[Path]:
    """A folder that the embedded server can reach, whichever user runs it."""
    folder = Path(tempfile.mkdtemp(prefix="shop-wal-"))
    yield folder
    shutil.rmtree(folder)


def test_any_moment_of_the_past_comes_back(tmp_path: Path, archive: Path) -> None:
    """docs/backup.md, "Any moment of the past", step by step."""
    data, base = tmp_path / "data", tmp_path / "base"
    with running_shop(data):
        url = database_of(data)
        owner = (data / "postgres").stat()
        os.chown(archive, owner.st_uid, owner.st_gid)
        execute(url, "ALTER SYSTEM SET archive_mode = on")
        execute(url, f"ALTER SYSTEM SET archive_command = 'test ! -f {archive}/%f && cp %p {archive}/%f'")
        execute(url, "ALTER SYSTEM SET archive_timeout = 60")
    with running_shop(data) as (_, goods):
        lamp = goods.product(stock=100)
        first = goods.bought((lamp, 1))["id_key"]
        where, environment = connection_words(url)
        program = programs_for(18).path("pg_basebackup")
        subprocess.run(
            [program, f"--pgdata={base}", "--checkpoint=fast", f"--dbname={where}"], env=environment, check=True
        )
        second = goods.bought((lamp, 1))["id_key"]
        ((moment,),) = rows_of(url, "SELECT clock_timestamp()")
        # The mistake.
        execute(url, "UPDATE products SET price = 0.01")
        execute(url, "SELECT pg_switch_wal()")
        archived = "SELECT 1 FROM pg_stat_archiver WHERE last_archived_time > %s AND failed_count = 0"
        wait_for(lambda: rows_of(url, archived, moment), "the log to be archived")

    (data / "postgres").rename(tmp_path / "broken")
    base.rename(data / "postgres")
    with (data / "postgres" / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_time = '{moment}'\n")
        settings.write("recovery_target_action = promote\n")
    (data / "postgres" / "recovery.signal").touch()
    with running_shop(data) as (_, goods):
        assert goods.http.get(f"/products/{lamp}").json()["price"] == 10
        assert goods.http.get(f"/products/{lamp}").json()["stock"] == 98
        assert {row[0] for row in rows_of(url, "SELECT id_key FROM orders")} == {first, second}
        assert goods.bought((lamp, 1))["id_key"] > second
        assert rows_of(url, "SELECT pg_is_in_recovery()") == [(False,)]
    assert "BROKEN" not in command(data, "scripts.verify")
