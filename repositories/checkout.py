"""Placing the orders of a group by a single statement, whose text is in `checkout_statement.py`.

It is prepared once per connection, so that it is planned once and not for every group.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from infrastructure.database.prepared import Parameters, Prepared, Row
from models.text_key import text_key
from repositories.author import NOBODY, Author
from repositories.checkout_judging import LINE_COLUMNS, ORDER_COLUMNS, Verdict
from repositories.checkout_statement import quote_text, statement_text
from repositories.idempotency_key import lock_number
from repositories.query.prepared import execute_prepared
from repositories.taxes import Taxes

_PARAMETERS = tuple(ORDER_COLUMNS) + tuple(f"line_{name}" for name in LINE_COLUMNS)
# By whether they compute taxes.
_WAITING = {
    taxed: Prepared(name, statement_text(skips_locked=False, taxed=taxed), _PARAMETERS)
    for taxed, name in ((False, "place_orders"), (True, "place_taxed_orders"))
}
_SKIPPING = {
    taxed: Prepared(name, statement_text(skips_locked=True, taxed=taxed), (*_PARAMETERS, "awaited"))
    for taxed, name in ((False, "place_free_orders"), (True, "place_free_taxed_orders"))
}
_QUOTING = Prepared("quote_order", quote_text(), _PARAMETERS)

# A row that somebody may have locked: its table, and its key.
LockedRow = tuple[str, int]


@dataclass(frozen=True, slots=True)
class NewLine:
    """So many of a product, at the price that the client expects, if it sent one."""

    product_id: int
    quantity: int
    offered: Decimal | None = None


@dataclass(frozen=True, slots=True)
class KeyToKeep:
    """The Idempotency-Key to keep the response under; `location` is the part of the order's path before its key."""

    key: str
    fingerprint: bytes
    location: str


@dataclass(frozen=True, slots=True)
class NewOrder:
    """The order of a request. `expected_total` is the amount to pay that the client expects, if it sent one."""

    lines: Sequence[NewLine]
    client_id: int
    delivery_method: int
    payment_type: str
    # Whether all of it is paid at once, in that way.
    is_paid: bool = False
    discount: Decimal = Decimal(0)
    expected_total: Decimal | None = None
    bill_number: str | None = None
    date: datetime | None = None
    address_id: int | None = None
    # Where it goes to without an address; None: to a country with no rates of its own.
    shop_country: str | None = None
    # Whether it goes to the default address of the client instead, if there is one. That one is not among the rows that the
    # order is known to lock; the client is, whose address it is.
    to_default_address: bool = False
    # For a customer, inactive products and the addresses of others do not exist.
    is_customers: bool = False
    key_to_keep: KeyToKeep | None = None
    # Who has placed it.
    author: Author = NOBODY


class PendingOrder:
    """An order as the statement takes it: the cells of its columns.

    They are made for each order by itself, so that what cannot be sent is an error of that order and not of its group.
    `key` is its Idempotency-Key, and `claims` are the texts that only one order of a group may have.
    """

    __slots__ = ("asked", "cells", "claims", "key", "lines", "product_ids")

    def __init__(self, order: NewOrder) -> None:
        self.asked = order
        self.product_ids = [line.product_id for line in order.lines]
        self.cells = [_cell(value) for value in _order_values(order)]
        self.lines = _line_cells(order)
        self.key = None if order.key_to_keep is None else order.key_to_keep.key
        number = None if order.bill_number is None else text_key(order.bill_number)
        self.claims = [(field, text) for field, text in (("key", self.key), ("number", number)) if text is not None]

    @property
    def rows(self) -> set[LockedRow]:
        """What the order locks of what is there before it."""
        return self.products | self._owners

    @property
    def products(self) -> set[LockedRow]:
        return {("products", product_id) for product_id in self.product_ids}

    @property
    def _owners(self) -> set[LockedRow]:
        client: LockedRow = ("clients", self.asked.client_id)
        return {client} if self.asked.address_id is None else {client, ("addresses", self.asked.address_id)}

    def locked_rows(self, outcome: "Outcome") -> set[LockedRow]:
        """Which of its rows others have locked, or may have: the statement does not tell a client from its address."""
        products: set[LockedRow] = {
            ("products", self.product_ids[line.number]) for line in outcome.broken_lines if line.is_locked
        }
        return products or self._owners


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """A stored order: its key, its JSON with details and bill inside, and the entity tag of that."""

    id_key: int
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that breaks a rule: its place in the order, the verdict on it, and what its product is, if there is one."""

    number: int
    verdict: Verdict
    active: bool | None
    price: Decimal | None
    stock: int | None

    @property
    def is_locked(self) -> bool:
        return self.verdict == Verdict.LOCKED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order, with what the response to it needs to say."""

    verdict: Verdict
    order: PlacedOrder | None
    # The response that is kept under its key: status, headers, body.
    kept: tuple[int, dict[str, str], bytes] | None
    # The sum of its lines, as far as there are such products.
    total: Decimal | None
    # What its delivery costs.
    shipping: Decimal
    broken_lines: list[BrokenLine]


def placing(
    orders: Sequence[PendingOrder],
    *,
    skips_locked: bool = False,
    awaited: LockedRow | None = None,
    taxed: bool = True,
) -> tuple[Prepared, Parameters]:
    """The statement that places all of these orders, or says of each why not. It returns an `outcome` for each.

    Of orders with the same claim only one may be among them. With `skips_locked` it waits for no product, client
    or address but the product `awaited`, and orders of those that somebody has locked are `LOCKED`. Where nothing is taxed,
    it may be one that is not `taxed`: orders are `TAXED` if they may be all the same.
    """
    columns = [_array(cells) for cells in zip(*(order.cells for order in orders), strict=True)]
    lines = ((str(place), *line) for place, order in enumerate(orders, 1) for line in order.lines)
    columns += [_array(cells) for cells in zip(*lines, strict=True)]
    parameters = dict(zip(_PARAMETERS, columns, strict=True))
    if skips_locked:
        return _SKIPPING[taxed], {**parameters, "awaited": str(awaited[1] if awaited else 0)}
    return _WAITING[taxed], parameters


def outcome(row: Row) -> Outcome:
    """What a row of the statement's answer says of its order."""
    verdict, order_key, body, etag, status, headers, total, shipping, lines = row
    return Outcome(
        Verdict(verdict),
        None if order_key is None else PlacedOrder(order_key, body.encode(), etag),
        None if status is None or verdict != Verdict.REPEATED else (status, headers, body.encode()),
        None if total is None else Decimal(total),
        Decimal(shipping),
        [
            BrokenLine(number, Verdict(of_line), active, None if price is None else Decimal(price), stock)
            for number, of_line, active, price, stock in lines or ()
        ],
    )


@dataclass(frozen=True, slots=True)
class QuotedLine:
    """What a line would be sold as, and how many pieces there are."""

    name: str
    sku: str | None
    price: Decimal
    stock: int
    tax_rate: Decimal
    vat_category: str
    tax_included: Decimal


@dataclass(frozen=True, slots=True)
class Quoted:
    """What would become of an order now. The lines are those of the order; all are there where it could be placed."""

    outcome: Outcome
    lines: list[QuotedLine]
    currency: str
    taxes: Taxes


class CheckoutRepository:
    """Placing orders within the transaction of a session."""

    def __init__(self, session: Session) -> None:
        self.connection = session.connection()

    def place(self, orders: Sequence[PendingOrder]) -> list[Outcome]:
        """Place the orders as the statement of `placing` does; what became of each."""
        rows = execute_prepared(self.connection, *placing(orders))
        return [outcome(tuple(row)) for row in rows]

    def quote(self, order: PendingOrder) -> Quoted:
        """What would become of the order, whatever is in stock. It locks and writes nothing."""
        row = tuple(execute_prepared(self.connection, _QUOTING, placing([order])[1]).one())
        judged, (lines, currency, taxes) = outcome(row[:-3]), row[-3:]
        if judged.verdict != Verdict.PLACED:
            return Quoted(judged, [], currency, [])
        quoted = [
            QuotedLine(name, sku, Decimal(price), stock, Decimal(rate), category, Decimal(tax))
            for name, sku, price, stock, rate, category, tax in lines
        ]
        return Quoted(judged, quoted, currency, taxes)


def _order_values(order: NewOrder) -> tuple[Any, ...]:
    """The values of `ORDER_COLUMNS`."""
    kept, author = order.key_to_keep, order.author
    return (
        order.client_id,
        order.address_id,
        order.shop_country,
        order.to_default_address,
        order.is_customers,
        order.discount,
        order.expected_total,
        order.payment_type,
        order.is_paid,
        order.delivery_method,
        order.bill_number,
        order.date,
        *((None,) * 4 if kept is None else (kept.key, lock_number(kept.key), kept.fingerprint.hex(), kept.location)),
        author.actor,
        author.request_id,
        author.trace_parent,
        *((author.action, author.address) if author.is_audited else (None, None)),
    )


def _line_cells(order: NewOrder) -> list[tuple[str, ...]]:
    """The cells of `LINE_COLUMNS` for each line, but for the place of its order."""
    is_customers = _cell(order.is_customers)
    wanted: dict[int, int] = {}
    for line in order.lines:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    return [
        (
            str(number),
            str(line.product_id),
            str(line.quantity),
            str(wanted.pop(line.product_id, 0)),
            _cell(line.offered),
            is_customers,
        )
        for number, line in enumerate(order.lines)
    ]


def _cell(value: Any) -> str:
    """The value as an element of an array in PostgreSQL's text form. Raises `ValueError` for what it cannot hold."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("PostgreSQL has no text with a NUL")
        value.encode()
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    if isinstance(value, bool):
        return "t" if value else "f"
    return format(value, "d") if isinstance(value, int) else str(value)


def _array(cells: Iterable[str]) -> str:
    return f"{{{','.join(cells)}}}"
