"""Taxes of orders, their bills and their credit bills: frozen when something is sold, and exact to the cent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from models import Bill, Order, OrderDetail, Product
from repositories.taxes import Settled, Taxes, TaxRepository

ZERO = Decimal("0.00")
_KEYS, _SUMS = ("country", "rate", "vat_category"), ("net", "tax", "gross")


@dataclass(frozen=True, slots=True)
class Returned:
    """The taxes of the credit bill of a return, and of its lines by the keys of the order's."""

    taxes: Taxes
    lines: Mapping[int, Decimal]


class TaxService:
    """Keeps the taxes of a locked order and its bill. What has changed of them must be sent to the database before."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.repository = TaxRepository(session)

    def sold_at(self, order: Order, product: Product) -> dict[str, Any]:
        """What a line keeps of how its product is taxed."""
        rate, category = self.repository.rate_of(order.id_key, product.id_key)
        return {"tax_rate": rate, "vat_category": category}

    def freeze(self, order: Order) -> None:
        """Tax all of the order by where and when it is placed now."""
        self.repository.freeze(order.id_key)
        self.settle(order)

    def settle(self, order: Order) -> Settled:
        """Let lines, bill and order say what tax is in them."""
        settled = self.repository.settle(order.id_key)
        if settled.bill:
            self.session.refresh(order)
            bill = self.session.get(Bill, order.bill_id)
            if bill is not None:
                self.session.refresh(bill)
        return settled

    def of_return(self, order: Order, sale: Bill, returned: Iterable[int], shipping: Decimal) -> Returned:
        """What is given back now: of all that came back so far, less what was credited before.

        `returned` are the keys of the lines of the return, with which so much of the shipping is given back.
        """
        taxes, lines = self.repository.returned(order.id_key, shipping)
        before = self.repository.credited_lines(order.id_key)
        for credited in self.repository.credited(sale.id_key):
            taxes = less(taxes, credited)
        return Returned(taxes, {key: max(ZERO, lines[key] - before.get(key, ZERO)) for key in returned})

    def of_rest(self, sale: Bill) -> Taxes:
        """What the credit bills of a bill leave of its taxes."""
        rest: Taxes = sale.taxes
        for credited in self.repository.credited(sale.id_key):
            rest = less(rest, credited)
        return rest


def refresh_if(session: Session, row: OrderDetail, settled: Settled) -> None:
    """Read the line anew, if its tax was written."""
    if row.id_key in settled.lines:
        session.refresh(row)


def tax_of(taxes: Taxes) -> Decimal:
    """The sum of the taxes."""
    return sum((part["tax"] for part in taxes), ZERO)


def less(taxes: Taxes, others: Taxes) -> Taxes:
    """Taxes without those others, of which nothing is left out. A rounded cent of another rate may be below zero."""
    left = {tuple(part[name] for name in _KEYS): dict(part) for part in taxes}
    for part in others:
        key = tuple(part[name] for name in _KEYS)
        found = left.setdefault(key, {**part, **dict.fromkeys(_SUMS, ZERO)})
        for name in _SUMS:
            found[name] -= part[name]
    return [part for part in left.values() if any(part[name] for name in _SUMS)]
