"""A refusal by a rule is a warning with its code and its numbers, and a flood of them is not a flood of lines."""

import logging
from decimal import Decimal

import pytest

from infrastructure.observability.token_bucket import TokenBucket
from services import refusal_log as refusals
from services.errors import (
    AlreadyExists,
    InsufficientStock,
    NotFound,
    RequestInProgress,
    ShopError,
    TotalMismatch,
    Unavailable,
)
from services.refusal_log import BURST, log_refusal
from tests.log_records import records_of

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def allowance(monkeypatch: pytest.MonkeyPatch) -> TokenBucket:
    fresh = TokenBucket(BURST, 1.0, lambda: 0.0)
    monkeypatch.setattr(refusals, "_allowance", fresh)
    return fresh


def extras(record: logging.LogRecord) -> dict[str, object]:
    standard = vars(logging.makeLogRecord({}))
    return {name: value for name, value in vars(record).items() if name not in standard and name != "message"}


@pytest.mark.parametrize(
    ("error", "numbers"),
    [
        (
            InsufficientStock(7, 5, 2),
            {"code": "insufficient_stock", "product_id": 7, "requested": 5, "available": 2},
        ),
        (TotalMismatch(Decimal("9.99"), Decimal("1.00")), {"code": "total_mismatch", "expected": 9.99, "got": 1.0}),
        (AlreadyExists("Client", "email", "ada@example.org"), {"code": "already_exists"}),
    ],
)
def test_a_broken_rule_is_a_warning(
    error: ShopError, numbers: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    log_refusal(error)
    (record,) = records_of(caplog, "shop.rules")
    assert record.levelno == logging.WARNING
    assert extras(record) == numbers
    assert "ada@example.org" not in record.getMessage()


def test_what_no_rule_refuses_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    for error in (NotFound("Product", 7), Unavailable(), RequestInProgress()):
        log_refusal(error)
    assert records_of(caplog, "shop.rules") == []


def test_a_flood_is_counted(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 0.0
    monkeypatch.setattr(refusals, "_allowance", TokenBucket(BURST, 1.0, lambda: moment))
    for _ in range(BURST + 30):
        log_refusal(InsufficientStock(7, 5, 2))
    assert len(records_of(caplog, "shop.rules")) == BURST
    moment = 1.0
    log_refusal(InsufficientStock(7, 5, 2))
    assert extras(records_of(caplog, "shop.rules")[-1])["refusals_without_a_line"] == 30
