"""Background processes beside the workers of a shop."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT, read_settings
from infrastructure.embedded.servers import embedded_urls
from tests.infrastructure.processes import Shop, processes_of, wait_for
from tests.race.databases import rows_of

pytestmark = pytest.mark.integration

_JOBS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'shop jobs'"


def children_of(shop: Shop) -> list[int]:
    """The workers and background processes of a shop, in the order in which they were started."""
    pids = [int(pid) for pid in Path(f"/proc/{shop.process.pid}/task/{shop.process.pid}/children").read_text().split()]
    started: dict[int, int] = {}
    for pid in pids:
        # It may have ended meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"main.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                started[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return sorted(started, key=started.__getitem__)


def with_background(data_dir: Path, **settings: str) -> Shop:
    """A shop with one worker and one background process, which is at work."""
    shop = Shop("main.py", data_dir, BACKGROUND_WORKERS="1", **settings)
    shop.until_it_says("Health ")
    url = embedded_urls(read_settings({"DATA_DIR": str(data_dir)})).database_url
    wait_for(lambda: rows_of(url, "SELECT 1 FROM procrastinate_workers"), "the background process to be there")
    return shop


def test_one_that_is_killed_is_replaced_and_all_end_with_the_shop(data_dir: Path) -> None:
    shop = with_background(data_dir)
    worker, background = children_of(shop)
    os.kill(background, signal.SIGKILL)
    wait_for(lambda: len(set(children_of(shop)) - {background}) == 2, "the replacement")
    assert worker in children_of(shop)
    shop.until_it_says(f"Background process {background} died (exit code -9) and is replaced")
    assert shop.answers()

    assert shop.end() == 0
    assert processes_of(data_dir) == {}


def test_none_outlives_a_launcher_that_is_killed(data_dir: Path) -> None:
    shop = with_background(data_dir)
    forks = children_of(shop)
    shop.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in forks), "the forks to end")


def test_it_works_beside_a_shop_that_reloads(data_dir: Path) -> None:
    shop = with_background(data_dir, RELOAD="true")

    assert shop.end() == 0
    # A helper of the reloader ends when it notices.
    wait_for(lambda: processes_of(data_dir) == {}, "all processes to end")


def test_failures_at_the_start_come_less_and_less_often_and_nobody_waits_for_ever() -> None:
    program = Path(__file__).with_name("failing_background.py")
    done = subprocess.run(
        [sys.executable, str(program), "3"],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    started, held, left = map(int, done.stdout.split())
    assert 1 <= started <= 4
    assert (held, left) == (2, 0)
