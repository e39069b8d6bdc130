"""The log as its readers find it: in files and on standard output, whole, in order and unforged."""

import asyncio
import contextvars
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from config.logging_config import stop_logging
from infrastructure.observability.log_lines import line_of, render_json, render_text, request_id, trace_id
from infrastructure.observability.redaction import API_KEY, CARD, PASSWORD, TOKEN

pytestmark = pytest.mark.unit

log = logging.getLogger("shop.test")

Configure = Callable[..., Path]

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def request_abc() -> Iterator[None]:
    token = request_id.set("abc-123")
    yield
    request_id.reset(token)


def _lines(path: Path) -> list[str]:
    stop_logging()
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.usefixtures("request_abc")
def test_text_lines_show_the_request_id_once(configure: Configure) -> None:
    folder = configure()
    log.info("[abc-123] GET /products - 200 OK (45ms)")
    log.warning("Rate limit exceeded for IP %s", "203.0.113.7")
    first, second = _lines(folder / "app.log")
    assert re.fullmatch(MOMENT + r" INFO shop\.test \[abc-123\] GET /products - 200 OK \(45ms\)", first)
    assert re.fullmatch(MOMENT + r" WARNING shop\.test \[abc-123\] Rate limit exceeded for IP 203\.0\.113\.7", second)


@pytest.mark.usefixtures("request_abc")
def test_json_lines_have_the_members(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    folder = configure(log_format="json", log_level="debug")
    log.debug("Cache HIT: %s", "products:id:7", extra={"size": 12, "api_key": "abc"})
    line = json.loads(_lines(folder / "app.log")[0])
    assert re.fullmatch(MOMENT, line.pop("ts"))
    assert line == {
        "level": "DEBUG",
        "logger": "shop.test",
        "request_id": "abc-123",
        "message": "Cache HIT: products:id:7",
        "extra": {"size": 12, "api_key": API_KEY},
    }
    assert json.loads(capsys.readouterr().out)["message"] == "Cache HIT: products:id:7"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_lines_tell_the_trace_they_belong_to(configure: Configure, log_format: str) -> None:
    folder = configure(log_format=log_format)
    trace = "4111111111111111" * 2
    token = trace_id.set(trace)
    log.warning("slow")
    trace_id.reset(token)
    log.warning("slow")
    traced, other = _lines(folder / "app.log")
    if log_format == "text":
        assert traced.endswith(f" slow trace_id={trace}")
    else:
        assert json.loads(traced)["trace_id"] == trace
    assert "trace_id" not in other


def test_lines_outside_a_request_have_no_id(configure: Configure) -> None:
    folder = configure(log_format="json")
    log.info("started")
    assert "request_id" not in json.loads(_lines(folder / "app.log")[0])


def test_the_level_decides_and_errors_have_a_file_of_their_own(configure: Configure) -> None:
    folder = configure(log_level="WARNING")
    log.info("not shown")
    log.warning("a warning")
    log.error("an error")
    assert [line.split()[-1] for line in _lines(folder / "app.log")] == ["warning", "error"]
    assert [line.split()[-1] for line in _lines(folder / "error.log")] == ["error"]


def test_text_lines_tell_their_place_at_debug(configure: Configure) -> None:
    folder = configure(log_level="DEBUG")
    log.info("here")
    (line,) = _lines(folder / "app.log")
    assert re.fullmatch(MOMENT + r" INFO shop\.test:test_text_lines_tell_their_place_at_debug:\d+ here", line)


def test_the_files_are_closed_to_others(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "app.log").touch(mode=0o666)
    before = os.umask(0)
    try:
        folder = configure()
        log.error("an error")
        _lines(folder / "app.log")
    finally:
        os.umask(before)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}


def test_configuring_twice_changes_nothing_and_other_settings_do(configure: Configure) -> None:
    folder = configure()
    handlers = list(logging.getLogger().handlers)
    configure()
    assert logging.getLogger().handlers == handlers
    log.info("once")
    configure(log_format="json")
    log.info("once more")
    first, second = _lines(folder / "app.log")
    assert first.endswith(" once")
    assert json.loads(second)["message"] == "once more"


def test_lines_after_the_stop_are_written_at_once(configure: Configure) -> None:
    folder = configure()
    stop_logging()
    log.info("late")
    assert (folder / "app.log").read_text().endswith(" late\n")


def test_worker_threads_know_the_request(configure: Configure) -> None:
    folder = configure()

    async def serve(identity: str) -> None:
        request_id.set(identity)
        await asyncio.to_thread(log.info, "in a thread")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, log.info, "in a pool").result()

    async def serve_two() -> None:
        await asyncio.gather(serve("one"), serve("two"))

    asyncio.run(serve_two())
    texts = sorted(line.split("shop.test ")[1] for line in _lines(folder / "app.log") if "shop.test " in line)
    assert texts == ["[one] in a pool", "[one] in a thread", "[two] in a pool", "[two] in a thread"]


def test_an_unwritable_folder_is_one_warning(
    tmp_path: Path, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    configure(log_dir=tmp_path / "file" / "logs")
    log.info("goes on")
    stop_logging()
    warning, line = capsys.readouterr().out.splitlines()
    assert " WARNING " in warning
    assert "LOG_DIR" in warning
    assert line.endswith(" goes on")


def test_a_file_that_is_a_folder_is_an_unwritable_folder(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs" / "error.log").mkdir(parents=True)
    configure()
    log.error("goes on")
    stop_logging()
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["WARNING", "ERROR"]


def _record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("shop.test", logging.ERROR, "file", 1, message, arguments, exc_info)


def _raised(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


FORGED = "2026-11-16T10:00:00.000Z CRITICAL shop.test all is lost"
# Any text, and text around what would begin a line for one reader or another.
HOSTILE = st.text() | st.builds(
    "{}{}{}".format,
    st.text(max_size=5),
    st.sampled_from(["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x1b[2K\r"]),
    st.just(FORGED),
)


@given(HOSTILE, HOSTILE)
def test_no_text_forges_a_line(message: str, argument: str) -> None:
    request_id.set(argument)
    record = _record(message.replace("%", "%%") + " %s", argument, error=_raised(argument))
    record.found = argument
    first, *others = render_text(line_of(record)).splitlines()
    assert re.match(MOMENT + r" ERROR shop\.test ", first)
    assert all(line.startswith("    ") for line in others)
    (line,) = render_json(line_of(record)).splitlines()
    shown = json.loads(line)
    assert len(shown["message"].splitlines()) <= 1
    assert len(shown["request_id"].splitlines()) <= 1
    shown["exception"].encode()
    request_id.set(None)


@pytest.mark.parametrize("render", [render_text, render_json])
def test_secrets_are_redacted_wherever_they_are(render: Callable[..., str]) -> None:
    error = _raised("cannot reach postgresql://ada:hunter2@db/shop with token=tok123")
    record = _record(
        "user %s sent %s, card %s", "password=hunter2", {"api_key": {"value": "hunter2"}}, 4111111111111111, error=error
    )
    record.headers = {"Authorization": "Bearer tok123", "x": ["secret=hunter2"]}
    shown = render(line_of(record))
    assert "hunter2" not in shown
    assert "tok123" not in shown
    assert "4111" not in shown
    for kind in (PASSWORD, TOKEN, API_KEY, CARD):
        assert kind in shown


def test_a_traceback_is_indented_in_text_and_one_field_in_json() -> None:
    record = _record("broken", error=_raised("line 1\nline 2"))
    lines = render_text(line_of(record)).split("\n")
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-2:] == ["    ValueError: line 1", "    line 2"]
    shown = json.loads(render_json(line_of(record)))
    assert shown["message"] == "broken"
    assert shown["exception"].endswith("ValueError: line 1\nline 2")


def test_a_message_that_does_not_fit_its_arguments_is_not_lost() -> None:
    shown = render_text(line_of(_record("%d products of %s", "seven")))
    assert "%d products of %s" in shown
    assert "seven" in shown
    assert "TypeError" in shown


def test_named_arguments_are_redacted_by_their_names() -> None:
    record = _record("%(count)d by %(password)s", {"count": 3, "password": "hunter2"})
    assert render_text(line_of(record)).endswith(f" 3 by {PASSWORD}")


def test_arguments_are_read_when_the_line_is_logged(configure: Configure) -> None:
    folder = configure()
    basket = ["before"]
    log.info("basket %s", basket)
    basket[0] = "after"
    assert _lines(folder / "app.log")[0].endswith("['before']")


def test_libraries_log_here_and_nowhere_else(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic.runtime.migration"):
        logging.getLogger(name).addHandler(logging.StreamHandler())
        logging.getLogger(name).propagate = False
    logging.getLogger().addHandler(logging.StreamHandler())
    folder = configure(db_echo=True)
    engine = sqlalchemy.create_engine("postgresql+psycopg2://", echo=True)
    logging.getLogger("uvicorn.error").info("Started server")
    logging.getLogger("alembic.runtime.migration").info("Running upgrade")
    logging.getLogger("sqlalchemy.engine.Engine").info("SELECT 1\nFROM clients")
    logging.getLogger("uvicorn.access").info("a second line for each request")
    engine.dispose()
    texts = [line.split(" ", 3)[3] for line in _lines(folder / "app.log")]
    assert texts == ["Started server", "Running upgrade", r"SELECT 1\nFROM clients"]
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert captured.err == ""
    # This is how uvicorn knows that it need not even make the line.
    assert not logging.getLogger("uvicorn.access").hasHandlers()


def test_the_exception_of_another_thread_is_logged_with_its_request(configure: Configure) -> None:
    folder = configure()

    def work() -> None:
        request_id.set("thread-1")
        try:
            raise _raised("broken")
        except ValueError:
            log.exception("failed")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    lines = _lines(folder / "error.log")
    assert lines[0].endswith("[thread-1] failed")
    assert lines[-1] == "    ValueError: broken"
