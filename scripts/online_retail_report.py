"""Report of the import of the file: what will be imported, and the reconciliation with the API at the end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

from scripts.online_retail_file import CreditLine, Invoice, SalesFile, totals_of
from scripts.online_retail_returns import Matching
from scripts.online_retail_stored import StoredInvoice, expected_lines, stored_returns, stored_totals

Figures = Mapping[str, int | Decimal]
"""Named counts and sums of money."""

NAMED_AT_MOST = 5
"""How many differing invoices the last line names."""


def describe(sales: SalesFile, invoices: Sequence[Invoice], matching: Matching) -> str:
    """The lines that say what is imported of the file, and what is not."""
    beyond = len(sales.invoices) - len(invoices)
    totals = matching.totals()
    credit_lines = sum(len(note.lines) for note in sales.credit_notes)
    lines = [
        f"To import: {len(invoices):,} invoices" + (f" ({beyond:,} more are beyond --limit)" if beyond else ""),
        f"To book as returns: {matching.matched_lines:,} of {credit_lines:,} lines of {len(sales.credit_notes):,} credit "
        f"notes, which match earlier sales: {totals.returned:,} units for {totals.refunded:,}",
        f"Not imported: {len(matching.unmatched):,} lines of credit notes, {sales.adjustment_lines:,} lines of stock "
        "adjustments and write-offs",
    ]
    reasons = Counter(reason for _, reason in matching.unmatched)
    lines += [f"  {count:>5,} lines {reason.value}" for reason, count in reasons.most_common()]
    fees = _other_than_goods([line for line, _ in matching.unmatched])
    if fees:
        lines.append(f"  among them no goods: {fees}")
    return "\n".join(lines)


def _other_than_goods(lines: Sequence[CreditLine]) -> str:
    """The lines with a stock code such as D (Discount) or POST (POSTAGE): those of goods begin with a digit."""
    codes = Counter((line.sku, line.description) for line in lines if not line.sku[:1].isdigit())
    return ", ".join(f"{count:,} x {sku} ({name or 'no name'})" for (sku, name), count in codes.most_common())


def reconcile(
    invoices: Sequence[Invoice],
    matching: Matching,
    stored: Mapping[str, StoredInvoice],
    product_ids: Mapping[str, int],
) -> bool:
    """Print the totals of the file and of the API; whether they agree, invoice by invoice."""
    wanted = totals_of(invoices)._asdict() | matching.totals()._asdict()
    reached = stored_totals(stored.values())._asdict() | stored_returns(stored.values())._asdict()
    print(table(wanted, reached))
    differing = [
        invoice.number
        for invoice in invoices
        if invoice.number not in stored or stored[invoice.number].lines != expected_lines(invoice, product_ids)
    ]
    if differing:
        named = ", ".join(differing[:NAMED_AT_MOST]) + (", …" if len(differing) > NAMED_AT_MOST else "")
        print(f"{len(differing):,} invoices differ: {named}")
    return wanted == reached and not differing


def table(wanted: Figures, reached: Figures) -> str:
    """The reconciliation, one line for each figure."""
    lines = [f"{'':<8} {'file':>14} {'API':>14}"]
    for name, file_side in wanted.items():
        api_side = reached[name]
        verdict = "" if file_side == api_side else f"  differs by {api_side - file_side:,}"
        lines.append(f"{name:<8} {file_side:>14,} {api_side:>14,}{verdict}")
    return "\n".join(lines)
