"""The access log as its readers find it: a line for every request, in its form, without secrets."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from config.logging_config import stop_logging
from infrastructure.observability.access_log import (
    GATHER_SECONDS,
    PATH_LENGTH,
    REFUSAL_BURST,
    AccessLog,
    AccessLogEntry,
    access_message,
)
from infrastructure.observability.log_lines import ShopHandler
from infrastructure.observability.redaction import CARD, TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.unit]

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
TRACE = "4111111111111111" * 2
UUID = "01aaac22-6c30-4780-aedb-04c913f4e023"

Configure = Callable[..., Path]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def alone(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets the log up, without the handlers of pytest, which would have the lines made as records."""

    def configure_alone(**settings: object) -> Path:
        folder = configure(**settings)
        handlers = [handler for handler in logging.root.handlers if isinstance(handler, ShopHandler)]
        monkeypatch.setattr(logging.root, "handlers", handlers)
        return folder

    return configure_alone


def answered(
    path: str = "/products", request_id: str = "abc-123", status: int = 200, client: str = ""
) -> AccessLogEntry:
    return AccessLogEntry(0.0, request_id, "GET", path, status, 45.4, client)


def test_messages_look_as_specified() -> None:
    assert access_message(answered()) == "[abc-123] GET /products - 200 OK (45ms)"
    assert access_message(answered("/a b", status=404)) == "[abc-123] GET /a%20b - 404 Not Found (45ms)"
    assert access_message(answered(client="2001:db8::7")) == "[abc-123] GET /products - 200 OK (45ms) 2001:db8::7"
    assert access_message(answered(status=299)) == "[abc-123] GET /products - 299 (45ms)"


def test_messages_hold_no_secret_and_no_line_end() -> None:
    assert access_message(answered("/x?token=abc")) == f"[abc-123] GET /x?token={TOKEN} - 200 OK (45ms)"
    assert access_message(answered(request_id="4111111111111111")).startswith(f"[{CARD}] ")
    assert access_message(answered(request_id=UUID)).startswith(f"[{UUID}] ")
    assert "\n" not in access_message(answered("/a\nb"))


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_lines_have_the_form_of_the_log(alone: Configure, log_format: str) -> None:
    folder = alone(log_format=log_format)
    access_log = AccessLog()
    access_log.note("abc-123", "GET", '/products/"7"', 200, 45.4, "203.0.113.7", None, "/products/{id_key}", "user:7")
    access_log.write()
    stop_logging()
    (line,) = (folder / "app.log").read_text().splitlines()
    message = '[abc-123] GET /products/"7" - 200 OK (45ms) 203.0.113.7'
    if log_format == "text":
        assert re.fullmatch(MOMENT + re.escape(f" INFO shop.access {message}"), line)
        return
    members = json.loads(line)
    assert re.fullmatch(MOMENT, members.pop("ts"))
    assert members == {
        "level": "INFO",
        "logger": "shop.access",
        "request_id": "abc-123",
        "trace_id": None,
        "client": "203.0.113.7",
        "method": "GET",
        "route": "/products/{id_key}",
        "path": '/products/"7"',
        "status": 200,
        "ms": 45.4,
        "principal": "user:7",
        "message": message,
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_a_trace_is_at_the_end_of_a_text_and_a_member_of_its_own(alone: Configure, log_format: str) -> None:
    folder = alone(log_format=log_format)
    access_log = AccessLog()
    access_log.note("abc-123", "GET", "/products", 200, 45.4, "203.0.113.7", TRACE)
    access_log.write()
    stop_logging()
    (line,) = (folder / "app.log").read_text().splitlines()
    if log_format == "text":
        assert line.endswith(f" 200 OK (45ms) 203.0.113.7 trace_id={TRACE}")
    else:
        assert json.loads(line)["trace_id"] == TRACE


@pytest.mark.parametrize("path", ["/" + "a" * 60_000, "/" + "%C3%A9" * 10_000, "/" + "\x1b" * 1000])
def test_long_paths_are_cut(path: str) -> None:
    assert len(access_message(answered(path))) < PATH_LENGTH + 50


def test_a_secret_at_the_cut_is_no_half_secret() -> None:
    path = "/" + "a" * (PATH_LENGTH - 20) + "?token=" + "s3cret" * 20
    assert "s3c" not in access_message(answered(path))


async def test_a_flood_of_refusals_is_counted(alone: Configure) -> None:
    folder = alone()
    access_log = AccessLog()
    for number in range(1000):
        access_log.note("abc-123", "GET", f"/{number}", 404 if number % 2 else 429, 1)
        access_log.note("abc-123", "GET", f"/{number}", 200, 1)
    access_log.close()
    stop_logging()
    lines = (folder / "app.log").read_text().splitlines()
    assert sum(" - 200 " in line for line in lines) == 1000, "what was not refused has its line"
    refused = [line for line in lines if " - 404 " in line or " - 429 " in line]
    # A busy machine may take seconds for this, and each of them allows a line more.
    assert REFUSAL_BURST <= len(refused) < REFUSAL_BURST + 100
    counts = re.search(r"WARNING shop.access (\d+) more .*: (\d+) x 404, (\d+) x 429", lines[-1])
    assert counts is not None
    total, *parts = map(int, counts.groups())
    assert total == sum(parts) == 1000 - len(refused)


async def test_lines_come_by_themselves_in_their_order(alone: Configure) -> None:
    folder = alone()
    access_log = AccessLog()
    for number in range(1000):
        access_log.note("abc-123", "GET", f"/{number}", 200, 1)
    await asyncio.sleep(GATHER_SECONDS * 3)
    access_log.note("abc-123", "GET", "/last", 200, 1)
    access_log.write()
    stop_logging()
    shown = [line.split()[5] for line in (folder / "app.log").read_text().splitlines()]
    assert shown == [*(f"/{number}" for number in range(1000)), "/last"]


async def test_the_level_decides(alone: Configure) -> None:
    folder = alone(log_level="WARNING")
    access_log = AccessLog()
    access_log.note("abc-123", "GET", "/", 200, 1)
    access_log.write()
    stop_logging()
    assert (folder / "app.log").read_text() == ""


async def test_other_handlers_get_records(configure: Configure, caplog: pytest.LogCaptureFixture) -> None:
    configure()
    caplog.set_level(logging.INFO, "shop.access")
    access_log = AccessLog()
    access_log.note("abc-123", "GET", "/", 200, 1)
    access_log.write()
    assert [record.getMessage() for record in caplog.records if record.name == "shop.access"] == [
        "[abc-123] GET / - 200 OK (1ms)"
    ]
