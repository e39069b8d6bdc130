"""The launcher as the first process of a container: children that others have left disappear."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from tests.infrastructure.processes import Shop, wait_for

# A process whose parent has ended; the file tells its pid.
_LEAVE_AN_ORPHAN = "import os, sys\nif os.fork() == 0:\n    open(sys.argv[1], 'w').write(str(os.getpid()))"


# In a process of its own, because all children that have ended are meant.
_A_CHILD_OF_MY_OWN = """
import os, subprocess, sys
from infrastructure.server.orphans import reap_orphans
mine = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
os.waitid(os.P_PID, mine.pid, os.WEXITED | os.WNOWAIT)
reap_orphans({mine.pid})
assert mine.wait() == 7
other = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})
os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT)
reap_orphans(set())
try:
    os.waitpid(other, 0)
except ChildProcessError:
    print("reaped")
"""


@pytest.mark.unit
def test_a_child_that_somebody_waits_for_is_left() -> None:
    program = [sys.executable, "-c", _A_CHILD_OF_MY_OWN]
    assert subprocess.run(program, cwd=PROJECT_ROOT, check=True, capture_output=True, text=True).stdout == "reaped\n"


@pytest.mark.integration
@pytest.mark.slow
def test_orphans_of_a_container_are_reaped(data_dir: Path, tmp_path: Path) -> None:
    unshare = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody make a namespace of processes (unshare)")
    shop = Shop("main.py", data_dir, under=unshare).until_it_answers()
    try:
        (launcher,) = _children_of(shop.process.pid)
        noted = tmp_path / "orphan"
        before = set(_children_of(launcher))
        inside = ["nsenter", f"--target={launcher}", "--pid", sys.executable, "-c", _LEAVE_AN_ORPHAN, str(noted)]
        subprocess.run(inside, check=True)
        wait_for(lambda: noted.exists() and noted.read_text(), "the orphan to tell its pid")
        wait_for(lambda: set(_children_of(launcher)) <= before, "the orphan to be reaped")
        assert shop.answers()
        os.kill(launcher, signal.SIGTERM)
        assert shop.exit_code() == 0
    finally:
        shop.kill()


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
