"""Invariants of the books: bills, what answers them, what was shipped and came back, and what reports say of it."""

from decimal import Decimal
from typing import Any

from services.invariants import Invariant

OF_BOOKS = (
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
    Invariant(
        "The lines that bills kept of deleted orders sum up to their totals",
        ("kept bill lines",),
        lambda rows, limit, span: [
            f"bill {row.id_key}: the lines that it kept sum up to {_money(row.amounts)}, but {row.to_pay} is to be paid"
            for row in rows.books.broken_kept_lines(limit, *span)
        ],
        walked=("bills",),
    ),
    Invariant(
        "Taxes of orders, bills and credit bills agree with their lines and totals to the cent",
        ("order details", "bills"),
        lambda rows, limit, span: [
            *(_tax_breach(row) for row in rows.books.broken_taxes(limit, *span)),
            *(_bill_tax_breach(row) for row in rows.books.broken_taxes_of_bills(limit, *span)),
        ],
        walked=("orders", "bills"),
    ),
)


def _other_figures(row: Any) -> str:
    of_order, of_bill = (row.to_pay, row.net), (row.total, row.bill_net)
    shown = (
        f": {row.to_pay} to pay and {row.net} net, not {row.total} and {row.bill_net}" if of_order != of_bill else ""
    )
    return f"order {row.id_key} says something else than its bill {row.bill_id}{shown}"


def _tax_breach(row: Any) -> str:
    line = "" if row.detail_id is None else f", and order detail {row.detail_id} has another one than its rate makes"
    return f"order {row.id_key}: a tax of {_money(row.of_lines)}, but bill {row.bill_id} has {row.tax}{line}"


def _bill_tax_breach(row: Any) -> str:
    credited = "" if row.credited is None else f"; {row.credited} of the tax was given back"
    shown = f"its rates sum up to {_money(row.gross)} with a tax of {_money(row.of_rates)}"
    return f"bill {row.id_key}: {row.total} with a tax of {row.tax}, but {shown}{credited}"


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
