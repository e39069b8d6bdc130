"""A small file with the untidiness of the real one, different in every call so that tests can share a shop."""

import csv
import gzip
import io
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from scripts.online_retail_file import COLUMNS, ENCODING, Invoice, SaleLine

PRODUCTS = 12
PRICES = ("2.55", "2.10", "3.39", "0.42", "13541.33")


@dataclass(frozen=True)
class Sample:
    """The file at `path` and the sales it must be read as."""

    path: Path
    invoices: tuple[Invoice, ...]


def write_sample(folder: Path, invoices: int = 40) -> Sample:
    """Write a gzipped file of `invoices` sales, between them a credit note of two lines and an adjustment.

    Every product is sold by many invoices at changing prices, in some at two prices in one invoice; two stock
    codes differ by case only; every third invoice is a guest's.
    """
    tag = uuid.uuid4().hex[:10].upper()
    codes = [f"{10 + number % 3}{tag}{number}B" for number in range(PRODUCTS - 1)]
    codes.append(codes[0].lower())
    expected = tuple(_invoice(number, tag, codes) for number in range(invoices))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for invoice in expected:
        for line in invoice.lines:
            name = f" Gift voucher £{line.sku} " if line.sku != codes[1] else " "
            _write(writer, invoice.number, line.sku, name, line.quantity, f"{line.price:f}", invoice.customer_id)
    for _ in range(2):
        _write(writer, f"C{tag}", codes[0], "Discount", -1, "9.99", f"{tag}0")
    _write(writer, f"{tag}-adjusted", codes[0], "", 5, "0.0", "")
    path = folder / f"{tag}.csv.gz"
    path.write_bytes(gzip.compress(text.getvalue().encode(ENCODING)))
    return Sample(path, expected)


def _invoice(number: int, tag: str, codes: list[str]) -> Invoice:
    lines = []
    for place in range(3 + number % 9):
        product = (number + place * place) % len(codes)
        price = Decimal(PRICES[(product + number // 2 + place // 5) % len(PRICES)])
        lines.append(SaleLine(codes[product], 1 + (number * place) % 7, price))
    customer = "" if number % 3 == 2 else f"{tag}{number % 5}"
    return Invoice(f"{tag}-{number}", customer, tuple(lines))


def _write(writer: "csv.Writer", number: str, sku: str, name: str, quantity: int, price: str, customer: str) -> None:
    writer.writerow([number, sku, name, quantity, price, customer, "United Kingdom"])
