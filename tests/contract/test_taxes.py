"""Taxes of orders: frozen by where and when something is sold, in the prices, and exact to the cent on every document."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import httpx
import pytest

from services.largest_remainder import spread
from tests.builders import Row, a_bill, a_category, a_client, a_product, a_tax_class, an_address, an_order
from tests.contract.test_returns import lines_of

pytestmark = pytest.mark.integration

CENT = Decimal("0.01")
KEYS, SUMS = ("country", "rate", "vat_category"), ("net", "tax", "gross")


def money(value: float) -> Decimal:
    return Decimal(str(value)).quantize(CENT)


def tax_in(amount: Decimal, rate: float) -> Decimal:
    percent = Decimal(str(rate))
    return (amount * percent / (100 + percent)).quantize(CENT, ROUND_HALF_UP)


class Till:
    """Sells things of some tax classes, and looks at what the documents say of it."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.client_id = a_client(http)["id_key"]
        self.homes = {
            country: an_address(http, client_id=self.client_id, country=country)["id_key"]
            for country in ("ES", "FR", "PT")
        }
        rates = [
            {"country": "ES", "rate": 21, "valid_from": "2020-01-01"},
            {"country": "ES", "rate": 18, "valid_from": "2010-07-01"},
            {"country": "FR", "rate": 20},
            {"country": "PT", "rate": 0, "vat_category": "E"},
        ]
        self.full = a_tax_class(http, rates=rates)["id_key"]
        reduced = [{"country": "ES", "rate": 10}, {"country": "FR", "rate": 5.5}]
        self.reduced = a_tax_class(http, rates=reduced)["id_key"]

    def product(self, price: float, tax_class: int | None, **given: Any) -> int:
        key: int = a_product(self.http, price=price, tax_class_id=tax_class, stock=1000, **given)["id_key"]
        return key

    def body(self, *lines: tuple[int, int], country: str | None = "ES", **given: Any) -> Row:
        wanted = [{"product_id": product, "quantity": quantity} for product, quantity in lines]
        address = {} if country is None else {"address_id": self.homes[country]}
        order = {"client_id": self.client_id, "delivery_method": 1, "payment_type": "card", "lines": wanted}
        return {**order, **address, **given}

    def sold(self, *lines: tuple[int, int], **given: Any) -> Row:
        """The order, which says what its quote said."""
        body = self.body(*lines, **given)
        quote = self.http.post("/checkout/quote", json=body)
        assert quote.status_code == 200, quote.text
        response = self.http.post("/checkout", json=body)
        assert response.status_code == 201, response.text
        order: Row = response.json()
        assert quote.json()["taxes"] == order["bill"]["taxes"]
        assert quote.json()["tax_included"] == order["tax_included"]
        for quoted, line in zip(quote.json()["lines"], order["order_details"], strict=True):
            assert {name: quoted[name] for name in ("tax_rate", "vat_category", "tax_included")} == {
                name: line[name] for name in ("tax_rate", "vat_category", "tax_included")
            }
        assert self.exact(order["id_key"]) == {name: order[name] for name in order}
        return order

    def exact(self, order_id: int) -> Row:
        """The order with its lines and its bill, all of which agree to the cent."""
        expand = {"expand": "order_details,bill"}
        order: Row = self.http.get(f"/orders/{order_id}", params=expand).json()
        bill, lines = order["bill"], order["order_details"]
        shown = self.http.get(f"/bills/{bill['id_key']}").json()
        assert bill == without_lines(shown)
        for line, sold in zip(shown.get("bill_lines", []), lines, strict=True):
            for name in ("tax_rate", "vat_category", "tax_included"):
                assert line[name] == sold[name]
        gross = {line["id_key"]: money(line["price"]) * line["quantity"] for line in lines}
        discount = min(money(bill["discount"]), sum(gross.values(), Decimal(0)))
        shares = spread(discount, gross) if gross else {}
        parts: defaultdict[Any, Decimal] = defaultdict(Decimal)
        for line in lines:
            amount = gross[line["id_key"]] - shares[line["id_key"]]
            assert money(line["tax_included"]) == tax_in(amount, line["tax_rate"])
            parts[line["tax_rate"], line["vat_category"], "gross"] += amount
            parts[line["tax_rate"], line["vat_category"], "tax"] += money(line["tax_included"])
        if money(order["shipping"]):
            shipping = order["shipping_tax_rate"], order["shipping_vat_category"]
            parts[*shipping, "gross"] += money(order["shipping"])
            parts[*shipping, "tax"] += tax_in(money(order["shipping"]), order["shipping_tax_rate"])
        for part in bill["taxes"] if lines else ():
            for name in ("gross", "tax"):
                assert money(part[name]) == parts[part["rate"], part["vat_category"], name]
        assert_sums(bill)
        assert order["tax_included"] == bill["tax"]
        return order

    def credits(self, bill_id: int) -> Sequence[Row]:
        found: Sequence[Row] = self.http.get("/bills", params={"refunds_bill_id": bill_id}).json()
        for credit in found:
            assert_sums(credit)
        return found


def without_lines(bill: Row) -> Row:
    return {name: value for name, value in bill.items() if name != "bill_lines"}


def assert_sums(bill: Row) -> None:
    taxes = bill["taxes"]
    assert sum((money(part["gross"]) for part in taxes), Decimal(0)) == money(bill["total"])
    assert sum((money(part["tax"]) for part in taxes), Decimal(0)) == money(bill["tax"])
    assert all(money(part["net"]) + money(part["tax"]) == money(part["gross"]) for part in taxes)


def summed(bills: Iterable[Row]) -> dict[Any, tuple[Decimal, ...]]:
    """The sums of the taxes of the bills, by rate, but for those that are nothing."""
    sums: dict[Any, list[Decimal]] = {}
    for bill in bills:
        for part in bill["taxes"]:
            found = sums.setdefault(tuple(part[name] for name in KEYS), [Decimal(0)] * len(SUMS))
            for place, name in enumerate(SUMS):
                found[place] += money(part[name])
    return {key: tuple(values) for key, values in sums.items() if any(values)}


@pytest.fixture(scope="module")
def till(traced_client: httpx.Client) -> Till:
    return Till(traced_client)


def rates(order: Row) -> list[tuple[float, str]]:
    return [(line["tax_rate"], line["vat_category"]) for line in order["order_details"]]


def test_rates_are_those_of_country_and_day(till: Till) -> None:
    lines = (till.product(12.10, till.full), 1), (till.product(11, till.reduced), 1)
    assert rates(till.sold(*lines)) == [(21, "S"), (10, "S")]
    assert rates(till.sold(*lines, country="FR")) == [(20, "S"), (5.5, "S")]
    assert rates(till.sold(*lines, country="PT")) == [(0, "E"), (0, "Z")]
    # Without an address it is the country of the shop.
    assert rates(till.sold(*lines, country=None)) == [(21, "S"), (10, "S")]
    # The day is the order's, by the clock of the shop.
    assert rates(till.sold(*lines, date="2019-12-31T23:59:59Z")) == [(18, "S"), (10, "S")]
    assert rates(till.sold(*lines, date="2020-01-01T00:00:00Z")) == [(21, "S"), (10, "S")]
    assert rates(till.sold(*lines, date="2010-06-30")) == [(0, "Z"), (10, "S")]


def test_a_bill_shows_each_rate(till: Till) -> None:
    order = till.sold((till.product(12.10, till.full), 2), (till.product(11, till.reduced), 1), discount=3.53)
    assert order["bill"]["taxes"] == [
        {"country": "ES", "rate": 21, "vat_category": "S", "net": 17.99, "tax": 3.78, "gross": 21.77},
        {"country": "ES", "rate": 10, "vat_category": "S", "net": 9, "tax": 0.9, "gross": 9.9},
    ]
    assert (order["bill"]["tax"], order["to_pay"]) == (4.68, 31.67)


def test_the_class_is_the_products_or_its_categorys_or_standard(till: Till) -> None:
    category = a_category(till.http, tax_class_id=till.reduced)["id_key"]
    own = till.product(10, till.full, category_id=category)
    inherited = till.product(10, None, category_id=category)
    assert rates(till.sold((own, 1), (inherited, 1), (till.product(10, None), 1))) == [(21, "S"), (10, "S"), (0, "Z")]
    till.http.patch("/tax_classes/1", json={"rates": [{"country": "PT", "rate": 23}]})
    order = till.sold((inherited, 1), (till.product(10, None), 1), country="PT")
    till.http.patch("/tax_classes/1", json={"rates": []})
    assert (rates(order), order["shipping_tax_rate"]) == ([(0, "Z"), (23, "S")], 23)
    assert till.exact(order["id_key"])["shipping_vat_category"] == "S"


def test_history_keeps_its_rates(till: Till) -> None:
    product = till.product(12.10, till.full)
    order = till.sold((product, 1))
    other = a_tax_class(till.http, rates=[{"country": "ES", "rate": 4}])["id_key"]
    assert till.http.patch(f"/products/{product}", json={"tax_class_id": other}).status_code == 200
    assert till.exact(order["id_key"]) == {name: order[name] for name in order}
    # What becomes of the line itself keeps its rate, too.
    detail = order["order_details"][0]["id_key"]
    changed = till.http.patch(f"/order_details/{detail}", json={"quantity": 2}).json()
    assert (changed["tax_rate"], changed["tax_included"]) == (21, 4.2)
    assert till.exact(order["id_key"])["tax_included"] == 4.2


def test_discounts_are_spread_to_the_cent(till: Till) -> None:
    goods = [(till.product(price, tax_class), quantity) for price, tax_class, quantity in (
        (0.01, till.full, 7), (19.99, till.reduced, 3), (1, None, 1), (1, till.full, 1), (1, till.reduced, 1),
    )]  # fmt: skip
    for discount in (0.01, 0.02, 1.11, 33.33, 63.03, 63.04):
        till.sold(*goods, discount=discount)


def test_classic_orders_are_taxed_alike(till: Till) -> None:
    bill = a_bill(till.http, client_id=till.client_id, discount=2.5, total=99)
    assert_sums(bill)
    given = {"client_id": till.client_id, "bill_id": bill["id_key"], "address_id": till.homes["FR"]}
    order = an_order(till.http, date="2026-01-05T10:00:00Z", **given)["id_key"]
    first, second = till.product(12, till.full), till.product(21.1, till.reduced)
    made = till.http.post("/order_details", json={"order_id": order, "product_id": first, "quantity": 1})
    assert (made.json()["tax_rate"], made.json()["tax_included"]) == (20, 1.58)
    shown = till.http.get(made.headers["Location"])
    assert (shown.json(), shown.headers["ETag"]) == (made.json(), made.headers["ETag"])
    detail = till.http.post("/order_details", json={"order_id": order, "product_id": second, "quantity": 2}).json()
    assert till.exact(order)["order_details"][1] == detail
    path = f"/order_details/{detail['id_key']}"
    changed = till.http.patch(path, json={"product_id": first})
    assert (changed.json()["tax_rate"], changed.headers["ETag"]) == (20, till.http.get(path).headers["ETag"])
    till.exact(order)
    for discount in (0, 500, 3.33):
        patched = till.http.patch(f"/bills/{bill['id_key']}", json={"discount": discount})
        assert without_lines(patched.json()) == till.exact(order)["bill"]
        assert patched.headers["ETag"] == till.http.get(f"/bills/{bill['id_key']}").headers["ETag"]
    assert till.http.delete(path).status_code == 204
    till.exact(order)
    assert till.http.delete(f"/order_details/{made.json()['id_key']}").status_code == 204
    assert till.exact(order)["bill"]["taxes"] == []


def test_another_date_or_address_freezes_anew(till: Till) -> None:
    order = till.sold((till.product(12.10, till.full), 3), (till.product(11, till.reduced), 1), discount=1)
    path = f"/orders/{order['id_key']}"
    for change, wanted in (
        ({"date": "2015-01-01T12:00:00Z"}, [(18, "S"), (10, "S")]),
        ({"address_id": till.homes["FR"]}, [(20, "S"), (5.5, "S")]),
        ({"address_id": None}, [(18, "S"), (10, "S")]),
        ({"date": "2026-01-01", "address_id": till.homes["PT"]}, [(0, "E"), (0, "Z")]),
        ({"delivery_method": 3}, [(0, "E"), (0, "Z")]),
    ):
        response = till.http.patch(path, json=change)
        assert response.status_code == 200, response.text
        shown = till.http.get(path)
        assert (response.json(), response.headers["ETag"]) == (shown.json(), shown.headers["ETag"])
        assert rates(till.exact(order["id_key"])) == wanted


def test_a_cancellation_and_a_deletion_mirror_the_bill(till: Till) -> None:
    for undo in ("cancel", "delete"):
        order = till.sold((till.product(12.10, till.full), 1), (till.product(11, till.reduced), 1), discount=0.01)
        path = f"/orders/{order['id_key']}"
        done = till.http.delete(path) if undo == "delete" else till.http.post(f"{path}/cancel")
        assert done.is_success, done.text
        (credit,) = till.credits(order["bill_id"])
        assert (credit["taxes"], credit["tax"]) == (order["bill"]["taxes"], order["bill"]["tax"])
        kept = till.http.get(f"/bills/{order['bill_id']}/lines").json()
        assert [line["tax_included"] for line in kept] == [line["tax_included"] for line in order["order_details"]]


def test_returns_end_with_what_was_sold(till: Till) -> None:
    products = [
        till.product(price, tax_class) for price, tax_class in ((1.01, till.full), (1.01, till.reduced), (1, None))
    ]
    for discount in (0, 0.01, 0.02, 1.23, 3.01):
        order = till.sold((products[0], 3), (products[1], 2), (products[2], 1), discount=discount)
        path = f"/orders/{order['id_key']}"
        assert till.http.post(f"{path}/advance").status_code == 200
        for quantities in ((1, 0, 0), (0, 1, 0), (2, 0, 0), (0, 1, 1)):
            body = {"lines": [line for line in lines_of(order, *quantities) if line["quantity"]]}
            response = till.http.post(f"{path}/returns", json=body)
            assert response.status_code == 201, response.text
            assert_sums(response.json())
        credits = till.credits(order["bill_id"])
        assert summed(credits) == summed([order["bill"]])
        assert till.exact(order["id_key"])["net"] == 0


def test_what_nobody_taxed_is_at_no_rate(till: Till) -> None:
    bill = a_bill(till.http, total=75)
    assert bill["taxes"] == [{"country": "ES", "rate": 0, "vat_category": "Z", "net": 75, "tax": 0, "gross": 75}]
    changed = till.http.patch(f"/bills/{bill['id_key']}", json={"total": 80, "taxes": [], "tax": 3}).json()
    assert_sums(changed)
    assert (changed["total"], changed["tax"]) == (80, 0)
    assert a_bill(till.http, total=0)["taxes"] == []


def bills_of(till: Till, **days: str) -> list[Row]:
    found: list[Row] = []
    while len(page := till.http.get("/bills", params={**days, "limit": 1000, "skip": len(found)}).json()):
        found += page
    return found


def reported(till: Till, first: str, last: str) -> Row:
    response = till.http.get("/reports/taxes", params={"from": first, "to": last})
    assert response.status_code == 200, response.text
    report: Row = response.json()
    return report


def test_the_report_is_what_the_bills_say(till: Till) -> None:
    lines = (till.product(12.10, till.full), 2), (till.product(11, till.reduced), 1)
    order = till.sold(*lines, date="2033-05-05", discount=0.05)
    till.sold(*lines, date="2033-05-06", country="FR")
    canceled = till.sold(*lines, date="2033-05-06")
    assert till.http.post(f"/orders/{canceled['id_key']}/cancel").status_code == 200
    first = reported(till, "2033-05-05", "2033-05-05")
    assert first["rows"] == order["bill"]["taxes"]
    for name in SUMS:
        assert money(first["totals"][name]) == sum(money(row[name]) for row in first["rows"])
    today = till.credits(canceled["bill_id"])[0]["date"]
    for days in (("2033-05-01", "2033-05-31"), (today, today)):
        found = summed([{"taxes": reported(till, *days)["rows"]}])
        bills = bills_of(till, date_from=days[0], date_to=days[1])
        sold, given_back = (summed(bill for bill in bills if bill["kind"] == kind) for kind in ("sale", "credit"))
        nothing = (Decimal(0),) * len(SUMS)
        for key in {*sold, *given_back}:
            pairs = zip(sold.get(key, nothing), given_back.get(key, nothing), strict=True)
            assert found.get(key, nothing) == tuple(one - other for one, other in pairs)
    by_product = till.http.get(
        "/reports/sales", params={"from": "2033-05-05", "to": "2033-05-05", "group": "product"}
    ).json()
    taxes = {row["key"]: row["tax"] for row in by_product["rows"]}
    assert taxes == {line["product_id"]: line["tax_included"] for line in order["order_details"]}
    csv = till.http.get(
        "/reports/taxes", params={"from": "2033-05-05", "to": "2033-05-05"}, headers={"Accept": "text/csv"}
    )
    assert csv.text.splitlines()[0] == "country,rate,vat_category,net,tax,gross"


def test_shipping_is_taxed_like_standard(till: Till) -> None:
    method = {"delivery_method": 3}
    rate = till.http.post("/shipping_rates", json={**method, "country": "FR", "price": 6.05})
    assert rate.status_code == 201, rate.text
    till.http.patch("/tax_classes/1", json={"rates": [{"country": "FR", "rate": 21}, {"country": "ES", "rate": 10}]})
    goods = till.product(11, till.reduced), 1
    order = till.sold(goods, country="FR", **method)
    assert order["bill"]["taxes"] == [
        {"country": "FR", "rate": 21, "vat_category": "S", "net": 5, "tax": 1.05, "gross": 6.05},
        {"country": "FR", "rate": 5.5, "vat_category": "S", "net": 10.43, "tax": 0.57, "gross": 11},
    ]
    path = f"/orders/{order['id_key']}"
    for change in (
        {"delivery_method": 1},
        {"delivery_method": 3},
        {"address_id": till.homes["ES"]},
        {"address_id": till.homes["FR"]},
    ):
        response = till.http.patch(path, json=change)
        assert (response.json(), response.headers["ETag"]) == (
            (shown := till.http.get(path)).json(),
            shown.headers["ETag"],
        )
        till.exact(order["id_key"])
    assert till.exact(order["id_key"])["bill"]["taxes"] == order["bill"]["taxes"]
    other = till.sold(goods, country="FR", **method)
    assert till.http.post(f"{path}/cancel").status_code == 200
    assert till.http.post(f"/orders/{other['id_key']}/advance").status_code == 200
    body = {"lines": lines_of(other, 1), "refund_shipping": True}
    assert till.http.post(f"/orders/{other['id_key']}/returns", json=body).status_code == 201
    for undone in (order, other):
        assert summed(till.credits(undone["bill_id"])) == summed([undone["bill"]])
    till.http.patch("/tax_classes/1", json={"rates": []})
    assert till.http.delete(rate.headers["Location"]).status_code == 204
