"""Several processes, readers that went away, a writer that cannot keep up: no line is lost where it need not be."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from infrastructure.observability.log_lines import line_of
from infrastructure.observability.log_output import BackgroundHandler, Line, LineWriter
from tests.infrastructure.processes import wait_for

pytestmark = pytest.mark.unit

# What each process of a test runs; its own part comes after it.
START = """
import logging, os, sys
from pathlib import Path
import infrastructure.observability.log_output as output
from config.logging_config import configure_logging, stop_logging
from config.settings import Settings
output.FILE_BYTES, output.FILE_BACKUPS = 50_000, 1000
configure_logging(Settings(log_format="json", log_dir=Path(sys.argv[1])))
log = logging.getLogger("shop.test")
"""


def _start(folder: Path, script: str, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", START + script, str(folder), *arguments],
        cwd=PROJECT_ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def _numbers(folder: Path) -> Counter[str]:
    """How often each line's message stands in the files; fails at a line that is torn."""
    return Counter(
        json.loads(line)["message"].rstrip("x")
        for path in folder.glob("app.log*")
        for line in path.read_text(encoding="utf-8").splitlines()
    )


def test_several_processes_rotate_without_losing_or_tearing_a_line(tmp_path: Path) -> None:
    script = "for number in range(1500): log.info('%s-%d %s', sys.argv[2], number, 'x' * (number % 300))"
    read, write = os.pipe()
    workers = [_start(tmp_path, script, name, stdout=write) for name in ("a", "b", "c")]
    os.close(write)
    with open(read, encoding="utf-8") as pipe:
        shown = Counter(json.loads(line)["message"].rstrip("x") for line in pipe)
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert (worker.returncode, errors) == (0, "")
    expected = Counter(f"{name}-{number} " for name in ("a", "b", "c") for number in range(1500))
    assert _numbers(tmp_path) == expected
    assert shown == expected, "the pipe that the processes share"
    assert len(list(tmp_path.glob("app.log.*"))) > 5
    # Nothing is left behind but the logs and the empty files that carry the locks.
    others = {path.name for path in tmp_path.iterdir() if not path.name.startswith("app.log")}
    assert others == {"error.log", ".__app.lock", ".__error.lock"}
    assert (tmp_path / ".__app.lock").stat().st_size == 0


def test_a_forked_process_logs_too_and_repeats_nothing(tmp_path: Path) -> None:
    script = """
log.info("parent before")
if os.fork() == 0:
    log.info("child")
    os._exit(0)
os.wait()
log.info("parent after")
"""
    process = _start(tmp_path, script)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert _numbers(tmp_path) == Counter(["parent before", "child", "parent after"])
    assert len(output.splitlines()) == 3


def test_a_forked_worker_that_configures_its_log_has_a_thread_of_its_own(tmp_path: Path) -> None:
    script = """
log.info("parent")
if os.fork() == 0:
    configure_logging(Settings(log_format="json", log_dir=Path(sys.argv[1])))
    log.info("child")
    assert logging.getLogger().handlers[0].runs_here
    stop_logging()
    os._exit(0)
assert os.wait()[1] == 0
"""
    process = _start(tmp_path, script)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert _numbers(tmp_path) == Counter(["parent", "child"])


def test_a_closed_standard_output_stops_nothing(tmp_path: Path) -> None:
    script = "import time\nfor number in range(50): log.info('%d', number); time.sleep(0.002)"
    process = _start(tmp_path, script)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(30) == 0
    assert len(_numbers(tmp_path)) == 50
    process.stderr.close()


def test_a_standard_output_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    script = "for number in range(3000): log.info('%d %s', number, 'x' * 100)"
    process = _start(tmp_path, script)
    # 400 KB for a pipe that holds 64: the process has to end although nothing is read.
    assert process.wait(30) == 0
    assert len(_numbers(tmp_path)) == 3000
    process.communicate()


def own_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed, but for the JSON of shops of other tests, which live on in this process."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]


def test_a_writer_that_cannot_keep_up_blocks_nobody_and_says_what_it_dropped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.observability.log_output.QUEUE_LINES", 100)
    gate, was_opened = threading.Event(), []

    def render(line: Line) -> str:
        was_opened.append(gate.wait(60))
        return line.message

    handler = BackgroundHandler(LineWriter(render, None), line_of)
    record = logging.LogRecord("shop.test", logging.INFO, "file", 1, "a line", None, None)
    for _ in range(1000):
        handler.handle(record)
    gate.set()
    handler.close()
    assert all(was_opened), "who logs has waited until the writer gave up the gate"
    lines = own_lines(capsys)
    written = lines.count("a line")
    assert 100 <= written <= 300
    assert [line for line in lines if line != "a line"] == [
        f"{1000 - written} log lines were dropped: they came faster than they could be written"
    ]


def test_long_lines_that_wait_have_a_bound_in_bytes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.observability.log_output.QUEUE_BYTES", 100_000)
    gate = threading.Event()

    def render(line: Line) -> str:
        gate.wait(60)
        return line.message

    handler = BackgroundHandler(LineWriter(render, None), line_of)
    for _ in range(3):
        for text in ("a" * 9000, "\N{GRINNING FACE}" * 2250):
            record = logging.LogRecord("shop.test", logging.INFO, "file", 1, text, None, None)
            for _ in range(50):
                handler.handle(record)
                handler.put(text)
    gate.set()
    handler.close()
    written = [line for line in own_lines(capsys) if len(line) >= 2250]
    # One batch may have been taken before the gate.
    assert 8 <= len(written) <= 24
    assert handler.queued_bytes == 0


def test_an_error_of_a_line_is_not_the_end_of_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def render(line: Line) -> str:
        if line.message == "bad":
            raise ValueError("cannot be rendered")
        return line.message

    handler = BackgroundHandler(LineWriter(render, None), line_of)
    for text in ("bad", "beside it"):
        handler.handle(logging.LogRecord("shop.test", logging.INFO, "file", 1, text, None, None))
    wait_for(lambda: handler.queued_bytes == 0, "the lines to be taken")
    handler.handle(logging.LogRecord("shop.test", logging.INFO, "file", 1, "after it", None, None))
    handler.close()
    assert own_lines(capsys) == ["beside it", "after it"]
