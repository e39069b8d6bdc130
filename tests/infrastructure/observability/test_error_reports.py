"""Errors go to a server that speaks Sentry's protocol, without secrets, and nothing is loaded where none is named."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any

import pytest

from config.settings import PROJECT_ROOT
from tests.http_receiver import http_receiver

pytestmark = pytest.mark.unit

PROGRAM = """
import logging, sys
from config.logging_config import configure_logging, stop_logging
from config.settings import read_settings
from infrastructure.observability.log_lines import request_id

configure_logging(read_settings({"LOG_DIR": sys.argv[1], **dict(pair.split("=", 1) for pair in sys.argv[2:])}))
request_id.set("abc-123")
log = logging.getLogger("shop.test")
log.warning("only a warning")
password = "hunter2-in-a-variable"
try:
    raise ValueError("password=hunter2 was wrong")
except ValueError:
    log.exception("Order %s of %s failed", 7, {"token": "s3cret"})
stop_logging()
print("sentry_sdk" in sys.modules)
"""


@contextmanager
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A DSN, and the events that were sent to it."""
    events: list[dict[str, Any]] = []

    def take(path: str, headers: Message, body: bytes) -> None:
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        # An envelope: its header, then a header and a payload for each item.
        events.append(json.loads(body.split(b"\n")[2]) | {"path": path})

    with http_receiver(take) as port:
        yield f"http://key@127.0.0.1:{port}/7", events


def run(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENTRY_")}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return result.stdout.splitlines()[-1]


def test_an_error_is_reported_with_its_traceback_and_without_secrets(tmp_path: "os.PathLike[str]") -> None:
    with receiver() as (dsn, events):
        assert run(str(tmp_path), f"SENTRY_DSN={dsn}") == "True"
    (event,) = events
    assert event["path"] == "/api/7/envelope/"
    assert (event["level"], event["logger"]) == ("error", "shop.test")
    assert (event["release"], event["tags"]["request_id"]) == ("1.0.0", "abc-123")
    (failure,) = event["exception"]["values"]
    assert failure["type"] == "ValueError"
    assert failure["stacktrace"]["frames"][-1]["function"] == "<module>"
    text = json.dumps(event)
    assert "hunter2" not in text
    assert "s3cret" not in text


def test_nothing_is_loaded_where_no_server_is_named(tmp_path: "os.PathLike[str]") -> None:
    assert run(str(tmp_path)) == "False"


def test_a_server_that_is_away_keeps_nobody_waiting(tmp_path: "os.PathLike[str]") -> None:
    assert run(str(tmp_path), "SENTRY_DSN=http://key@127.0.0.1:1/7") == "True"
