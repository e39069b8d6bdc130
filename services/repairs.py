"""Repairs: rows that can have one right value only, and what sets it.

A repair decides again under the locks that the shop itself takes, and in their order.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from models.text_key import email_key
from repositories.client import ClientRepository
from repositories.order import OrderRepository
from repositories.product import ProductRepository
from repositories.verification import VerificationRepository
from schemas.field_types import MAX_MONEY
from services.bill import BillService
from services.books_errors import RefundExceedsPayment
from services.payment_errors import PaymentExceedsTotal
from services.product import ProductService
from services.taxes import TaxService


@dataclass(frozen=True, slots=True)
class Repair:
    """A row that can have one right value only. `apply` sets it, in a transaction of its own."""

    text: str
    apply: Callable[[Session], None]


def possible_repairs(rows: VerificationRepository) -> list[Repair]:
    """All that can be repaired: totals from details, stock from its ledger, keys of e-mail addresses."""
    return [
        *(_total_repair(row) for row in rows.broken_totals(None) if row.details <= MAX_MONEY),
        *(_stock_repair(row) for row in rows.broken_stock(None) if row.stock != row.ledger and row.ledger >= 0),
        *(_key_repair(row, key) for row, key in other_keys(rows)),
    ]


def other_keys(rows: VerificationRepository) -> list[tuple[Any, str]]:
    """Clients whose key is not that of their address, each with the right key."""
    keys = [(row, email_key(row.email)) for row in rows.unsure_email_keys()]
    return [(row, key) for row, key in keys if row.email_key != key]


def _total_repair(row: Any) -> Repair:
    order_id: int = row.id_key

    def apply(session: Session) -> None:
        order = OrderRepository(session).lock(order_id)
        total = VerificationRepository(session).sum_of_details(order_id)
        if order is None or total is None:
            return
        order.total = total
        session.flush()
        # What was refunded or paid beyond it is left for people to decide.
        with suppress(RefundExceedsPayment, PaymentExceedsTotal):
            BillService(session).follow(order, has_lines=True)
            TaxService(session).settle(order)

    change = f"order {order_id}: total {row.total} -> {row.details}"
    return Repair(f"{change}, bill {row.bill_id}: total {row.bill_total} -> {row.to_pay:.2f}", apply)


def _stock_repair(row: Any) -> Repair:
    product_id: int = row.id_key

    def apply(session: Session) -> None:
        product = ProductRepository(session).lock(product_id)
        if product is None:
            return
        product.stock = VerificationRepository(session).ledger_of(product_id)
        session.flush()
        # The wrong stock may be in the cache.
        ProductService(session).has_changed(product)

    return Repair(f"product {product_id}: stock {row.stock} -> {row.ledger}", apply)


def _key_repair(row: Any, key: str) -> Repair:
    client_id: int = row.id_key

    def apply(session: Session) -> None:
        clients = ClientRepository(session)
        client = clients.lock(client_id)
        # Two rows with the same address are left for people to merge.
        if client is not None and not clients.holders("email", [email_key(client.email)]):
            client.email_key = email_key(client.email)

    return Repair(f"client {client_id}: key of the e-mail address {row.email_key!r} -> {key!r}", apply)
