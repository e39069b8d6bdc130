"""Going on where a run stopped: from every possible beginning the same end is reached."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.api_errors import Mismatch
from scripts.online_retail_file import Invoice, SaleLine, totals_of
from scripts.online_retail_returns import CreditReturn, ReturnedLine
from scripts.online_retail_stored import (
    CHECKOUT_LINES,
    Job,
    StoredDetail,
    StoredInvoice,
    StoredLine,
    expected_lines,
    plan_jobs,
    plan_returns,
    stored_returns,
    stored_totals,
    units_pending,
)

pytestmark = pytest.mark.unit

PRODUCT_IDS = {"A": 11, "B": 12, "C": 13}
CLIENT_IDS = {"": 1, "17850": 2}

lines = st.builds(
    SaleLine, st.sampled_from(sorted(PRODUCT_IDS)), st.integers(1, 99), st.decimals("0.01", "99.99", places=2)
)


def details_of(held: Sequence[StoredLine], returned: int = 0) -> list[StoredDetail]:
    return [StoredDetail(place, line, returned) for place, line in enumerate(held)]


@st.composite
def interrupted_runs(draw: st.DrawFn) -> tuple[list[Invoice], dict[str, StoredInvoice]]:
    """Invoices, and what an interrupted run may have left of each: nothing, a bill, an order, some details."""
    invoices, stored = [], {}
    for number in range(draw(st.integers(1, 6))):
        sold = tuple(draw(st.lists(lines, min_size=1, max_size=6)))
        invoice = Invoice(str(number), draw(st.sampled_from(sorted(CLIENT_IDS))), sold)
        invoices.append(invoice)
        stage = draw(st.integers(-2, len(sold)))
        if stage >= -1:
            done = expected_lines(invoice, PRODUCT_IDS)[: max(stage, 0)]
            stored[invoice.number] = StoredInvoice(
                bill_id=100 + number,
                client_id=CLIENT_IDS[invoice.customer_id],
                billed=totals_of([invoice]).revenue,
                order_id=200 + number if stage >= 0 else None,
                details=details_of(done),
            )
    return invoices, stored


@given(interrupted_runs())
def test_what_is_pending_completes_what_is_stored(run: tuple[list[Invoice], dict[str, StoredInvoice]]) -> None:
    invoices, stored = run
    units_before = stored_totals(stored.values()).units
    jobs = plan_jobs(invoices, stored, PRODUCT_IDS, CLIENT_IDS)
    assert units_before + sum(units_pending(jobs).values()) == totals_of(invoices).units

    for job in jobs:
        found = stored.setdefault(job.invoice.number, StoredInvoice(0, job.client_id, totals_of([job.invoice]).revenue))
        found.order_id = found.order_id or 0
        for pending in job.pending:
            assert pending.position == len(found.lines)
            line = StoredLine(PRODUCT_IDS[pending.line.sku], pending.line.quantity, pending.line.price)
            found.details.append(StoredDetail(pending.position, line, 0))

    assert stored_totals(stored.values()) == totals_of(invoices)
    assert plan_jobs(invoices, stored, PRODUCT_IDS, CLIENT_IDS) == []


@given(interrupted_runs())
def test_the_turns_of_a_product_follow_the_file(run: tuple[list[Invoice], dict[str, StoredInvoice]]) -> None:
    seen: Counter[str] = Counter()
    for job in plan_jobs(*run, PRODUCT_IDS, CLIENT_IDS):
        for pending in job.pending:
            assert pending.turn == seen[pending.line.sku]
            seen[pending.line.sku] += 1


@pytest.mark.parametrize(
    "held",
    [
        [StoredLine(11, 1, Decimal("1.01"))],
        [StoredLine(11, 2, Decimal("1.00"))],
        [StoredLine(12, 2, Decimal("2.00"))],
        [StoredLine(11, 1, Decimal("1.00")), StoredLine(12, 2, Decimal("2.00")), StoredLine(12, 2, Decimal("2.00"))],
    ],
    ids=["another price", "another quantity", "the second line first", "one line too many"],
)
def test_an_order_that_is_not_the_invoices_beginning_is_refused(held: list[StoredLine]) -> None:
    invoice = Invoice("7", "", (SaleLine("A", 1, Decimal("1.00")), SaleLine("B", 2, Decimal("2.00"))))
    stored = {"7": StoredInvoice(1, 1, Decimal("5.00"), 9, 1, details_of(held))}
    with pytest.raises(Mismatch, match="Order 9 of bill 7 holds other lines"):
        plan_jobs([invoice], stored, PRODUCT_IDS, CLIENT_IDS)


def test_a_bill_of_another_client_is_refused() -> None:
    invoice = Invoice("7", "", (SaleLine("A", 1, Decimal("1.00")),))
    with pytest.raises(Mismatch, match="Bill 7 exists in the API, but for another client"):
        plan_jobs([invoice], {"7": StoredInvoice(1, None, Decimal("1.00"))}, PRODUCT_IDS, CLIENT_IDS)


@pytest.mark.parametrize(
    ("sold", "stored", "expected"),
    [
        ((SaleLine("A", 1, Decimal("1.00")), SaleLine("B", 1, Decimal("2.00"))), None, True),
        ((SaleLine("A", 1, Decimal("1.00")), SaleLine("A", 2, Decimal("1.00"))), None, True),
        ((SaleLine("A", 1, Decimal("1.00")), SaleLine("A", 1, Decimal("2.00"))), None, False),
        ((SaleLine("A", 1, Decimal("1.00")),), StoredInvoice(1, 1, Decimal("1.00")), False),
        ((SaleLine("A", 1, Decimal("1.00")),) * CHECKOUT_LINES, None, True),
        ((SaleLine("A", 1, Decimal("1.00")),) * (CHECKOUT_LINES + 1), None, False),
    ],
    ids=["two products", "one twice", "two prices", "a bill is there", "as many as go in", "one line too many"],
)
def test_what_goes_in_one_checkout(sold: tuple[SaleLine, ...], stored: StoredInvoice | None, expected: bool) -> None:
    assert Job(Invoice("7", "", sold), 1, stored, ()).is_one_checkout is expected


TWO_RETURNS = [
    CreditReturn("C1", "7", [ReturnedLine(0, 2, Decimal("1.00")), ReturnedLine(1, 1, Decimal("3.00"))]),
    CreditReturn("C2", "7", [ReturnedLine(0, 1, Decimal("1.00")), ReturnedLine(0, 1, Decimal("1.00"))]),
]


def order_with_returns(first: int, second: int) -> dict[str, StoredInvoice]:
    """The order of invoice 7 when so many units of its two lines are back."""
    details = [
        StoredDetail(11, StoredLine(1, 5, Decimal("1.00")), first),
        StoredDetail(12, StoredLine(2, 5, Decimal("3.00")), second),
    ]
    return {"7": StoredInvoice(1, 1, Decimal("20.00"), 9, 2, details)}


@pytest.mark.parametrize(("returned", "pending"), [((0, 0), ["C1", "C2"]), ((2, 1), ["C2"]), ((4, 1), [])])
def test_returns_go_on_behind_those_that_are_there(returned: tuple[int, int], pending: list[str]) -> None:
    jobs = plan_returns(TWO_RETURNS, order_with_returns(*returned))
    assert [booked.note for job in jobs for booked in job.pending] == pending


@pytest.mark.parametrize("returned", [(1, 0), (2, 0), (0, 1), (2, 2), (5, 1)])
def test_other_returns_than_the_files_are_refused(returned: tuple[int, int]) -> None:
    with pytest.raises(Mismatch, match="Order 9 of bill 7 has other returns"):
        plan_returns(TWO_RETURNS, order_with_returns(*returned))


def test_a_return_from_an_order_that_nobody_returned_from_is_refused() -> None:
    with pytest.raises(Mismatch, match="Order 9 of bill 7 has other returns"):
        plan_returns([], order_with_returns(1, 0))


def test_returns_are_summed_by_line_and_by_credit_bill() -> None:
    stored = order_with_returns(4, 1)
    stored["7"].credits += [Decimal("5.00"), Decimal("1.99")]
    assert stored_returns(stored.values()) == (2, 5, Decimal("7.00"), Decimal("6.99"))
