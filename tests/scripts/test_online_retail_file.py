"""Reading the file: nothing is lost, nothing is invented, nonsense is named."""

import csv
import io
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.online_retail_file import COLUMNS, SaleLine, SalesFileError, parse_sales, read_sales_file, totals_of
from tests.scripts.retail_sample import write_sample

pytestmark = pytest.mark.unit

Entry = tuple[str, str, str, int, Decimal]
"""InvoiceNo, StockCode, Description, Quantity, UnitPrice."""

HEADER = ",".join(COLUMNS) + "\n"

skus = st.sampled_from(["85123A", "85123a", "POST", "m", "22", "gift_0001_20"])
numbers = st.sampled_from(["536365", "536366", "536367", "A1"])
sales = st.tuples(
    numbers,
    skus,
    st.sampled_from(["", "  ", "LANTERN ", " Voucher £20"]),
    st.integers(1, 1_000_000),
    st.decimals("0.01", "9999.99", places=2),
)
credits = st.tuples(
    st.sampled_from(["C1", "C2"]), skus, st.just(""), st.integers(-9, 9), st.decimals("0", "9.99", places=2)
)
adjustments = st.one_of(
    st.tuples(numbers, skus, st.just("damaged"), st.integers(-50, 0), st.decimals("0", "9.99", places=2)),
    st.tuples(numbers, skus, st.just(""), st.integers(-50, 50), st.just(Decimal("0.0"))),
)


def as_csv(rows: list[Entry]) -> io.StringIO:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(
        [number, sku, name, quantity, price, "17850", "France"] for number, sku, name, quantity, price in rows
    )
    text.seek(0)
    return text


@given(st.lists(sales, max_size=30), st.lists(credits, max_size=5), st.lists(adjustments, max_size=5), st.randoms())
def test_every_line_is_a_sale_a_credit_or_an_adjustment(
    sold: list[Entry], credited: list[Entry], adjusted: list[Entry], random: Random
) -> None:
    rows = [*sold, *credited, *adjusted]
    random.shuffle(rows)
    parsed = parse_sales(as_csv(rows))

    totals = totals_of(parsed.invoices)
    assert totals.orders == len({row[0] for row in sold})
    assert totals.lines == len(sold)
    assert totals.units == sum(row[3] for row in sold)
    assert totals.revenue == totals.billed == sum(row[3] * row[4] for row in sold)
    assert parsed.adjustment_lines == len(adjusted)
    assert len(parsed.places) == len(set(parsed.places)) == len(sold)
    for note in parsed.credit_notes:
        assert [(line.sku.lower(), -line.quantity, line.price) for line in note.lines] == [
            (sku.lower(), quantity, price) for number, sku, _, quantity, price in rows if number == note.number
        ]
        first = next(place for place, row in enumerate(rows) if row[0] == note.number)
        assert note.sales_before == sum(row in sold for row in rows[:first])
    assert len(parsed.credit_notes) == len({row[0] for row in credited})


@given(st.lists(sales, min_size=1, max_size=30))
def test_products_hold_what_is_sold_and_start_at_the_first_price(sold: list[Entry]) -> None:
    parsed = parse_sales(as_csv(sold))
    products = parsed.products(parsed.invoices)

    units: Counter[str] = Counter()
    lines = [line for invoice in parsed.invoices for line in invoice.lines]
    for line in lines:
        units[line.sku] += line.quantity
    assert {sku: product.stock for sku, product in products.items()} == units
    for sku, product in products.items():
        assert product.price == next(line.price for line in lines if line.sku == sku)
        described = [name.strip() for _, code, name, *_ in sold if code.lower() == sku.lower() and name.strip()]
        assert product.name == (described[0] if described else sku)
        assert product.category == sku[:2].upper()
    assert len(products) == len({code.lower() for _, code, *_ in sold}), "one code in two writings is one"
    assert products.keys() <= {code for _, code, *_ in sold}


def test_the_lines_of_an_invoice_keep_the_order_of_the_file_even_if_others_stand_between() -> None:
    text = HEADER + "1,A,a,1,1.00,7,UK\n2,B,b,2,2.00,,UK\n1,B,b,3,2.50,7,UK\n"
    first, second = parse_sales(io.StringIO(text)).invoices
    assert first.lines == (SaleLine("A", 1, Decimal("1.00")), SaleLine("B", 3, Decimal("2.50")))
    assert (first.customer_id, second.customer_id) == ("7", "")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1,A,a,x,1.00,,UK", "line 2: Quantity 'x' is not a whole number"),
        ("1,A,a,1,,,UK", "line 2: UnitPrice '' is not a number"),
        ("1,A,a,1,NaN,,UK", "line 2: UnitPrice 'NaN' is not an amount"),
        ("1,A,a,1,0.001,,UK", "line 2: UnitPrice 0.001 has more than 2 decimals, which the shop cannot store"),
        ("1,,a,1,1.00,,UK", "line 2: a sale needs an InvoiceNo and a StockCode"),
        ("1,A,a,1,1.00,7,UK\n1,A,a,1,1.00,8,UK", "line 3: invoice 1 has two customers"),
        ("C1,A,a,-1,1.00,7,UK\nC1,B,b,-1,1.00,8,UK", "line 3: invoice C1 has two customers"),
        ('1,A,"a,1,1.00,,UK', "line [12]: unexpected end of data"),
    ],
)
def test_nonsense_is_named_with_its_line(row: str, complaint: str) -> None:
    with pytest.raises(SalesFileError, match=f"^{complaint}$"):
        parse_sales(io.StringIO(HEADER + row + "\n"))


def test_a_file_with_another_header_is_refused() -> None:
    with pytest.raises(SalesFileError, match="the header lacks CustomerID, UnitPrice"):
        parse_sales(io.StringIO("InvoiceNo,StockCode,Description,Quantity,Price,Country\n"))


def test_a_zipped_file_in_cp1252_is_read(tmp_path: Path) -> None:
    sample = write_sample(tmp_path)
    parsed = read_sales_file(sample.path)
    assert parsed.invoices == sample.invoices
    sku = sample.invoices[0].lines[0].sku
    assert parsed.names[sku] == f"Gift voucher £{sku}"
    assert [len(note.lines) for note in parsed.credit_notes] == [2, 2, 1]
    assert parsed.adjustment_lines == 1


def test_a_torn_zipped_file_is_refused(tmp_path: Path) -> None:
    sample = write_sample(tmp_path)
    sample.path.write_bytes(sample.path.read_bytes()[:-20])
    with pytest.raises(SalesFileError, match="not a whole gzip file"):
        read_sales_file(sample.path)


@pytest.mark.parametrize(
    ("name", "code"),
    [("EIRE", "IE"), ("Channel Islands", "JE"), ("Unspecified", None), ("", None), ("pt", "PT"), ("Atlantis", None)],
)
def test_countries_are_known_by_their_codes(name: str, code: str | None) -> None:
    rows = f"{','.join(COLUMNS)}\n1,A,Lamp,1,2.50,,{name}\n"
    (invoice,) = parse_sales(io.StringIO(rows)).invoices
    assert invoice.country == code
