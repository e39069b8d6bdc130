"""Parser of the "Online Retail" file: its invoices, its credit notes, and the products that a shop needs to sell them.

Pure functions, no HTTP. The file (UCI Machine Learning Repository, D. Chen, 2015, CC BY 4.0) is CSV in
cp1252, plain or gzipped, one line of an invoice each. A line is one of three kinds:

- `InvoiceNo` starts with "C": part of a credit note;
- otherwise with a quantity and a price above 0: a sale;
- anything else: an adjustment of the stock or a write-off, which is only counted.
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

from models.text_key import text_key
from scripts.online_retail_countries import country_of

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
    """One sale. `customer_id` is empty for a guest. The lines keep the order of the file.

    `country` is the code of where it went to, None where the file does not say.
    """

    number: str
    customer_id: str
    lines: tuple[SaleLine, ...]
    country: str | None = None


class SalePlace(NamedTuple):
    """Where a sale stands: the number of its invoice, and its position among that invoice's lines from 0 on."""

    invoice: str
    position: int


class CreditLine(NamedTuple):
    """`quantity` units of `sku` that are credited at `price` each; a discount or a fee is written as one, too."""

    sku: str
    quantity: int
    price: Decimal
    description: str


@dataclass(frozen=True, slots=True)
class CreditNote:
    """One credit note. `sales_before` is the number of lines of sales before it in the file."""

    number: str
    customer_id: str
    lines: tuple[CreditLine, ...]
    sales_before: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product before its first sale; `stock` is the sum of its sales in the file."""

    sku: str
    name: str
    category: str
    price: Decimal
    stock: int


class Totals(NamedTuple):
    """The totals of the sales, for the file and for the API: `revenue` is the sum of the lines, `billed` that of the bills."""

    orders: int
    lines: int
    units: int
    revenue: Decimal
    billed: Decimal


@dataclass(frozen=True, slots=True)
class SalesFile:
    """The sales and the credit notes of a file in its order, and the number of its other lines.

    `places` are the lines of all sales as they follow each other in the file. `names` maps a stock code to the
    first description of a sale of it that is not blank, if there is any.
    """

    invoices: tuple[Invoice, ...]
    places: tuple[SalePlace, ...]
    credit_notes: tuple[CreditNote, ...]
    names: Mapping[str, str]
    adjustment_lines: int

    def products(self, invoices: Iterable[Invoice]) -> dict[str, Product]:
        """The products that `invoices` sell, by stock code, in the order of their first sale."""
        first_price: dict[str, Decimal] = {}
        units: Counter[str] = Counter()
        for line in _lines(invoices):
            first_price.setdefault(line.sku, line.price)
            units[line.sku] += line.quantity
        return {
            sku: Product(sku, self.names.get(sku, sku), sku[:2].upper(), price, units[sku])
            for sku, price in first_price.items()
        }


def totals_of(invoices: Sequence[Invoice]) -> Totals:
    """The totals of `invoices`; every invoice is billed in full."""
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
    """Read the file at `path`. Raises `SalesFileError` if it has another format, `OSError` if it is not readable."""
    with path.open("rb") as raw:
        compressed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    try:
        with gzip.open(path, "rb") if compressed else path.open("rb") as content:
            return parse_sales(io.TextIOWrapper(content, encoding=ENCODING, newline=""))
    except (gzip.BadGzipFile, EOFError) as error:
        raise SalesFileError(f"{path} is not a whole gzip file: {error}") from None


def parse_sales(text: Iterable[str]) -> SalesFile:
    """Parse the lines of the file, the header first. Raises `SalesFileError` with the number of an invalid line."""
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
    """The lines parsed so far. The lines of an invoice need not be adjacent in the file."""

    customers: dict[str, str] = field(default_factory=dict)
    countries: dict[str, str | None] = field(default_factory=dict)
    lines: dict[str, list[SaleLine]] = field(default_factory=dict)
    places: list[SalePlace] = field(default_factory=list)
    # The first spelling of each stock code: for the shop, all its spellings are one code.
    codes: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    credits: dict[str, list[CreditLine]] = field(default_factory=dict)
    sales_before: dict[str, int] = field(default_factory=dict)
    adjustment_lines: int = 0

    def add(self, row: Mapping[str, str]) -> None:
        quantity, price = _quantity(row["Quantity"]), _price(row["UnitPrice"])
        if row["InvoiceNo"].startswith(CREDIT_NOTE):
            self._add_credit(row, CreditLine(self._code(row), -quantity, price, row["Description"]))
        elif quantity > 0 and price > 0:
            self._add_sale(row, SaleLine(self._code(row), quantity, _in_cents(price)))
        else:
            self.adjustment_lines += 1

    def _code(self, row: Mapping[str, str]) -> str:
        return self.codes.setdefault(text_key(row["StockCode"]), row["StockCode"])

    def _add_sale(self, row: Mapping[str, str], line: SaleLine) -> None:
        number = row["InvoiceNo"]
        if not number or not line.sku:
            raise SalesFileError("a sale needs an InvoiceNo and a StockCode")
        self._note_customer(row)
        self.countries.setdefault(number, country_of(row["Country"]))
        lines = self.lines.setdefault(number, [])
        self.places.append(SalePlace(number, len(lines)))
        lines.append(line)
        if row["Description"]:
            self.names.setdefault(line.sku, row["Description"])

    def _add_credit(self, row: Mapping[str, str], line: CreditLine) -> None:
        number = row["InvoiceNo"]
        self._note_customer(row)
        self.credits.setdefault(number, []).append(line)
        self.sales_before.setdefault(number, len(self.places))

    def _note_customer(self, row: Mapping[str, str]) -> None:
        number, customer_id = row["InvoiceNo"], row["CustomerID"]
        if self.customers.setdefault(number, customer_id) != customer_id:
            raise SalesFileError(f"invoice {number} has two customers")

    def result(self) -> SalesFile:
        return SalesFile(
            invoices=tuple(
                Invoice(number, self.customers[number], tuple(lines), self.countries[number])
                for number, lines in self.lines.items()
            ),
            places=tuple(self.places),
            credit_notes=tuple(
                CreditNote(number, self.customers[number], tuple(lines), self.sales_before[number])
                for number, lines in self.credits.items()
            ),
            names=self.names,
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
