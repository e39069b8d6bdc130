"""The reconciliation is exact, and says what differs."""

from decimal import Decimal

import pytest

from scripts.online_retail_file import Invoice, SaleLine
from scripts.online_retail_report import reconcile, table
from scripts.online_retail_returns import CreditReturn, Matching, ReturnedLine
from scripts.online_retail_stored import StoredDetail, StoredInvoice, StoredLine

pytestmark = pytest.mark.unit

PRICE = Decimal("2.00")
INVOICE = Invoice("7", "17850", (SaleLine("A", 5, PRICE),))
MATCHING = Matching([CreditReturn("C1", "7", [ReturnedLine(0, 2, PRICE)])], 1)


def stored(quantity: int = 5, returned: int = 2, credited: str = "4.00") -> dict[str, StoredInvoice]:
    detail = StoredDetail(3, StoredLine(11, quantity, PRICE), returned)
    return {"7": StoredInvoice(1, 2, Decimal("10.00"), 9, 2, [detail], [Decimal(credited)])}


@pytest.mark.parametrize(
    ("held", "agrees", "said"),
    [
        (stored(), True, "credited           4.00           4.00\n"),
        (stored(quantity=4), False, "1 invoices differ: 7"),
        (stored(returned=1), False, "differs by -1"),
        (stored(credited="3.99"), False, "differs by -0.01"),
        ({}, False, "1 invoices differ: 7"),
    ],
    ids=["all there", "a unit less sold", "a unit less returned", "a cent less credited", "nothing there"],
)
def test_both_sides_must_agree(
    held: dict[str, StoredInvoice], agrees: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reconcile([INVOICE], MATCHING, held, {"A": 11}) is agrees
    assert said in capsys.readouterr().out


def test_the_table_shows_a_missing_cent() -> None:
    wanted: dict[str, int | Decimal] = {"orders": 1, "revenue": Decimal("10.00")}
    shown = table(wanted, wanted | {"revenue": Decimal("9.99")}).splitlines()
    assert shown[2].endswith("10.00           9.99  differs by -0.01")
    assert "differs" not in shown[1]
