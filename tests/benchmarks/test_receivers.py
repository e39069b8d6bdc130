"""What receivers of webhooks and mails got, compared with what happened."""

from typing import Any

import pytest

from benchmarks.receivers import judge_mails, judge_webhooks

pytestmark = pytest.mark.unit


class Cursor:
    """Gives the rows of each query in turn."""

    def __init__(self, *results: list[tuple[Any, ...]]) -> None:
        self._results = iter(results)

    def execute(self, *_: object) -> None:
        self._rows = next(self._results)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows


def hook(name: str, sequence: str, subject: str = "orders/1") -> dict[str, Any]:
    return {"id": name, "sequence": sequence, "subject": subject, "type": "order.updated"}


def test_doubles_with_one_id_are_no_fault() -> None:
    got = [hook("a", "1"), hook("c", "3", "orders/2"), hook("b", "2"), hook("a", "1")]
    verdict = judge_webhooks(Cursor([("a",), ("b",), ("c",)]), got)
    assert verdict.faults == []
    assert str(verdict) == "webhooks: lost 0, invented 0, out of order 0, doubled 1 with the same webhook-id"


def test_what_is_lost_invented_or_late_is() -> None:
    verdict = judge_webhooks(Cursor([("a",), ("b",), ("c",)]), [hook("b", "2"), hook("a", "1"), hook("x", "3")])
    assert str(verdict).startswith("webhooks: lost 1, invented 1, out of order 1, doubled 0")
    assert len(verdict.faults) == 3


def test_mails_are_found_by_their_notifications() -> None:
    notifications = [("a", 1), ("b", 2)]
    one, other = ("ada@example.com", "<shop-notification-1-0-x@y>"), ("ada@example.com", "<shop-notification-2-0-x@y>")
    assert judge_mails(Cursor([("a",), ("b",)], notifications), [one, other, one]).faults == []
    verdict = judge_mails(Cursor([("a",), ("b",), ("c",)], [*notifications, ("b", 3)]), [one, one])
    assert str(verdict) == "mails: lost 2, doubled 1 with the same Message-ID"
    assert len(verdict.faults) == 3
