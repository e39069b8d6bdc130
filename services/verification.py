"""Invariants of the data, which hold after any fault, and the repair of what can have one right value only.

A verification only reads; give it a session whose transaction is one snapshot, so that every query sees the same rows
while the shop works.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from repositories.verification import EVERYTHING, Span, VerificationRepository
from services.repairs import Repair, other_keys, possible_repairs

SHOWN_BREACHES = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one invariant: how many rows of each kind were checked, and which of them break it.

    `breaches` holds at most `SHOWN_BREACHES` lines; `more` says whether there are others. `older` are lines, as many, about
    rows that are older than the invariant.
    """

    invariant: str
    checked: dict[str, int]
    breaches: tuple[str, ...]
    more: bool
    older: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invariant:
    """What always holds. `find` gives a line for each row that breaks it, up to a limit, among the keys of a span.

    The keys are those of the tables `walked`; without any the span means nothing. `checked` are the names of what is looked
    at. What is not `lasting` may be so for a moment without a fault. `find_older` gives lines for rows that are older than the
    invariant, which do not break it.
    """

    text: str
    checked: tuple[str, ...]
    find: Callable[[VerificationRepository, int, Span], list[str]]
    walked: tuple[str, ...] = ()
    lasting: bool = True
    find_older: Callable[[VerificationRepository, int], list[str]] = lambda rows, limit: []

    def finding(self, rows: VerificationRepository) -> Finding:
        """The result for all rows."""
        breaches = self.find(rows, SHOWN_BREACHES + 1, EVERYTHING)
        checked = {name: rows.count(name) for name in self.checked}
        older = self.find_older(rows, SHOWN_BREACHES)
        return Finding(
            self.text, checked, tuple(breaches[:SHOWN_BREACHES]), len(breaches) > SHOWN_BREACHES, tuple(older)
        )


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
    Invariant(
        "The lines of every return sum up to its credit bill, and are among what came back of its order",
        ("returns",),
        lambda rows, limit, span: [
            *(_return_breach(row) for row in rows.books.broken_returns(limit, *span)),
            *(
                f"order detail {row.id_key}: {row.quantity} came back by its returns, {row.returned_quantity} by itself"
                for row in rows.books.broken_returned_details(limit, *span)
            ),
        ],
        walked=("returns", "order_details"),
    ),
    Invariant(
        "Reports say of every day what its bills add up to, unless these have just changed",
        ("bills",),
        lambda rows, limit, span: [
            f"{row.day}, by {row.dimension}: reports say {row.kept}, but the bills add up to {row.billed}"
            for row in rows.books.broken_days(limit)
        ],
    ),
    Invariant(
        "No bill is refunded beyond its total, and that of a canceled order is refunded as a whole",
        ("credit bills", "canceled orders"),
        lambda rows, limit, span: [
            *(_refund_breach(row) for row in rows.books.broken_refunds(limit, *span)),
            *(_unanswered(row) for row in rows.books.unanswered_cancellations(limit, *span, older=False)),
        ],
        walked=("bills", "orders"),
        find_older=lambda rows, limit: [
            _unanswered(row) for row in rows.books.unanswered_cancellations(limit, older=True)
        ],
    ),
    Invariant(
        "An order, its bill and its credit bills have one client",
        ("orders",),
        lambda rows, limit, span: [
            f"order {row.id_key} of client {row.client_id}: bill {row.bill_id} is one of client {row.bill_client_id}"
            for row in rows.books.bills_of_others(limit, *span)
        ],
        walked=("orders",),
    ),
    Invariant(
        "Every shipped order has lines and, where it goes home to an address, its copy of it",
        ("shipped orders",),
        lambda rows, limit, span: [
            _incomplete(row) for row in rows.books.incomplete_shipped_orders(limit, *span, older=False)
        ],
        walked=("orders",),
        find_older=lambda rows, limit: [
            _incomplete(row) for row in rows.books.incomplete_shipped_orders(limit, older=True)
        ],
    ),
    Invariant(
        "Of every line no more is shipped than was ordered, by shipments of its order",
        ("shipments",),
        lambda rows, limit, span: [_shipment_breach(row) for row in rows.books.broken_shipments(limit, *span)],
        walked=("order_details",),
    ),
    Invariant(
        "Orders say what their bills say, and payments sum up to what is paid of each bill",
        ("orders", "bills"),
        lambda rows, limit, span: [
            *(_other_figures(row) for row in rows.books.other_figures(limit, *span)),
            *(
                f"bill {row.id_key}: {row.paid} is paid, but its payments sum up to {_money(row.booked)}"
                for row in rows.books.broken_payments(limit, *span)
            ),
        ],
        walked=("orders", "bills"),
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


def _other_figures(row: Any) -> str:
    of_order, of_bill = (row.to_pay, row.net), (row.total, row.bill_net)
    shown = (
        f": {row.to_pay} to pay and {row.net} net, not {row.total} and {row.bill_net}" if of_order != of_bill else ""
    )
    return f"order {row.id_key} says something else than its bill {row.bill_id}{shown}"


def _shipping_breach(row: Any) -> str:
    too_much = row.credited > row.shipping
    reason = f"of which {row.credited} was given back" if too_much else "but the order has no lines"
    return f"order {row.id_key}: bill {row.bill_id} has shipping {row.shipping}, {reason}"


def _return_breach(row: Any) -> str:
    reasons = []
    if row.amounts != row.total:
        reasons.append(f"its lines sum up to {_money(row.amounts)}, its credit bill to {row.total}")
    if row.stranger is not None:
        reasons.append(f"order detail {row.stranger} is of another order")
    return f"return {row.id_key}: {'; '.join(reasons)}"


def _shipment_breach(row: Any) -> str:
    reasons = []
    if row.shipped > row.quantity:
        reasons.append(f"{row.shipped} are shipped of {row.quantity}")
    if row.stranger is not None:
        reasons.append(f"shipment {row.stranger} is of another order")
    return f"order detail {row.id_key}: {'; '.join(reasons)}"


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


def _refund_breach(row: Any) -> str:
    reasons = []
    if row.refunded != row.credited:
        reasons.append(f"refunded {row.refunded}, but its credit bills sum up to {_money(row.credited)}")
    if row.credited > row.total:
        reasons.append(f"its credit bills sum up to {_money(row.credited)}, more than its total {row.total}")
    return f"bill {row.id_key}: {'; '.join(reasons)}"


def _unanswered(row: Any) -> str:
    return f"order {row.id_key} is canceled, but {row.refunded} of bill {row.bill_id} over {row.total} was refunded"


def _incomplete(row: Any) -> str:
    missing = f"keeps no copy of address {row.address_id}" if row.has_lines else "has no lines"
    return f"order {row.id_key} was shipped, but {missing}"


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"
