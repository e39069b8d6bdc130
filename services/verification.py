"""Invariants of the data, which hold after any fault, and the repair of what can have one right value only.

A verification only reads; give it a session whose transaction is one snapshot, so that every query sees the same rows
while the shop works.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from repositories.verification import EVERYTHING, Span, VerificationRepository
from services.books_invariants import OF_BOOKS
from services.invariants import Finding, Invariant
from services.repairs import Repair, other_keys, possible_repairs

INVARIANTS = (
    Invariant(
        "Stock is what was put in less what is sold, and what its ledger says, movement by movement",
        ("products", "stock movements"),
        lambda rows, limit, span: [_stock_breach(row) for row in rows.broken_stock(limit, span)],
        walked=("products",),
    ),
    Invariant(
        "Totals of orders and bills are the sums of their details and the shipping, and no detail has lost its order",
        ("orders with details", "order details"),
        lambda rows, limit, span: [
            *(_total_breach(row) for row in rows.broken_totals(limit, span)),
            *(_shipping_breach(row) for row in rows.books.broken_shipping(limit, *span)),
            *(f"order detail {row.id_key}: there is no order {row.order_id}" for row in rows.lost_details(limit, span)),
        ],
        walked=("orders", "order_details"),
    ),
    Invariant(
        "Numbers given to bills are unique and without a gap, per kind and year, up to the counter",
        ("numbered bills",),
        lambda rows, limit, span: [_number_breach(row) for row in rows.broken_numbers(limit)],
    ),
    Invariant(
        "Every kept answer of a checkout has its order, and no order has two keys",
        ("keys of checkouts",),
        lambda rows, limit, span: [_key_breach(row) for row in rows.broken_keys(limit)],
    ),
    Invariant(
        "No connection of the shop is idle in a transaction",
        ("connections",),
        lambda rows, limit, span: [
            f"connection {row.pid} ({row.application_name}): idle in a transaction for {row.seconds:.0f} s"
            for row in rows.idle_transactions(limit)
        ],
        lasting=False,
    ),
    Invariant(
        "E-mail addresses are compared by the keys that the shop makes of them",
        ("clients",),
        lambda rows, limit, span: [
            f"client {row.id_key}: the key of {row.email!r} is {row.email_key!r} instead of {key!r}"
            for row, key in other_keys(rows)
        ],
    ),
    Invariant(
        "The newest price in the history of a product is its price",
        ("products",),
        lambda rows, limit, span: [
            f"product {row.id_key}: price {row.price}, but its history says {row.written}"
            for row in rows.broken_prices(limit, span)
        ],
        walked=("products",),
    ),
    Invariant(
        "Every order has one event about its creation, unless it is older than the events that are kept",
        ("orders", "events"),
        lambda rows, limit, span: [
            f"order {row.id_key}: {row.events} events about its creation" for row in rows.badly_told_orders(limit, span)
        ],
        walked=("orders",),
    ),
    Invariant(
        "No event waits for its place in the order of reading while later ones have theirs",
        ("events",),
        lambda rows, limit, span: [
            f"event {row.id} ({row.type}): without a sequence for {row.seconds:.0f} s"
            for row in rows.late_events(limit)
        ],
    ),
    *OF_BOOKS,
    Invariant(
        "Products say how many reviews they have, and their average",
        ("products", "reviews"),
        lambda rows, limit, span: [
            f"product {row.id_key}: {row.review_count} reviews with an average of {row.rating_average}, but there are "
            f"{row.reviews} with {row.average}"
            for row in rows.broken_ratings(limit, span)
        ],
        walked=("products",),
    ),
)


class VerificationService:
    """Checks the invariants in one session."""

    def __init__(self, session: Session) -> None:
        self.repository = VerificationRepository(session)

    def findings(self) -> list[Finding]:
        """The results for all invariants."""
        return [invariant.finding(self.repository) for invariant in INVARIANTS]

    def next_span(self, invariant: Invariant, after: int, rows: int) -> Span | None:
        """The keys behind `after` that no more rows of the walked tables have; None where there are no further rows."""
        return self.repository.next_span(invariant.walked, after, rows)

    def breaches(self, invariant: Invariant, limit: int, span: Span = EVERYTHING) -> list[str]:
        """A line for each row among these keys that breaks the invariant."""
        return invariant.find(self.repository, limit, span)

    def repairs(self) -> list[Repair]:
        """All that can be repaired: totals from details, stock from its ledger, keys of e-mail addresses."""
        return possible_repairs(self.repository)


def _stock_breach(row: Any) -> str:
    reasons = []
    if row.stock < 0:
        reasons.append("it is below zero")
    if row.stock != row.ledger:
        reasons.append(f"its ledger says {row.ledger}")
    if row.lowest < 0:
        reasons.append(f"its ledger falls to {row.lowest} on the way")
    if row.put_in != row.stock + row.sold:
        reasons.append(f"{row.put_in} put in less {row.sold} sold are {row.put_in - row.sold}")
    return f"product {row.id_key}: stock {row.stock}, but {'; '.join(reasons)}"


def _total_breach(row: Any) -> str:
    reasons = []
    if row.total != row.details:
        reasons.append(f"total {row.total}, but its details sum up to {row.details}")
    if row.bill_total != row.to_pay:
        reasons.append(f"bill {row.bill_id} has total {row.bill_total}, but {_money(row.to_pay)} is to be paid")
    if row.bill_shipping != row.shipping:
        reasons.append(
            f"bill {row.bill_id} has shipping {row.bill_shipping}, but by its rate it is {_money(row.shipping)}"
        )
    return f"order {row.id_key}: {'; '.join(reasons)}"


def _shipping_breach(row: Any) -> str:
    too_much = row.credited > row.shipping
    reason = f"of which {row.credited} was given back" if too_much else "but the order has no lines"
    return f"order {row.id_key}: bill {row.bill_id} has shipping {row.shipping}, {reason}"


def _number_breach(row: Any) -> str:
    reasons = []
    if row.bills and row.highest - row.lowest + 1 != row.bills:
        reasons.append(f"{row.bills} bills numbered {row.lowest} to {row.highest}")
    if row.missing is not None:
        reasons.append(f"number {row.missing} is missing")
    if row.strangers:
        reasons.append(f"{row.strangers} of them are bills of another kind")
    if row.last_number != row.highest:
        reasons.append(f"the counter stands at {row.last_number}, the highest number is {row.highest}")
    return f"{row.kind} bills of {row.year}: {'; '.join(reasons)}"


def _key_breach(row: Any) -> str:
    reason = f"order {row.order_id} never was" if row.lost else f"order {row.order_id} has {row.keys} keys"
    return f"key {row.key!r}: {reason}"


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"
