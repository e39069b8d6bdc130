"""The stored invoices of the file in the API, and the jobs that are left.

Both use the same functions: the import finds out where to continue, and the reconciliation what was reached.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from scripts.api_client import ApiClient, Row
from scripts.api_errors import Mismatch
from scripts.online_retail_file import Invoice, SaleLine, Totals
from scripts.online_retail_returns import CreditReturn, ReturnTotals

CHECKOUT_LINES = 1000
"""The most lines that one checkout takes."""

ORDERS_PER_PAGE = 200
"""Small pages, because orders are read with their details."""


class StoredLine(NamedTuple):
    """The fields of an order detail that the file determines."""

    product_id: int
    quantity: int
    price: Decimal


class StoredDetail(NamedTuple):
    """An order detail: its fields from the file, and the number of its returned units."""

    id_key: int
    line: StoredLine
    returned: int


@dataclass(slots=True)
class StoredInvoice:
    """A bill of the API with the number of an invoice, its order if there is one, and that order's details.

    `credits` are the amounts of the credit bills that refund it.
    """

    bill_id: int
    client_id: int | None
    billed: Decimal
    order_id: int | None = None
    status: int | None = None
    details: list[StoredDetail] = field(default_factory=list)
    credits: list[Decimal] = field(default_factory=list)

    @property
    def lines(self) -> list[StoredLine]:
        return [detail.line for detail in self.details]


class PendingLine(NamedTuple):
    """A line to be sold: its position in the invoice, and its turn among the pending lines of its product."""

    position: int
    line: SaleLine
    turn: int


@dataclass(frozen=True, slots=True)
class Job:
    """An invoice that is not complete yet. `stored` is its stored part."""

    invoice: Invoice
    client_id: int
    stored: StoredInvoice | None
    pending: tuple[PendingLine, ...]

    @property
    def is_one_checkout(self) -> bool:
        """Whether one checkout can sell the whole invoice: nothing of it is stored, and no product has two prices."""
        prices = {(line.sku, line.price) for line in self.invoice.lines}
        products = {line.sku for line in self.invoice.lines}
        return self.stored is None and len(prices) == len(products) and len(self.invoice.lines) <= CHECKOUT_LINES


@dataclass(frozen=True, slots=True)
class ReturnJob:
    """An order, and the returns from it that are still to be booked, in the order of the file."""

    order: StoredInvoice
    pending: tuple[CreditReturn, ...]


async def read_back(api: ApiClient, numbers: Collection[str]) -> dict[str, StoredInvoice]:
    """The stored invoices by number. Other bills and orders of the shop are ignored."""
    invoices: dict[str, StoredInvoice] = {}
    orders = api.pages("/orders", ORDERS_PER_PAGE, expand="order_details,bill")
    async for order in orders:
        if order["bill"]["bill_number"] in numbers:
            invoices[order["bill"]["bill_number"]] = _stored_order(order)
    by_bill = {invoice.bill_id: invoice for invoice in invoices.values()}
    async for bill in api.pages("/bills"):
        if bill["refunds_bill_id"] in by_bill:
            by_bill[bill["refunds_bill_id"]].credits.append(Decimal(bill["total"]))
        elif bill["bill_number"] in numbers and bill["bill_number"] not in invoices:
            # An interrupted run has created the bill without its order.
            invoices[bill["bill_number"]] = _stored_bill(bill)
    return invoices


def _stored_bill(bill: Row) -> StoredInvoice:
    return StoredInvoice(bill["id_key"], bill["client_id"], Decimal(bill["total"]))


def _stored_order(order: Row) -> StoredInvoice:
    invoice = _stored_bill(order["bill"])
    invoice.order_id, invoice.status = order["id_key"], order["status"]
    for row in order["order_details"]:
        line = StoredLine(row["product_id"], row["quantity"], Decimal(row["price"]))
        invoice.details.append(StoredDetail(row["id_key"], line, row["returned_quantity"]))
    return invoice


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

    Raises `Mismatch` if the stored lines of an invoice are not its first ones.
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


def plan_returns(returns: Iterable[CreditReturn], stored: Mapping[str, StoredInvoice]) -> list[ReturnJob]:
    """The returns that are not booked yet. All invoices must be complete.

    The returns from one order are booked in the order of the file, so the stored ones must be the first of them. Raises
    `Mismatch` if they are not.
    """
    by_invoice: dict[str, list[CreditReturn]] = {}
    for booked in returns:
        by_invoice.setdefault(booked.invoice, []).append(booked)
    jobs = []
    for number, order in stored.items():
        wanted = by_invoice.get(number, [])
        done = _returns_booked(wanted, order)
        if done is None:
            raise Mismatch(f"Order {order.order_id} of bill {number} has other returns than the file's credit notes")
        if wanted[done:]:
            jobs.append(ReturnJob(order, tuple(wanted[done:])))
    return jobs


def _returns_booked(wanted: Sequence[CreditReturn], order: StoredInvoice) -> int | None:
    """How many of the `wanted` returns the order has; None if it has other ones."""
    shown = Counter({position: detail.returned for position, detail in enumerate(order.details) if detail.returned})
    units: Counter[int] = Counter()
    for done, booked in enumerate(wanted):
        if units == shown:
            return done
        for line in booked.lines:
            units[line.position] += line.quantity
    return len(wanted) if units == shown else None


def units_pending(jobs: Iterable[Job]) -> Counter[str]:
    """The units of each stock code that are not sold yet."""
    units: Counter[str] = Counter()
    for job in jobs:
        for pending in job.pending:
            units[pending.line.sku] += pending.line.quantity
    return units


def stored_totals(stored: Collection[StoredInvoice]) -> Totals:
    """The totals in the API, summed over the lines and, separately, over the bills."""
    lines = [line for invoice in stored for line in invoice.lines]
    return Totals(
        orders=sum(invoice.order_id is not None for invoice in stored),
        lines=len(lines),
        units=sum(line.quantity for line in lines),
        revenue=sum((line.quantity * line.price for line in lines), Decimal("0.00")),
        billed=sum((invoice.billed for invoice in stored), Decimal("0.00")),
    )


def stored_returns(stored: Collection[StoredInvoice]) -> ReturnTotals:
    """The totals of returns in the API, summed over the lines and, separately, over the credit bills."""
    details = [detail for invoice in stored for detail in invoice.details]
    credited = [total for invoice in stored for total in invoice.credits]
    return ReturnTotals(
        returns=len(credited),
        returned=sum(detail.returned for detail in details),
        refunded=sum((detail.returned * detail.line.price for detail in details), Decimal("0.00")),
        credited=sum(credited, Decimal("0.00")),
    )
