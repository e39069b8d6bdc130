"""Matching of credit notes with sales: which of their lines are returns, and of which sale.

Pure functions, no HTTP. A line of a credit note is a return when the same client bought the same product at the same
price earlier in the file, and enough of it is not returned yet. The latest of these sales comes first; one line may be
spread over several. All other lines of credit notes (discounts, fees, corrections, goods sold before the file begins)
match nothing, and have a reason.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from scripts.online_retail_file import CreditLine, CreditNote, Invoice, SalesFile


class Reason(StrEnum):
    """Why a line of a credit note is no return, as shown in the report."""

    NO_UNITS = "of no units or no price"
    GUEST = "of guests, who cannot be told apart"
    NOT_SOLD = "of products not sold to the client before"
    OTHER_PRICE = "at another price than the sale's"
    TOO_MANY = "of more units than are left of the sales"


class ReturnedLine(NamedTuple):
    """`quantity` returned units of the line at `position` of an invoice, at the `price` they were sold for."""

    position: int
    quantity: int
    price: Decimal


@dataclass(slots=True)
class CreditReturn:
    """The return of one credit note from one invoice; the shop makes one credit bill of it."""

    note: str
    invoice: str
    lines: list[ReturnedLine] = field(default_factory=list)


class ReturnTotals(NamedTuple):
    """The totals of the returns, for the file and for the API.

    `refunded` is the price of the returned units, `credited` the sum of the credit bills.
    """

    returns: int
    returned: int
    refunded: Decimal
    credited: Decimal


@dataclass(slots=True)
class Matching:
    """The result for all lines of the credit notes: `returns` in the order of the file, the others with their reasons."""

    returns: list[CreditReturn] = field(default_factory=list)
    matched_lines: int = 0
    unmatched: list[tuple[CreditLine, Reason]] = field(default_factory=list)

    def totals(self) -> ReturnTotals:
        lines = [line for booked in self.returns for line in booked.lines]
        amount = sum((line.quantity * line.price for line in lines), Decimal("0.00"))
        return ReturnTotals(len(self.returns), sum(line.quantity for line in lines), amount, amount)


@dataclass(slots=True)
class _SoldLine:
    """A line of an invoice, with `left` units that have not been returned."""

    invoice: str
    position: int
    price: Decimal
    left: int


def match_credit_notes(sales: SalesFile, invoices: Iterable[Invoice]) -> Matching:
    """Match the credit notes before the first sale of the file that is not in `invoices`.

    `invoices` are the first ones of the file. With more of them, the first matches are the same.
    """
    imported = {invoice.number: invoice for invoice in invoices}
    sold: defaultdict[tuple[str, str], list[_SoldLine]] = defaultdict(list)
    matching = Matching()
    read = 0
    for note in sales.credit_notes:
        for place in sales.places[read : note.sales_before]:
            if place.invoice not in imported:
                return matching
            invoice = imported[place.invoice]
            line = invoice.lines[place.position]
            sold[invoice.customer_id, line.sku].append(_SoldLine(*place, line.price, line.quantity))
        read = note.sales_before
        _match_note(note, sold, matching)
    return matching


def _match_note(note: CreditNote, sold: defaultdict[tuple[str, str], list[_SoldLine]], matching: Matching) -> None:
    by_invoice: dict[str, CreditReturn] = {}
    for line in note.lines:
        candidates = sold[note.customer_id, line.sku] if note.customer_id else []
        reason = _reason_against(note, line, candidates)
        if reason is not None:
            matching.unmatched.append((line, reason))
            continue
        matching.matched_lines += 1
        for sale, quantity in _taken_back(line, candidates):
            booked = by_invoice.setdefault(sale.invoice, CreditReturn(note.number, sale.invoice))
            booked.lines.append(ReturnedLine(sale.position, quantity, sale.price))
    matching.returns.extend(by_invoice.values())


def _reason_against(note: CreditNote, line: CreditLine, candidates: Sequence[_SoldLine]) -> Reason | None:
    if line.quantity <= 0 or line.price <= 0:
        return Reason.NO_UNITS
    if not note.customer_id:
        return Reason.GUEST
    if not candidates:
        return Reason.NOT_SOLD
    left = [sale.left for sale in candidates if sale.price == line.price]
    if not left:
        return Reason.OTHER_PRICE
    return Reason.TOO_MANY if sum(left) < line.quantity else None


def _taken_back(line: CreditLine, candidates: Sequence[_SoldLine]) -> list[tuple[_SoldLine, int]]:
    """The sales that `line` returns, the latest first, each with its number of units."""
    taken = []
    wanted = line.quantity
    for sale in reversed(candidates):
        units = min(wanted, sale.left) if sale.price == line.price else 0
        if units:
            sale.left -= units
            wanted -= units
            taken.append((sale, units))
    return taken
