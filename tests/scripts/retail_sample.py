"""A small file with the untidiness of the real one, different in every call so that tests can share a shop."""

import csv
import gzip
import io
import uuid
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from scripts.online_retail_file import COLUMNS, ENCODING, Invoice, SaleLine

# As the file names them, with their codes.
COUNTRIES = {"United Kingdom": "GB", "EIRE": "IE", "Channel Islands": "JE", "Unspecified": None}
PRODUCTS = 12
PRICES = ("2.55", "2.10", "3.39", "0.42", "13541.33")


@dataclass(frozen=True)
class Sample:
    """The file at `path`, the sales it must be read as, and the units given back by invoice number and position."""

    path: Path
    invoices: tuple[Invoice, ...]
    returned: Counter[tuple[str, int]]

    @property
    def refunded(self) -> Decimal:
        lines = {(invoice.number, place): line for invoice in self.invoices for place, line in enumerate(invoice.lines)}
        return sum((lines[key].price * units for key, units in self.returned.items()), Decimal("0.00"))


def write_sample(folder: Path, invoices: int = 40) -> Sample:
    """Write a gzipped file of `invoices` sales, three credit notes and an adjustment.

    Every product is sold by many invoices at changing prices, in some at two prices in one invoice; one client buys from several countries; one stock
    code is written in two ways; every third invoice is a guest's. The first credit note stands behind the second
    invoice and gives back a part of it, the second gives nothing back, the last a part of the last sale to a
    client who is known.
    """
    # The first digit keeps the tag from beginning as a credit note does.
    tag = f"5{uuid.uuid4().hex[:10].upper()}"
    codes = [f"{10 + number % 3}{tag}{number}B" for number in range(PRODUCTS)]
    expected = tuple(_invoice(number, tag, codes) for number in range(invoices))
    first = next(invoice for invoice in expected if any(line.sku == codes[0] for line in invoice.lines))
    rows = [
        [
            _row(
                invoice.number,
                # Written in capitals at first, and later not.
                line._replace(sku=line.sku.lower()) if line.sku == codes[0] and invoice != first else line,
                "" if line.sku == codes[1] else f"Gift voucher £{line.sku}",
                invoice.customer_id,
                next(name for name, code in COUNTRIES.items() if code == invoice.country),
            )
            for line in invoice.lines
        ]
        for invoice in expected
    ]
    early, late = expected[1], [invoice for invoice in expected if invoice.customer_id][-1]
    last = len(early.lines) - 1
    rows.insert(2, [_credit(f"C{tag}-1", early, 0), _credit(f"C{tag}-1", early, last)])
    discount = _row(f"C{tag}-2", SaleLine("D", -1, Decimal("9.99")), "Discount", f"{tag}0")
    other_price = _row(f"C{tag}-2", SaleLine(codes[0], -1, Decimal("9.99")), "Too dear", f"{tag}0")
    adjustment = _row(f"{tag}-adjusted", SaleLine(codes[0], 5, Decimal("0.0")), "", "")
    rows.append([discount, other_price, adjustment, _credit(f"C{tag}-3", late, len(late.lines) - 1)])
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *(row for block in rows for row in block)])
    path = folder / f"{tag}.csv.gz"
    path.write_bytes(gzip.compress(text.getvalue().encode(ENCODING)))
    returned = Counter([(early.number, 0), (early.number, last), (late.number, len(late.lines) - 1)])
    return Sample(path, expected, returned)


def _credit(note: str, invoice: Invoice, position: int) -> tuple[str, ...]:
    """One unit of a line given back."""
    return _row(note, invoice.lines[position]._replace(quantity=-1), "Given back", invoice.customer_id)


def _invoice(number: int, tag: str, codes: list[str]) -> Invoice:
    lines = []
    for place in range(3 + number % 9):
        product = (number + place * place) % len(codes)
        price = Decimal(PRICES[(product + number // 2 + place // 5) % len(PRICES)])
        lines.append(SaleLine(codes[product], 1 + (number * place) % 7, price))
    customer = "" if number % 3 == 2 else f"{tag}{number % 5}"
    return Invoice(f"{tag}-{number}", customer, tuple(lines), list(COUNTRIES.values())[number % len(COUNTRIES)])


def _row(
    number: str, line: SaleLine, description: str, customer: str, country: str = "United Kingdom"
) -> tuple[str, ...]:
    spaced = f" {description} "
    return number, line.sku, spaced, str(line.quantity), str(line.price), customer, country
