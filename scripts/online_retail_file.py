"""What the "Online Retail" file says was sold, and what a shop must hold to sell it again.

Pure functions, no HTTP. The file (UCI Machine Learning Repository, D. Chen, 2015, CC BY 4.0) is CSV in
cp1252, plain or gzipped, one sold line each. A line is one of three kinds:

- `InvoiceNo` starts with "C": part of a credit note;
- otherwise with a quantity and a price above 0: a sale;
- anything else: an adjustment of the stock or a write-off.

Only sales are imported; the others are counted.
"""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

ENCODING = "cp1252"
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "UnitPrice", "CustomerID", "Country")
GZIP_MAGIC = b"\x1f\x8b"
CREDIT_NOTE = "C"
CENT_DIGITS = 2


class SalesFileError(ValueError):
    """The file cannot be read as sales; the text is one line that names the place in it."""


class SaleLine(NamedTuple):
    """`quantity` units of the product `sku`, each sold at `price`."""

    sku: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    """One sale. `customer_id` is empty for a guest. The lines keep the order of the file."""

    number: str
    customer_id: str
    lines: tuple[SaleLine, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """What the shop must know of a product before its first sale; `stock` is all the file sells of it."""

    sku: str
    name: str
    category: str
    price: Decimal
    stock: int


class Totals(NamedTuple):
    """What both sides of a reconciliation count: `revenue` is what the lines come to, `billed` the bills."""

    orders: int
    lines: int
    units: int
    revenue: Decimal
    billed: Decimal


@dataclass(frozen=True, slots=True)
class SalesFile:
    """The sales of a file in its order, and how much of it is something else.

    `names` maps a stock code to the first description of it that is not blank, if there is any.
    """

    invoices: tuple[Invoice, ...]
    names: Mapping[str, str]
    credit_notes: int
    credit_lines: int
    adjustment_lines: int

    def products(self, invoices: Iterable[Invoice]) -> dict[str, Product]:
        """The products that `invoices` sell, by stock code, in the order of their first sale."""
        first_price: dict[str, Decimal] = {}
        units: Counter[str] = Counter()
        for line in _lines(invoices):
            first_price.setdefault(line.sku, line.price)
            units[line.sku] += line.quantity
        return {
            sku: Product(sku, self.names.get(sku, sku), sku[:2], price, units[sku])
            for sku, price in first_price.items()
        }


def totals_of(invoices: Sequence[Invoice]) -> Totals:
    """What `invoices` come to; an invoice is billed in full."""
    revenue = sum((line.quantity * line.price for line in _lines(invoices)), Decimal("0.00"))
    return Totals(
        orders=len(invoices),
        lines=sum(len(invoice.lines) for invoice in invoices),
        units=sum(line.quantity for line in _lines(invoices)),
        revenue=revenue,
        billed=revenue,
    )


def _lines(invoices: Iterable[Invoice]) -> Iterator[SaleLine]:
    return (line for invoice in invoices for line in invoice.lines)


def read_sales_file(path: Path) -> SalesFile:
    """Read the file at `path`. Raises `SalesFileError` if it is not such a file, `OSError` if it is not readable."""
    with path.open("rb") as raw:
        compressed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    try:
        with gzip.open(path, "rb") if compressed else path.open("rb") as content:
            return parse_sales(io.TextIOWrapper(content, encoding=ENCODING, newline=""))
    except (gzip.BadGzipFile, EOFError) as error:
        raise SalesFileError(f"{path} is not a whole gzip file: {error}") from None


def parse_sales(text: Iterable[str]) -> SalesFile:
    """Read the lines of the file, its header first. Raises `SalesFileError` naming the line that makes no sense."""
    reader = csv.DictReader(text, strict=True)
    collected = _Collected()
    try:
        missing = set(COLUMNS).difference(reader.fieldnames or ())
        if missing:
            raise SalesFileError(f"the header lacks {', '.join(sorted(missing))}")
        for row in reader:
            collected.add({name: (row[name] or "").strip() for name in COLUMNS})
    except (csv.Error, ValueError) as error:
        raise SalesFileError(f"line {reader.line_num}: {error}") from None
    return collected.result()


@dataclass(slots=True)
class _Collected:
    """What was read so far. The lines of an invoice need not stand together in the file."""

    customers: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[SaleLine]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    credit_notes: set[str] = field(default_factory=set)
    credit_lines: int = 0
    adjustment_lines: int = 0

    def add(self, row: Mapping[str, str]) -> None:
        if row["InvoiceNo"].startswith(CREDIT_NOTE):
            self.credit_notes.add(row["InvoiceNo"])
            self.credit_lines += 1
            return
        quantity, price = _quantity(row["Quantity"]), _price(row["UnitPrice"])
        if quantity <= 0 or price <= 0:
            self.adjustment_lines += 1
            return
        self._add_sale(row, SaleLine(row["StockCode"], quantity, _in_cents(price)))

    def _add_sale(self, row: Mapping[str, str], line: SaleLine) -> None:
        number, customer_id = row["InvoiceNo"], row["CustomerID"]
        if not number or not line.sku:
            raise SalesFileError("a sale needs an InvoiceNo and a StockCode")
        if self.customers.setdefault(number, customer_id) != customer_id:
            raise SalesFileError(f"invoice {number} has two customers")
        self.lines.setdefault(number, []).append(line)
        if row["Description"]:
            self.names.setdefault(line.sku, row["Description"])

    def result(self) -> SalesFile:
        return SalesFile(
            invoices=tuple(
                Invoice(number, self.customers[number], tuple(lines)) for number, lines in self.lines.items()
            ),
            names=self.names,
            credit_notes=len(self.credit_notes),
            credit_lines=self.credit_lines,
            adjustment_lines=self.adjustment_lines,
        )


def _quantity(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SalesFileError(f"Quantity {text!r} is not a whole number") from None


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise SalesFileError(f"UnitPrice {text!r} is not a number") from None
    if not price.is_finite():
        raise SalesFileError(f"UnitPrice {text!r} is not an amount")
    return price


def _in_cents(price: Decimal) -> Decimal:
    """The same amount with two decimals. A fraction of a cent cannot be stored without losing it, so it is refused."""
    cents = round(price, CENT_DIGITS)
    if cents != price:
        raise SalesFileError(f"UnitPrice {price} has more than {CENT_DIGITS} decimals, which the shop cannot store")
    return cents
