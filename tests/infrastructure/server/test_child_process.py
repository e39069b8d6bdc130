"""Forked children, each made by a small program of one thread, which the test process is not."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from infrastructure.embedded.file_lock import FileLock
from tests.infrastructure.processes import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.unit

_HEADER = """
import os, random, signal, sys, time
from pathlib import Path
from infrastructure.server.child_process import ChildProcess
from infrastructure.embedded.file_lock import FileLock

def ended(work, keep=()):
    child = ChildProcess(work, keep)
    while not child.has_ended():
        time.sleep(0.01)
    return child.exit_code

"""


@pytest.fixture
def programs() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for program in started:
        program.kill()
        program.communicate()


def command(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", _HEADER + textwrap.dedent(script), *arguments]


def run(script: str, *arguments: str, ignored: signal.Signals | None = None) -> subprocess.CompletedProcess[str]:
    """Run the script to its end, started by somebody who ignores the signal `ignored`."""
    before = None if ignored is None else signal.signal(ignored, signal.SIG_IGN)
    try:
        started = subprocess.Popen(
            command(script, *arguments),
            cwd=PROJECT_ROOT,
            # What is printed is to wait in a buffer, as it does where standard output is no terminal.
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        if ignored is not None:
            signal.signal(ignored, before)
    output, errors = started.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(started.args, started.returncode, output, errors)


def test_exit_codes_are_those_of_the_work() -> None:
    ran = run(
        """
        def fail():
            raise ValueError("on purpose")
        print(ended(lambda: None), ended(lambda: sys.exit(7)), ended(lambda: sys.exit("a text")), ended(sys.exit))
        print(ended(fail), ended(lambda: os.kill(os.getpid(), signal.SIGKILL)))
        """
    )
    assert ran.stdout.splitlines() == ["0 7 1 0", "1 -9"]
    assert ran.stderr.count("ValueError: on purpose") == 1


def test_what_the_parent_began_is_not_ended_or_printed_twice() -> None:
    ran = run(
        """
        try:
            sys.stdout.write("begun\\n")
            print(ended(lambda: sys.stdout.write("work\\n")))
        finally:
            sys.stdout.write("ended\\n")
        """
    )
    assert ran.stdout.splitlines() == ["begun", "work", "0", "ended"]
    assert ran.returncode == 0


def test_a_child_has_only_the_descriptors_that_it_is_given() -> None:
    ran = run(
        """
        kept, other = os.pipe()
        def work():
            open_ones = {int(name) for name in os.listdir("/dev/fd") if os.path.exists(f"/dev/fd/{name}")}
            print(open_ones == {0, 1, 2, kept}, os.path.samefile("/dev/fd/0", os.devnull))
        ended(work, [kept])
        """
    )
    assert ran.stdout == "True True\n", ran.stderr


def test_a_child_that_lives_on_does_not_hold_its_parents_locks(
    tmp_path: Path, programs: list[subprocess.Popen[str]]
) -> None:
    script = """
        lock = FileLock(Path(sys.argv[1]))
        assert lock.acquire()
        child = ChildProcess(lambda: time.sleep(60), ())
        print(child.pid, flush=True)
        time.sleep(60)
        """
    parent = subprocess.Popen(
        command(script, str(tmp_path / "lock")), cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
    )
    programs.append(parent)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    lock = FileLock(tmp_path / "lock")
    try:
        assert not lock.acquire()
        parent.kill()
        wait_for(lock.acquire, "the lock")
        os.kill(child, 0)
    finally:
        lock.close()
        os.kill(child, signal.SIGKILL)


def test_a_child_heeds_signals_by_itself_and_not_those_of_the_terminal() -> None:
    ran = run(
        """
        signal.signal(signal.SIGTERM, lambda number, frame: print("the parent's", flush=True))
        def work():
            print(os.getpgid(0) == os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, ()), flush=True)
            time.sleep(20)
        child = ChildProcess(work, ())
        while os.getpgid(child.pid) != child.pid:
            time.sleep(0.01)
        child.send(signal.SIGTERM)
        while not child.has_ended():
            time.sleep(0.01)
        child.send(signal.SIGTERM)
        child.kill()
        print(child.exit_code)
        """
    )
    assert ran.stdout.splitlines()[-1] == str(-signal.SIGTERM)
    assert set(ran.stdout.splitlines()[:-1]) <= {"True set()"}


def test_signals_ignored_by_whoever_started_the_program() -> None:
    ran = run("print(ended(lambda: os.kill(os.getpid(), signal.SIGHUP)))", ignored=signal.SIGHUP)
    assert ran.stdout == "0\n"
    ran = run("print(ended(lambda: sys.exit(7)))", ignored=signal.SIGCHLD)
    assert ran.stdout == "7\n", ran.stderr


def test_children_draw_different_random_numbers() -> None:
    ran = run(
        """
        random.random()
        for _ in range(2):
            ended(lambda: print(random.random()))
        """
    )
    assert len(set(ran.stdout.split())) == 2


def test_a_closed_standard_output_prevents_nothing() -> None:
    ran = run(
        """
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(reader)
        sys.stdout.write("for nobody")
        code = ended(lambda: None)
        os.dup2(2, 1)
        sys.exit(code)
        """
    )
    assert ran.returncode == 0, ran.stderr
