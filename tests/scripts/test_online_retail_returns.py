"""Which credit-note lines are returns: by client, product, price and what is still out, the latest sale first."""

import io
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.online_retail_file import COLUMNS, SalesFile, parse_sales
from scripts.online_retail_returns import Matching, Reason, ReturnedLine, match_credit_notes

pytestmark = pytest.mark.unit

HEADER = ",".join(COLUMNS) + "\n"


def parsed(*rows: str) -> SalesFile:
    """The file of these rows, each `number sku quantity price customer`."""
    lines = []
    for row in rows:
        number, sku, quantity, price, customer = row.split(" ")
        lines.append(f"{number},{sku},,{quantity},{price},{customer},UK\n")
    return parse_sales(io.StringIO(HEADER + "".join(lines)))


def matched(*rows: str) -> Matching:
    sales = parsed(*rows)
    return match_credit_notes(sales, sales.invoices)


def test_the_latest_sale_comes_first_and_a_line_may_be_spread() -> None:
    matching = matched("1 A 5 2.00 7", "2 B 9 2.00 7", "2 A 2 2.00 7", "C1 A -4 2.00 7", "C2 A -3 2.00 7")
    assert [(booked.note, booked.invoice, booked.lines) for booked in matching.returns] == [
        ("C1", "2", [ReturnedLine(1, 2, Decimal("2.00"))]),
        ("C1", "1", [ReturnedLine(0, 2, Decimal("2.00"))]),
        ("C2", "1", [ReturnedLine(0, 3, Decimal("2.00"))]),
    ]
    assert matching.matched_lines == 2
    assert matching.totals() == (3, 7, Decimal("14.00"), Decimal("14.00"))


def test_one_note_is_one_return_of_each_invoice() -> None:
    matching = matched("1 A 5 2.00 7", "1 B 5 3.00 7", "C1 A -1 2.00 7", "C1 B -1 3.00 7", "C1 A -1 2.00 7")
    (booked,) = matching.returns
    assert [line.position for line in booked.lines] == [0, 1, 0]


@pytest.mark.parametrize(
    ("sale", "credit", "reason"),
    [
        ("1 A 5 2.00 7", "C1 A -6 2.00 7", Reason.TOO_MANY),
        ("1 A 5 2.00 7", "C1 A -1 2.01 7", Reason.OTHER_PRICE),
        ("1 A 5 2.00 7", "C1 B -1 2.00 7", Reason.NOT_SOLD),
        ("1 A 5 2.00 7", "C1 A -1 2.00 8", Reason.NOT_SOLD),
        ("1 A 5 2.00 ", "C1 A -1 2.00 ", Reason.GUEST),
        ("1 A 5 2.00 7", "C1 A 0 2.00 7", Reason.NO_UNITS),
        ("1 A 5 2.00 7", "C1 A 3 2.00 7", Reason.NO_UNITS),
        ("1 A 5 2.00 7", "C1 A -1 0.00 7", Reason.NO_UNITS),
        ("1 A 5 2.00 7", "C1 D -1 2.00 7", Reason.NOT_SOLD),
    ],
)
def test_what_is_no_return_has_its_reason(sale: str, credit: str, reason: Reason) -> None:
    matching = matched(sale, credit)
    assert matching.returns == []
    assert [found for _, found in matching.unmatched] == [reason]


def test_a_code_is_the_same_in_whatever_writing() -> None:
    assert len(matched("1 A 5 2.00 7", "C1 a -1 2.00 7").returns) == 1


def test_goods_cannot_come_back_before_they_were_sold() -> None:
    assert matched("C1 A -1 2.00 7", "1 A 5 2.00 7").returns == []


def test_an_unmatched_line_leaves_the_units_to_others() -> None:
    matching = matched("1 A 5 2.00 7", "C1 A -6 2.00 7", "C2 A -5 2.00 7")
    assert [booked.note for booked in matching.returns] == ["C2"]


rows = st.lists(
    st.one_of(
        st.builds("{} {} {} 2.00 7".format, st.sampled_from("123"), st.sampled_from("AB"), st.integers(1, 5)),
        st.builds("C{} {} {} 2.00 7".format, st.sampled_from("123"), st.sampled_from("AB"), st.integers(-5, -1)),
    ),
    max_size=20,
)


@given(rows)
def test_never_more_comes_back_than_was_sold(given_rows: list[str]) -> None:
    sales = parsed(*given_rows)
    matching = match_credit_notes(sales, sales.invoices)
    returned: Counter[tuple[str, int]] = Counter()
    for booked in matching.returns:
        for line in booked.lines:
            returned[booked.invoice, line.position] += line.quantity
    for invoice in sales.invoices:
        for position, sold in enumerate(invoice.lines):
            assert returned.pop((invoice.number, position), 0) <= sold.quantity
    assert not returned
    assert matching.matched_lines + len(matching.unmatched) == sum(len(note.lines) for note in sales.credit_notes)


@given(rows, st.integers(0, 3))
def test_a_beginning_of_the_file_has_the_beginning_of_the_returns(given_rows: list[str], limit: int) -> None:
    sales = parsed(*given_rows)
    whole = match_credit_notes(sales, sales.invoices).returns
    beginning = match_credit_notes(sales, sales.invoices[:limit]).returns
    assert beginning == whole[: len(beginning)]
    assert {booked.invoice for booked in beginning} <= {invoice.number for invoice in sales.invoices[:limit]}
