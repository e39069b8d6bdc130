"""The fields of every resource: what they take, what they refuse, and what comes back."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text_key import is_blank
from tests.builders import (
    BUILDERS,
    Builder,
    Row,
    a_bill,
    a_category,
    a_client,
    a_product,
    a_review,
    an_address,
    an_order,
    unique,
)
from tests.contract.answers import assert_malformed, assert_problem, exact

pytestmark = pytest.mark.integration

many = settings(max_examples=30, deadline=None)

WHITE = " \t\r\n\u00a0\u2003"
TEXTS = [
    (a_client, "name", 1, 100),
    (a_client, "lastname", 1, 100),
    (an_address, "street", 1, 200),
    (an_address, "number", 0, 20),
    (an_address, "city", 1, 100),
    (a_category, "name", 1, 100),
    (a_product, "name", 1, 200),
    (a_product, "sku", 0, 64),
    (a_product, "description", 0, 5000),
    (a_review, "comment", 0, 2000),
    (a_bill, "bill_number", 1, 50),
]
every_text = pytest.mark.parametrize(
    ("resource", "name", "shortest", "longest"), TEXTS, ids=[f"{text[0].path}-{text[1]}" for text in TEXTS]
)
MONEY = [(a_product, "price"), (a_bill, "total"), (a_bill, "discount"), (an_order, "total")]
every_amount = pytest.mark.parametrize(("resource", "name"), MONEY, ids=[f"{r.path}-{name}" for r, name in MONEY])


@pytest.fixture(scope="module")
def urls(client: httpx.Client) -> dict[str, str]:
    """The URL of one row of each resource, which any test may change."""
    return {path: f"{path}/{make(client)['id_key']}" for path, make in BUILDERS.items()}


def put_literal(client: httpx.Client, url: str, name: str, literal: str) -> httpx.Response:
    """Change the field to this JSON literal, to the letter."""
    body = f'{{"{name}": {literal}}}'
    return client.put(url, content=body.encode(), headers={"Content-Type": "application/json"})


class TestText:
    @every_text
    def test_has_bounds_in_characters(
        self, client: httpx.Client, urls: dict[str, str], resource: Builder, name: str, shortest: int, longest: int
    ) -> None:
        url = urls[resource.path]
        # Beyond the basic plane a character is two UTF-16 units and four bytes; it counts as one all the same.
        for filler in "x\U0001f4a1":
            text = unique("").strip().rjust(longest, filler)
            response = client.put(url, json={name: f"  {text}\n"})
            assert response.status_code == 200, response.text
            assert response.json()[name] == text
            assert_malformed(client.put(url, json={name: f"{text}y"}), "body", name)

    @every_text
    def test_is_not_blank_where_required(
        self, client: httpx.Client, urls: dict[str, str], resource: Builder, name: str, shortest: int, longest: int
    ) -> None:
        for blank in ("", " ", "\t\r\n ", "\u200b", "\u2800\u3164"):
            response = client.put(urls[resource.path], json={name: blank})
            if shortest:
                assert_malformed(response, "body", name)
            else:
                assert response.status_code == 200
                assert response.json()[name] is None
                assert resource(client, **{name: blank})[name] is None

    @every_text
    def test_is_a_text_without_nul(
        self, client: httpx.Client, urls: dict[str, str], resource: Builder, name: str, shortest: int, longest: int
    ) -> None:
        for value in ("a\0b", "\0", "a\0", 7, 7.5, True, ["a"], {"a": "b"}):
            assert_malformed(client.put(urls[resource.path], json={name: value}), "body", name)

    @many
    @given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=100), white=st.text(WHITE, max_size=3))
    def test_comes_back_as_it_was_sent_but_trimmed(
        self, client: httpx.Client, urls: dict[str, str], text: str, white: str
    ) -> None:
        response = client.put(urls["/reviews"], json={"comment": f"{white}{text}{white}"})
        shown = None if is_blank(text) else text.strip()
        assert response.json()["comment"] == shown
        assert client.get(urls["/reviews"]).json()["comment"] == shown


class TestMoney:
    @every_amount
    def test_is_a_number_with_all_its_digits(
        self, client: httpx.Client, urls: dict[str, str], resource: Builder, name: str
    ) -> None:
        for literal in ("0.01", "0.10", "1", "2e2", "999.99", "9999999999.99"):
            response = put_literal(client, urls[resource.path], name, literal)
            assert response.status_code == 200, response.text
            assert exact(response)[name] == Decimal(literal)
            assert exact(client.get(urls[resource.path]))[name] == Decimal(literal)
            assert f'"{name}":{Decimal(literal):.2f}' in response.text

    @every_amount
    def test_refuses_everything_else(
        self, client: httpx.Client, urls: dict[str, str], resource: Builder, name: str
    ) -> None:
        third_decimal = ["0.001", "9.999", "9999999999.991", "1e-400"]
        out_of_bounds = ["-0.01", "-1", "10000000000.00", "1e10", "1e400", "-1e400", "1e999999999", "9" * 5000]
        no_number = ["NaN", "Infinity", "-Infinity", '"9.99"', '""', "true", "null", "[9.99]", "{}"]
        for literal in (*third_decimal, *out_of_bounds, *no_number):
            assert_malformed(put_literal(client, urls[resource.path], name, literal), "body")

    def test_a_price_is_above_zero_and_the_rest_may_be_zero(self, client: httpx.Client, urls: dict[str, str]) -> None:
        for literal in ("0", "0.00", "-0.0"):
            assert_malformed(put_literal(client, urls["/products"], "price", literal), "body", "price")
            for path, name in (("/bills", "total"), ("/bills", "discount"), ("/orders", "total")):
                response = put_literal(client, urls[path], name, literal)
                assert f'"{name}":0.00' in response.text
                assert response.json() == client.get(urls[path]).json()
                assert response.text.strip() == client.get(urls[path]).text.strip()

    def test_zero_has_one_writing_in_every_answer(self, client: httpx.Client) -> None:
        bill = a_bill.body(client, discount=5)
        for literal in ("0", "-0", "0.00", "-0.0", "-0e3"):
            body = json.dumps({**bill, "bill_number": unique("B")}).replace('"discount": 5', f'"discount": {literal}')
            made = client.post("/bills", content=body.encode(), headers={"Content-Type": "application/json"})
            url = made.headers["Location"]
            assert '"discount":0.00' in made.text
            put_literal(client, url, "discount", "5")
            again = put_literal(client, url, "discount", literal)
            read = client.get(url)
            assert again.headers["ETag"] == read.headers["ETag"]
            assert again.content == read.content

    @many
    @given(cents=st.integers(1, 999_999_999_999))
    def test_is_never_a_binary_float_in_between(self, client: httpx.Client, urls: dict[str, str], cents: int) -> None:
        literal = f"{cents // 100}.{cents % 100:02d}"
        assert f'"total":{literal}' in put_literal(client, urls["/bills"], "total", literal).text
        listed = client.get("/bills", params={"after": int(urls["/bills"].rpartition("/")[2]) - 1, "limit": 1})
        assert f'"total":{literal}' in listed.text


class TestEmail:
    @pytest.mark.parametrize(
        "email",
        [
            "{}@example.com",
            "{}+tag@sub.example.co.uk",
            "{}_O'Neil@example.com",
            "{}@xn--bcher-kva.example",
            "J\u00fcrgen{}@example.com",
            "{}@b\u00fccher.example",
            "UPPER{}@EXAMPLE.COM",
        ],
    )
    def test_is_stored_as_given(self, client: httpx.Client, email: str) -> None:
        email = email.replace("{}", unique("a").replace(" ", "."))
        row = a_client(client, email=f" {email} ")
        assert row["email"] == email
        assert client.get(f"/clients/{row['id_key']}").json()["email"] == email

    NO_ADDRESS = ("", " ", "ada", "ada@", "@example.com", "ada@@example.com", "ada@example", f"{'a' * 250}@example.com")
    BAD_DOMAIN = (
        "ada@exam ple.com",
        "ada@.com",
        "ada@example..com",
        "ada@-example.com",
        "ada@example.com\nBcc: x@y.com",
    )
    BAD_LOCAL_PART = ("ada b@example.com", ".ada@example.com", "ada.@example.com", "a\0@example.com")
    MORE_THAN_ONE = ("Ada <ada@example.com>", "ada@example.com, bob@example.com")
    NO_TEXT = (7, None, True, ["ada@example.com"])

    @pytest.mark.parametrize("email", [*NO_ADDRESS, *BAD_DOMAIN, *BAD_LOCAL_PART, *MORE_THAN_ONE, *NO_TEXT])
    def test_is_a_valid_address(self, client: httpx.Client, email: Any) -> None:
        assert_malformed(client.post("/clients", json=a_client.body(client, email=email)), "body", "email")

    # Upper and lower case; a letter with its accent in one character or in two; the sign of Kelvin; the sharp s.
    WRITINGS = [
        ("ada{}@example.com", "ADA{}@Example.COM"),
        ("jos\u00e9{}@example.com", "jose\u0301{}@example.com"),
        ("JOS\u00c9{}@example.com", "jose\u0301{}@example.com"),
        ("kelvin{}@example.com", "\u212aelvin{}@example.com"),
        ("stra\u00dfe{}@example.com", "STRASSE{}@example.com"),
    ]

    @pytest.mark.parametrize(("one", "other"), WRITINGS)
    def test_is_unique_in_whatever_writing(self, client: httpx.Client, one: str, other: str) -> None:
        tail = unique("").strip().replace(" ", ".")
        one, other = one.replace("{}", tail), other.replace("{}", tail)
        first = a_client(client, email=one)
        message = f"Client with email '{other}' already exists"
        assert_problem(client.post("/clients", json=a_client.body(client, email=other)), 409, message)
        second = a_client(client)
        assert_problem(client.put(f"/clients/{second['id_key']}", json={"email": other}), 409, message)
        # The same person may write it in another way.
        changed = client.put(f"/clients/{first['id_key']}", json={"email": other})
        assert changed.status_code == 200
        assert changed.json()["email"] == other
        assert client.get("/clients", params={"email": one}).json() == [changed.json()]


class TestOtherTexts:
    TELEPHONES = ("1234567", "+1234567", "+442071234567", "9" * 20, "+" + "9" * 20, " +1234567 ")
    WRONG_LENGTH = ("123456", "+123456", "9" * 21)
    WRONG_START = ("0123456789", "+0123456789", "++1234567")
    WRONG_SIGNS = ("12-34-567", "+44 20 7123 4567", "phone", "1234567+", "1234567x", "1234567\n8")
    FOREIGN_DIGITS = ("\u0661234567", "1234567\u0661")

    OPTIONAL = [
        (a_client, "telephone", "+442071234567"),
        (an_address, "number", "7a"),
        (a_product, "sku", None),
        (a_product, "description", "Warm"),
        (a_product, "image", "https://example.com/a.png"),
        (a_review, "comment", "Good"),
    ]

    @pytest.mark.parametrize(("resource", "name", "value"), OPTIONAL, ids=[it[1] for it in OPTIONAL])
    def test_an_empty_one_that_is_optional_is_null(
        self, client: httpx.Client, resource: Builder, name: str, value: str | None
    ) -> None:
        for blank in ("", " ", "\t\u00a0\n", "\u200b\ufeff", "\u3164"):
            made = resource(client, **{name: blank})
            assert made[name] is None
            url = f"{resource.path}/{made['id_key']}"
            for method in ("PUT", "PATCH"):
                given = client.put(url, json={name: value or unique("S")})
                assert given.json()[name]
                response = client.request(method, url, json={name: blank})
                assert response.status_code == 200, response.text
                assert response.json()[name] is None
                assert client.get(url).json()[name] is None
        if resource in (a_client, a_product):
            bodies = [resource.body(client, **{name: blank}) for blank in ("", " ")]
            rows = client.post(f"{resource.path}/bulk", json=bodies)
            assert rows.status_code == 201, rows.text
            assert [row[name] for row in rows.json()] == [None, None]

    @pytest.mark.parametrize("telephone", TELEPHONES)
    def test_telephone(self, client: httpx.Client, telephone: str) -> None:
        assert a_client(client, telephone=telephone)["telephone"] == telephone.strip()

    @pytest.mark.parametrize("telephone", [*WRONG_LENGTH, *WRONG_START, *WRONG_SIGNS, *FOREIGN_DIGITS, 12345678, True])
    def test_no_telephone(self, client: httpx.Client, telephone: Any) -> None:
        assert_malformed(client.post("/clients", json=a_client.body(client, telephone=telephone)), "body", "telephone")

    IMAGES = (
        "https://example.com/a.png",
        "http://example.com:8080/a%20b?c=d&e=f#g",
        f"https://example.com/{'a' * 480}",
    )
    NO_URL = ("lamp.png", "/lamp.png", "https://", "http://a\0b", f"https://example.com/{'a' * 481}")
    OTHER_SCHEMES = ("javascript:alert(1)", "data:image/png;base64,AAAA", "ftp://example.com/a.png")

    @pytest.mark.parametrize("image", IMAGES)
    def test_image(self, client: httpx.Client, urls: dict[str, str], image: str) -> None:
        assert client.put(urls["/products"], json={"image": image}).json()["image"] == image

    @pytest.mark.parametrize("image", [*NO_URL, *OTHER_SCHEMES, 7, ["https://example.com"]])
    def test_no_image(self, client: httpx.Client, urls: dict[str, str], image: Any) -> None:
        assert_malformed(client.put(urls["/products"], json={"image": image}), "body", "image")


class TestNumbers:
    BOUNDS = [
        (a_product, "stock", [0, 2**31], [-1, 1.5, "1", True]),
        (a_review, "rating", [0, 5, 4.5, 0.1], [-1, -0.01, 5.01, 6, "5", True]),
        (an_order, "delivery_method", [1, 2, 3], [0, 4, -1, 1.5, "1", True]),
        (an_order, "status", [1], [0, 5, -1, 1.5, "1", "SHIPPED", True]),
        (a_bill, "payment_type", ["cash", "card"], ["", "crypto", 1, True]),
        (a_product, "active", [True, False], ["true", 1, 0]),
    ]

    @pytest.mark.parametrize(("resource", "name", "good", "bad"), BOUNDS, ids=[bound[1] for bound in BOUNDS])
    def test_bounds(self, client: httpx.Client, resource: Builder, name: str, good: list[Any], bad: list[Any]) -> None:
        for value in good:
            assert resource(client, **{name: value})[name] == value
        for value in bad:
            assert_malformed(client.post(resource.path, json=resource.body(client, **{name: value})), "body", name)

    def test_what_has_names_may_be_sent_by_name(self, client: httpx.Client) -> None:
        for name, value in (("DRIVE_THRU", 1), ("on_hand", 2), ("Home_Delivery", 3)):
            assert an_order(client, delivery_method=name)["delivery_method"] == value
        order = an_order(client, status="PENDING")
        BUILDERS["/order_details"](client, order_id=order["id_key"])
        changed = client.patch(f"/orders/{order['id_key']}", json={"status": "in_progress"})
        assert changed.json()["status"] == 2
        for name in ("CASH", "Card"):
            assert a_bill(client, payment_type=name)["payment_type"] == name.lower()

    @pytest.mark.parametrize("quantity", [1, 1_000_000])
    def test_quantity(self, client: httpx.Client, quantity: int) -> None:
        product = a_product(client, stock=1_000_000, price=1)
        detail = BUILDERS["/order_details"](client, product_id=product["id_key"], quantity=quantity)
        assert detail["quantity"] == quantity


class TestTimes:
    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            ("2026-11-16T10:00:00Z", "2026-11-16T10:00:00Z"),
            ("2026-11-16", "2026-11-16T00:00:00Z"),
            ("2026-11-16T10:00:00", "2026-11-16T10:00:00Z"),
            ("2026-11-16T10:00:00+02:00", "2026-11-16T08:00:00Z"),
            ("2026-11-16T00:30:00.123456-05:30", "2026-11-16T06:00:00.123456Z"),
            ("2024-02-29T23:59:59.5Z", "2024-02-29T23:59:59.500000Z"),
        ],
    )
    def test_of_an_order_are_utc(self, client: httpx.Client, sent: str, shown: str) -> None:
        made = an_order(client, date=sent)
        assert made["date"] == shown
        assert client.get(f"/orders/{made['id_key']}").json()["date"] == shown

    NO_TIME = ("", "yesterday", "16.11.2026", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-16T25:00:00Z")
    BAD_OFFSET = ("2026-11-16T10:00:00+99:00", "0001-01-01T00:00:00+14:00", "2026-11-16T10:00:00 Europe/London")

    @pytest.mark.parametrize("date", [*NO_TIME, *BAD_OFFSET, 1731751200, True, []])
    def test_of_an_order_are_rfc_3339(self, client: httpx.Client, urls: dict[str, str], date: Any) -> None:
        assert_malformed(client.put(urls["/orders"], json={"date": date}), "body", "date")

    def test_of_an_order_is_now_when_left_out(self, client: httpx.Client) -> None:
        row = self.without_date(client, an_order)
        assert abs(dt.datetime.fromisoformat(row["date"]) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)

    @pytest.mark.parametrize("date", ["2026-11-16", "2024-02-29", "0001-01-01", "9999-12-31"])
    def test_of_a_bill_is_a_day(self, client: httpx.Client, date: str) -> None:
        assert a_bill(client, date=date)["date"] == date

    @pytest.mark.parametrize("date", ["", "2026-02-30", "16.11.2026", "2026-11", 20261116, True])
    def test_of_a_bill_is_nothing_else(self, client: httpx.Client, date: Any) -> None:
        assert_malformed(client.post("/bills", json=a_bill.body(client, date=date)), "body", "date")

    def test_of_a_bill_is_today_when_left_out(self, client: httpx.Client) -> None:
        before = dt.datetime.now(dt.UTC).date()
        row = self.without_date(client, a_bill)
        assert before <= dt.date.fromisoformat(row["date"]) <= dt.datetime.now(dt.UTC).date()

    def without_date(self, client: httpx.Client, resource: Builder) -> Row:
        body = resource.body(client)
        del body["date"]
        row: Row = client.post(resource.path, json=body).json()
        return row


class TestDefaults:
    def test_of_a_product(self, client: httpx.Client) -> None:
        row = self.least(client, a_product)
        assert (row["stock"], row["active"], row["sku"], row["image"]) == (0, True, None, None)

    def test_of_a_bill(self, client: httpx.Client) -> None:
        row = self.least(client, a_bill)
        assert (row["discount"], row["kind"], row["refunds_bill_id"], row["client_id"]) == (0, "sale", None, None)

    def test_of_an_order(self, client: httpx.Client) -> None:
        row = self.least(client, an_order)
        assert (row["total"], row["status"], row["returned_total"], row["address_id"]) == (0, 1, 0, None)

    def least(self, client: httpx.Client, resource: Builder) -> Row:
        body = resource.body(client)
        row: Row = client.post(resource.path, json={name: body[name] for name in resource.required}).json()
        return row
