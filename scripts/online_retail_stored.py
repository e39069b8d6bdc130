"""What the API holds of the file's invoices, and what is still to be done.

The same reading serves twice: before the import it tells where to go on, after it what was reached.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from scripts.api_client import ApiClient, Mismatch
from scripts.online_retail_file import Invoice, SaleLine, Totals


class StoredLine(NamedTuple):
    """An order detail as far as the file determines it."""

    product_id: int
    quantity: int
    price: Decimal


@dataclass(slots=True)
class StoredInvoice:
    """A bill of the API with the number of an invoice, its order if there is one, and that order's details."""

    bill_id: int
    client_id: int | None
    billed: Decimal
    order_id: int | None = None
    lines: list[StoredLine] = field(default_factory=list)


class PendingLine(NamedTuple):
    """A line still to be sold: its place in the invoice, and its turn among the pending lines of its product."""

    position: int
    line: SaleLine
    turn: int


@dataclass(frozen=True, slots=True)
class Job:
    """An invoice that is not complete yet. `stored` is what exists of it."""

    invoice: Invoice
    client_id: int
    stored: StoredInvoice | None
    pending: tuple[PendingLine, ...]


async def read_back(api: ApiClient, numbers: Collection[str]) -> dict[str, StoredInvoice]:
    """The stored invoices by number. Other bills and orders of the shop are passed over."""
    invoices: dict[str, StoredInvoice] = {}
    async for bill in api.pages("/bills"):
        if bill["bill_number"] in numbers:
            invoices[bill["bill_number"]] = StoredInvoice(bill["id_key"], bill["client_id"], Decimal(bill["total"]))
    if not invoices:
        return invoices
    by_bill = {invoice.bill_id: invoice for invoice in invoices.values()}
    by_order: dict[int, StoredInvoice] = {}
    async for order in api.pages("/orders"):
        if order["bill_id"] in by_bill:
            by_order[order["id_key"]] = by_bill[order["bill_id"]]
            by_bill[order["bill_id"]].order_id = order["id_key"]
    async for detail in api.pages("/order_details"):
        if detail["order_id"] in by_order:
            line = StoredLine(detail["product_id"], detail["quantity"], Decimal(detail["price"]))
            by_order[detail["order_id"]].lines.append(line)
    return invoices


def expected_lines(invoice: Invoice, product_ids: Mapping[str, int]) -> list[StoredLine]:
    """The details that `invoice` becomes; `product_ids` maps stock codes to the API's ids."""
    return [StoredLine(product_ids[line.sku], line.quantity, line.price) for line in invoice.lines]


def plan_jobs(
    invoices: Iterable[Invoice],
    stored: Mapping[str, StoredInvoice],
    product_ids: Mapping[str, int],
    client_ids: Mapping[str, int],
) -> list[Job]:
    """The invoices that are not complete, in file order, each with the lines it lacks.

    Raises `Mismatch` where the API holds something else under an invoice's number than its beginning.
    """
    jobs = []
    turns: Counter[str] = Counter()
    for invoice in invoices:
        client_id, found = client_ids[invoice.customer_id], stored.get(invoice.number)
        done = 0
        if found is not None:
            _check_beginning(invoice, found, client_id, expected_lines(invoice, product_ids))
            done = len(found.lines)
        pending = []
        for position, line in enumerate(invoice.lines[done:], start=done):
            pending.append(PendingLine(position, line, turns[line.sku]))
            turns[line.sku] += 1
        if pending:
            jobs.append(Job(invoice, client_id, found, tuple(pending)))
    return jobs


def _check_beginning(invoice: Invoice, found: StoredInvoice, client_id: int, expected: Sequence[StoredLine]) -> None:
    if found.client_id != client_id:
        raise Mismatch(
            f"Bill {invoice.number} exists in the API, but for another client: it is not this file's invoice"
        )
    if found.lines != expected[: len(found.lines)]:
        raise Mismatch(f"Order {found.order_id} of bill {invoice.number} holds other lines than the file's invoice")


def units_pending(jobs: Iterable[Job]) -> Counter[str]:
    """How many units of each stock code are still to be sold."""
    units: Counter[str] = Counter()
    for job in jobs:
        for pending in job.pending:
            units[pending.line.sku] += pending.line.quantity
    return units


def stored_totals(stored: Collection[StoredInvoice]) -> Totals:
    """What the API holds, summed line by line and, apart from that, bill by bill."""
    lines = [line for invoice in stored for line in invoice.lines]
    return Totals(
        orders=sum(invoice.order_id is not None for invoice in stored),
        lines=len(lines),
        units=sum(line.quantity for line in lines),
        revenue=sum((line.quantity * line.price for line in lines), Decimal("0.00")),
        billed=sum((invoice.billed for invoice in stored), Decimal("0.00")),
    )
