"""A read-only root file system without /tmp, as hardened containers have it: the shop starts, and there is no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from tests.infrastructure.processes import Shop, processes_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# Everything but devices becomes read-only in a namespace of its own, except for the first argument; the second says
# whether /dev/shm does too.
_READ_ONLY = """
mount --make-rprivate / || exit 99
[ -n "$1" ] && mount --bind "$1" "$1"
for place in $(awk '{print $2}' /proc/mounts | grep -vE '^/(proc|sys|dev)(/|$)' | sort -r); do
    [ "$place" = "$1" ] || mount -o remount,bind,ro "$place" 2>/dev/null
done
[ "$2" = ro ] && mount -o remount,bind,ro /dev/shm
touch /tmp/read-only-test 2>/dev/null && exit 99
shift 2
exec "$@"
"""


def read_only(writable: Path | None, shared_memory: str) -> list[str]:
    """The command under which the shop sees such a file system; skips the test where nobody may make one."""
    command = ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", str(writable or ""), shared_memory]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody make a namespace of file systems (unshare)")
    return command


# Without shared memory only a database that was made so works.
@pytest.mark.parametrize("shared_memory", ["rw", pytest.param("ro", marks=pytest.mark.chaos)])
def test_only_the_data_folder_can_be_written(empty_dir: Path, shared_memory: str) -> None:
    empty_dir.mkdir(exist_ok=True)
    shop = Shop("main.py", empty_dir, under=read_only(empty_dir, shared_memory)).until_it_answers()
    assert "Nowhere can a folder be made" not in shop.output
    assert shop.end() == 0
    assert "Traceback" not in shop.output
    assert processes_of(empty_dir) == {}


def test_nothing_can_be_written_and_the_servers_are_outside(empty_dir: Path, database_url: str, redis_url: str) -> None:
    under = read_only(None, "ro")
    shop = Shop("main.py", empty_dir, under=under, DATABASE_URL=database_url, REDIS_URL=redis_url).until_it_answers()
    assert "Nowhere can a folder be made, so /metrics speaks for one worker only" in shop.output
    assert shop.end() == 0
    assert "Traceback" not in shop.output


def test_nothing_can_be_written_and_the_servers_are_embedded(empty_dir: Path) -> None:
    shop = Shop("main.py", empty_dir, under=read_only(None, "ro"))
    assert shop.exit_code() == 1
    assert shop.output.splitlines()[-1].startswith(f"DATA_DIR {empty_dir} cannot be used: Read-only file system")
    assert "Traceback" not in shop.output


@pytest.mark.parametrize(
    "program",
    [
        "-m scripts.verify",
        *(
            pytest.param(program, marks=pytest.mark.chaos)
            for program in ("-m alembic current", "-c import\tmain;main.app")
        ),
    ],
)
def test_programs_beside_the_shop(program: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_ENABLED", "false")
    words = [word.replace("\t", " ") for word in program.split(" ")]
    finished = subprocess.run(
        [*read_only(None, "ro"), sys.executable, *words], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in finished.stdout + finished.stderr
    # What other tests did to this database may break a promise about its data, which `verify` says by 1.
    assert finished.returncode in ((0, 1) if "verify" in program else (0,)), finished.stderr
