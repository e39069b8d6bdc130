"""Going on where a run stopped: from every possible beginning the same end is reached."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.api_client import Mismatch
from scripts.online_retail_file import Invoice, SaleLine, totals_of
from scripts.online_retail_stored import (
    StoredInvoice,
    StoredLine,
    expected_lines,
    plan_jobs,
    stored_totals,
    units_pending,
)

pytestmark = pytest.mark.unit

PRODUCT_IDS = {"A": 11, "B": 12, "C": 13}
CLIENT_IDS = {"": 1, "17850": 2}

lines = st.builds(
    SaleLine, st.sampled_from(sorted(PRODUCT_IDS)), st.integers(1, 99), st.decimals("0.01", "99.99", places=2)
)


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
                lines=done,
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
            found.lines.append(StoredLine(PRODUCT_IDS[pending.line.sku], pending.line.quantity, pending.line.price))

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
    stored = {"7": StoredInvoice(1, 1, Decimal("5.00"), 9, held)}
    with pytest.raises(Mismatch, match="Order 9 of bill 7 holds other lines"):
        plan_jobs([invoice], stored, PRODUCT_IDS, CLIENT_IDS)


def test_a_bill_of_another_client_is_refused() -> None:
    invoice = Invoice("7", "", (SaleLine("A", 1, Decimal("1.00")),))
    with pytest.raises(Mismatch, match="Bill 7 exists in the API, but for another client"):
        plan_jobs([invoice], {"7": StoredInvoice(1, None, Decimal("1.00"))}, PRODUCT_IDS, CLIENT_IDS)
