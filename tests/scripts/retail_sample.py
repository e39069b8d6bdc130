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
    # The first digit keeps the tag from beginning as a credit note does.
    tag = f"5{uuid.uuid4().hex[:10].upper()}"
    codes = [f"{10 + number % 3}{tag}{number}B" for number in range(PRODUCTS - 1)]
    codes.append(codes[0].lower())
    expected = tuple(_invoice(number, tag, codes) for number in range(invoices))
    rows = [
        _row(invoice.number, line, "" if line.sku == codes[1] else f"Gift voucher £{line.sku}", invoice.customer_id)
        for invoice in expected
        for line in invoice.lines
    ]
    credit = _row(f"C{tag}", SaleLine(codes[0], -1, Decimal("9.99")), "Discount", f"{tag}0")
    rows += [credit, credit, _row(f"{tag}-adjusted", SaleLine(codes[0], 5, Decimal("0.0")), "", "")]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *rows])
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


def _row(number: str, line: SaleLine, description: str, customer: str) -> tuple[str, ...]:
    spaced = f" {description} "
    return number, line.sku, spaced, str(line.quantity), str(line.price), customer, "United Kingdom"
