"""The log lines that a test looks at. Shops of other tests live on in its process, and may write at any moment."""

import logging

import pytest


def records_of(caplog: pytest.LogCaptureFixture, *loggers: str) -> list[logging.LogRecord]:
    """What was caught of the loggers of these names."""
    return [record for record in caplog.records if record.name in loggers]
