"""The filters of the lists: each alone, several together, their bounds, and the search by words."""

from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from tests.builders import (
    Builder,
    Row,
    a_bill,
    a_category,
    a_client,
    a_product,
    a_review,
    an_address,
    an_order,
    an_order_detail,
    unique,
)
from tests.contract.answers import assert_malformed

pytestmark = pytest.mark.integration

# What the contract lists, and a value that each filter takes.
FILTERS: dict[str, dict[str, str]] = {
    "/clients": {"email": "ada@example.com", "name": "Ada", "lastname": "Lovelace", "q": "ada"},
    "/addresses": {"client_id": "1", "city": "London", "postcode": "N1 9GU", "country": "GB"},
    "/categories": {"name": "Lighting"},
    "/products": {
        "sku": "LAMP-01",
        "category_id": "1",
        "min_price": "9.99",
        "max_price": "9.99",
        "in_stock": "true",
        "low_stock": "true",
        "stock_below": "5",
        "active": "false",
        "q": "lamp",
    },
    "/reviews": {"product_id": "1", "min_rating": "4.5"},
    "/bills": {
        "client_id": "1",
        "payment_type": "card",
        "kind": "credit",
        "refunds_bill_id": "1",
        "bill_number": "INV",
        "date_from": "2026-11-16",
        "date_to": "2026-11-16",
    },
    "/orders": {
        "client_id": "1",
        "status": "1",
        "delivery_method": "1",
        "bill_id": "1",
        "date_from": "2026-11-16T00:00:00Z",
        "date_to": "2026-11-16",
        "q": "ada lamp",
    },
    "/order_details": {
        "order_id": "1",
        "product_id": "1",
        "date_from": "2026-11-16T00:00:00Z",
        "date_to": "2026-11-16",
    },
}
EACH = [(path, name, value) for path, filters in FILTERS.items() for name, value in filters.items()]
each_filter = pytest.mark.parametrize(("path", "name", "value"), EACH, ids=[f"{path}-{name}" for path, name, _ in EACH])


def listed(client: httpx.Client, path: str, **parameters: Any) -> list[Row]:
    response = client.get(path, params={"limit": 1000, **parameters})
    assert response.status_code == 200, response.text
    rows: list[Row] = response.json()
    assert response.headers["X-Total-Count"] == str(len(rows))
    return rows


def keys(rows: Iterable[Row]) -> list[int]:
    return [row["id_key"] for row in rows]


@each_filter
def test_may_be_combined_with_every_other_and_with_paging(
    client: httpx.Client, path: str, name: str, value: str
) -> None:
    for paging in ({"skip": "0"}, {"after": "0"}, {"sort": "-id_key"}):
        assert client.get(path, params=FILTERS[path] | paging).status_code == 200


TEXT_FILTERS = ("email", "name", "lastname", "city", "postcode", "sku", "q", "bill_number")
SEVERAL = ("_id", "_key", "country", "status", "delivery_method", "payment_type", "kind")


@each_filter
def test_takes_only_values_of_its_kind(client: httpx.Client, path: str, name: str, value: str) -> None:
    for text in ["\0"] if name in TEXT_FILTERS else ["x", "1,x", "1,,2", "\0"]:
        assert_malformed(client.get(path, params={name: text}), "query", name)


@each_filter
def test_is_as_if_left_out_when_it_is_empty(client: httpx.Client, path: str, name: str, value: str) -> None:
    every = client.get(path, params={"limit": 1})
    for text in ("", " ", "\u200b"):
        response = client.get(path, params={name: text, "limit": 1})
        assert (response.status_code, response.json()) == (200, every.json())
        assert response.headers["Link"] == every.headers["Link"]


@each_filter
def test_is_never_the_last_of_several(client: httpx.Client, path: str, name: str, value: str) -> None:
    twice = client.get(path, params=[(name, value), (name, value)])
    if name.endswith(SEVERAL):
        assert twice.json() == client.get(path, params={name: value}).json()
    else:
        assert_malformed(twice, "query", name)


@pytest.mark.parametrize("name", ["skip", "limit", "after", "sort"])
def test_paging_is_never_the_last_of_several(client: httpx.Client, resource: Builder, name: str) -> None:
    value = "id_key" if name == "sort" else "1"
    assert_malformed(client.get(resource.path, params=[(name, value), (name, value)]), "query", name)


@pytest.mark.parametrize("path", FILTERS)
def test_no_other_parameter_is_a_filter(client: httpx.Client, path: str) -> None:
    for name in ("Name", "created_at", "description", "limitt", "offset", "page", "__"):
        assert_malformed(client.get(path, params={name: "1"}), "query", name)


TEXTS = [
    (a_client, "name"),
    (a_client, "lastname"),
    (an_address, "city"),
    (a_category, "name"),
    (a_product, "sku"),
    (a_bill, "bill_number"),
]


@pytest.mark.parametrize(("resource", "name"), TEXTS, ids=[f"{resource.path}-{name}" for resource, name in TEXTS])
def test_texts_are_equal_whatever_their_case(client: httpx.Client, resource: Builder, name: str) -> None:
    row = resource(client, **{name: unique("\u00c4pfel %_ O'Neil")})
    resource(client, **{name: f"{row[name]} and more"})
    for text in (row[name], row[name].lower(), row[name].upper(), f" {row[name]} "):
        assert listed(client, resource.path, **{name: text}) == [row]
    assert listed(client, resource.path, **{name: row[name][:-1]}) == []


def test_an_email_is_found_in_whatever_writing(client: httpx.Client) -> None:
    name = unique("jos\u00e9").replace(" ", ".")
    row = a_client(client, email=f"{name}@example.com")
    for text in (row["email"], row["email"].upper(), row["email"].replace("\u00e9", "e\u0301")):
        assert listed(client, "/clients", email=text) == [row]


REFERENCES = [
    (an_address, "client_id"),
    (a_product, "category_id"),
    (a_review, "product_id"),
    (a_bill, "client_id"),
    (an_order, "client_id"),
    (an_order, "bill_id"),
    (an_order_detail, "order_id"),
    (an_order_detail, "product_id"),
]


@pytest.mark.parametrize(("resource", "name"), REFERENCES, ids=[f"{r.path}-{name}" for r, name in REFERENCES])
def test_references_are_equal(client: httpx.Client, resource: Builder, name: str) -> None:
    made = {"client_id": a_client(client)["id_key"]} if resource is a_bill else {}
    row = resource(client, **made)
    resource(client)
    assert keys(listed(client, resource.path, **{name: row[name]})) == [row["id_key"]]
    for nowhere in (0, -1, 2**31, 2**63, 10**30):
        assert listed(client, resource.path, **{name: nowhere}) == []


def several(values: Iterable[Any]) -> Iterable[httpx.QueryParams]:
    """The ways of asking for several values of a parameter `x`."""
    texts = list(map(str, values))
    return (
        httpx.QueryParams([("x", text) for text in texts]),
        httpx.QueryParams({"x": ",".join(texts)}),
        httpx.QueryParams([("x", ",".join(texts[:2])), *(("x", text) for text in texts[1:])]),
    )


def named(parameters: httpx.QueryParams, name: str) -> list[tuple[str, Any]]:
    return [(name, text) for _, text in parameters.multi_items()]


class TestSeveral:
    def test_rows_are_fetched_by_their_keys(self, client: httpx.Client, resource: Builder) -> None:
        rows = [resource(client) for _ in range(3)]
        wanted = rows[::2]
        for asked in several(keys(wanted)):
            parameters = named(asked, "id_key")
            response = client.get(resource.path, params=parameters)
            assert response.json() == wanted
            assert response.headers["X-Total-Count"] == "2"
            descending = client.get(resource.path, params=[*parameters, ("sort", "-id_key")])
            assert keys(descending.json()) == keys(wanted)[::-1]
            behind = client.get(resource.path, params=[*parameters, ("after", str(rows[0]["id_key"]))])
            assert behind.json() == wanted[1:]

    def test_keys_of_no_row_find_nothing(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        nowhere = [0, -1, 2**63 - 1, 2**63, 10**30]
        assert listed(client, resource.path, id_key=",".join(map(str, nowhere))) == []
        assert keys(listed(client, resource.path, id_key=",".join(map(str, [*nowhere, row["id_key"]])))) == [
            row["id_key"]
        ]

    def test_there_are_at_most_a_thousand(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        texts = ",".join(map(str, range(row["id_key"], row["id_key"] + 1000)))
        assert row in listed(client, resource.path, id_key=texts)
        error = assert_malformed(client.get(resource.path, params={"id_key": f"{texts},1"}), "query", "id_key")
        assert error["detail"][0]["msg"] == "must be at most 1000 values"

    def test_very_many_leave_no_room_for_all_links(self, client: httpx.Client, resource: Builder) -> None:
        rows = [resource(client) for _ in range(3)]
        far = ",".join(map(str, range(10**18, 10**18 + 100)))
        asked: dict[str, Any] = {"id_key": f"{far},{','.join(map(str, keys(rows)))}", "limit": 1, "skip": 1}
        response = client.get(resource.path, params=asked)
        assert set(response.links) == {"next"}
        assert client.get(str(response.links["next"]["url"])).json() == rows[2:]
        assert response.json() == rows[1:2]
        far = ",".join(map(str, range(10**18, 10**18 + 900)))
        response = client.get(resource.path, params=asked | {"id_key": f"{far},{rows[0]['id_key']}", "skip": 0})
        assert response.json() == rows[:1]
        assert "Link" not in response.headers

    def test_links_keep_all_of_them(self, client: httpx.Client) -> None:
        category = a_category(client)["id_key"]
        made = keys(a_product(client, category_id=category) for _ in range(3))
        for asked in several(made):
            response = client.get("/products", params=[*named(asked, "id_key"), ("limit", "1")])
            found = keys(response.json())
            while "next" in response.links:
                response = client.get(str(response.links["next"]["url"]))
                found += keys(response.json())
            assert found == made

    @pytest.mark.parametrize(("resource", "name"), REFERENCES, ids=[f"{r.path}-{name}" for r, name in REFERENCES])
    def test_references(self, client: httpx.Client, resource: Builder, name: str) -> None:
        rows = [
            resource(client, **({"client_id": a_client(client)["id_key"]} if resource is a_bill else {}))
            for _ in range(3)
        ]
        for asked in several([rows[0][name], rows[2][name], 2**64]):
            found = client.get(resource.path, params=named(asked, name))
            assert found.json() == [rows[0], rows[2]]
            assert found.headers["X-Total-Count"] == "2"

    def test_what_has_names(self, client: httpx.Client) -> None:
        owner = a_client(client)["id_key"]
        orders = [an_order(client, client_id=owner, delivery_method=method) for method in (1, 2, 3)]
        made = keys(orders)
        for texts in (["1", "3"], ["1,3"], ["DRIVE_THRU", "home_delivery"], ["3,Drive_Thru", "1"]):
            parameters = [("delivery_method", text) for text in texts]
            found = client.get("/orders", params=[("client_id", str(owner)), *parameters])
            assert keys(found.json()) == [made[0], made[2]], texts
        assert keys(listed(client, "/orders", client_id=owner, status="pending,4")) == made
        assert listed(client, "/orders", client_id=owner, status="IN_PROGRESS") == []
        bills = [a_bill(client, client_id=owner, payment_type=kind) for kind in ("cash", "card")]
        assert [row for row in listed(client, "/bills", client_id=owner, payment_type="CASH,card") if row in bills]
        error = assert_malformed(client.get("/orders", params={"status": "1,9"}), "query", "status")
        assert error["detail"][0]["msg"] == "must be one of 1 (PENDING), 2 (IN_PROGRESS), 3 (DELIVERED), 4 (CANCELED)"

    def test_reasons_in_the_ledger(self, client: httpx.Client) -> None:
        path = f"/products/{a_product(client, stock=5)['id_key']}"
        for reason in ("receipt", "EDIT"):
            assert client.post(f"{path}/stock", json={"delta": 1, "reason": reason}).status_code == 200
        for text, reasons in (("initial", ["initial"]), ("Initial,EDIT", ["initial", "edit"]), ("sale", [])):
            rows = listed(client, f"{path}/stock_movements", reason=text)
            assert [row["reason"] for row in rows] == reasons


class TestProducts:
    @pytest.fixture(scope="module")
    @classmethod
    def category(cls, client: httpx.Client) -> int:
        """A category with products at four prices, one of them sold out and one inactive."""
        category: int = a_category(client)["id_key"]
        for price, stock, active in ((9.99, 5, True), (10, 0, True), (10.01, 1, False), (20, 5, True)):
            a_product(client, category_id=category, price=price, stock=stock, active=active)
        return category

    @pytest.mark.parametrize(
        ("filters", "prices"),
        [
            ({"min_price": "10"}, [10, 10.01, 20]),
            ({"min_price": "10.01"}, [10.01, 20]),
            ({"min_price": "10.005"}, [10.01, 20]),
            ({"max_price": "10"}, [9.99, 10]),
            ({"min_price": "10", "max_price": "10.01"}, [10, 10.01]),
            ({"min_price": "20.01"}, []),
            ({"min_price": "-1"}, [9.99, 10, 10.01, 20]),
            ({"in_stock": "true"}, [9.99, 10.01, 20]),
            ({"in_stock": "false"}, [10]),
            ({"active": "true"}, [9.99, 10, 20]),
            ({"active": "True"}, [9.99, 10, 20]),
            ({"in_stock": "FALSE"}, [10]),
            ({"min_price": "-0.0"}, [9.99, 10, 10.01, 20]),
            ({"min_price": "1e1"}, [10, 10.01, 20]),
            ({"active": "false"}, [10.01]),
            ({"active": "true", "in_stock": "true", "min_price": "10"}, [20]),
        ],
    )
    def test_prices_and_flags(
        self, client: httpx.Client, category: int, filters: dict[str, str], prices: list[float]
    ) -> None:
        assert [row["price"] for row in listed(client, "/products", category_id=category, **filters)] == prices

    @pytest.mark.parametrize(
        ("filters", "is_found"),
        [
            ({"min_price": "9.98"}, True),
            ({"min_price": "9.981"}, False),
            ({"max_price": "9.98"}, True),
            ({"max_price": "9.979"}, False),
            ({"min_price": "0"}, True),
            ({"max_price": "0"}, False),
            ({"min_price": "-1e999", "max_price": "1e999"}, True),
            ({"min_price": "1e999"}, False),
            ({"max_price": "-1e22"}, False),
            ({"min_price": "9.979", "max_price": "9.981"}, True),
            ({"min_price": "9.981", "max_price": "9.989"}, False),
        ],
    )
    def test_prices_without_any_other_filter(
        self, client: httpx.Client, filters: dict[str, str], is_found: bool
    ) -> None:
        key = a_product(client, price=9.98)["id_key"]
        found = client.get("/products", params={**filters, "after": key - 1, "limit": 1})
        assert keys(found.json()) == ([key] if is_found else [])


class TestStock:
    STOCKS = (0, 1, 2, 3, 4, 5, 63, 64, 65, 127, 128, 9, 7, 5, 1, 0, 2_000_000, 1_000_000)

    def test_below(self, client: httpx.Client) -> None:
        category = a_category(client)["id_key"]
        made = [a_product(client, stock=stock, category_id=category)["id_key"] for stock in self.STOCKS]
        for bound in (-1, 0, 1, 2, 3, 5, 64, 65, 128, 129, 1_000_000, 1_000_001, 10**30):
            expected = [key for key, stock in zip(made, self.STOCKS, strict=True) if stock < bound]
            assert keys(listed(client, "/products", category_id=category, stock_below=bound)) == expected, bound
        assert client.post(f"/products/{made[-1]}/stock", json={"delta": -999_999}).status_code == 200
        assert made[-1] in keys(listed(client, f"/categories/{category}/products", stock_below=2))

    @pytest.mark.parametrize("limit", [1, 4, 1000])
    def test_sorted(self, client: httpx.Client, limit: int) -> None:
        category = a_category(client)["id_key"]
        made = [(a_product(client, stock=stock, category_id=category)["id_key"], stock) for stock in self.STOCKS]
        for sort, sign in (("stock", 1), ("-stock", -1)):
            shown: list[int] = []
            for skip in range(0, len(made), limit):
                asked = {"category_id": category, "sort": sort, "skip": skip, "limit": limit}
                page = client.get("/products", params=asked)
                assert page.headers["X-Total-Count"] == str(len(made))
                shown += keys(page.json())
            assert shown == [key for key, _ in sorted(made, key=lambda row: (sign * row[1], row[0]))]


class TestReviews:
    @pytest.mark.parametrize(("least", "ratings"), [("0", [1, 4.5, 5]), ("4.5", [4.5, 5]), ("4.51", [5]), ("5", [5])])
    def test_min_rating(self, client: httpx.Client, least: str, ratings: list[float]) -> None:
        product = a_product(client)["id_key"]
        for rating in (1, 4.5, 5):
            a_review(client, product_id=product, rating=rating)
        assert [row["rating"] for row in listed(client, "/reviews", product_id=product, min_rating=least)] == ratings


class TestBills:
    def test_dates_include_their_bounds(self, client: httpx.Client) -> None:
        owner = a_client(client)["id_key"]
        first, second, third = (a_bill(client, client_id=owner, date=f"2026-11-{day}") for day in (15, 16, 17))
        assert listed(client, "/bills", client_id=owner, date_from="2026-11-16") == [second, third]
        assert listed(client, "/bills", client_id=owner, date_to="2026-11-16") == [first, second]
        both = {"date_from": "2026-11-16", "date_to": "2026-11-16"}
        assert listed(client, "/bills", client_id=owner, **both) == [second]
        assert listed(client, "/bills", client_id=owner, date_to="2026-11-16T00:00:00Z") == [first, second]
        assert listed(client, "/bills", client_id=owner, date_from="2026-11-18") == []

    def test_payment_type(self, client: httpx.Client) -> None:
        owner = a_client(client)["id_key"]
        cash, card = (a_bill(client, client_id=owner, payment_type=kind) for kind in ("cash", "card"))
        assert listed(client, "/bills", client_id=owner, payment_type="cash") == [cash]
        assert listed(client, "/bills", client_id=owner, payment_type="CARD") == [card]

    def test_kind(self, client: httpx.Client) -> None:
        detail = an_order_detail(client, quantity=2)
        order = f"/orders/{detail['order_id']}"
        assert client.post(f"{order}/advance").status_code == 200
        lines = [{"order_detail_id": detail["id_key"], "quantity": 1}]
        credit = client.post(f"{order}/returns", json={"lines": lines}).json()["id_key"]
        sale = client.get(order).json()["bill_id"]
        for kind, expected in (("sale", [sale]), ("CREDIT", [credit]), ("sale,credit", [sale, credit])):
            assert keys(listed(client, "/bills", id_key=f"{sale},{credit}", kind=kind)) == expected


class TestOrderDetails:
    def test_dates_are_those_of_their_orders(self, client: httpx.Client) -> None:
        product = a_product(client)["id_key"]
        times = (
            "2026-11-17T00:00:00Z",
            "2026-11-16T23:59:59.999999Z",
            "2026-11-15T23:59:59.999999Z",
            "2026-11-16T00:00:00Z",
        )
        orders = [an_order(client, date=time)["id_key"] for time in times]
        # In another order than that of their orders.
        made = [
            an_order_detail(client, order_id=order, product_id=product, quantity=1)["id_key"] for order in orders[::-1]
        ]
        for filters, expected in (
            ({"date_from": "2026-11-16"}, [0, 2, 3]),
            ({"date_to": "2026-11-16"}, [0, 1, 2]),
            ({"date_from": "2026-11-16", "date_to": "2026-11-16"}, [0, 2]),
            ({"date_from": "2026-11-17T00:00:00.000001Z"}, []),
            ({"date_to": "2026-11-16T00:00:00Z"}, [0, 1]),
        ):
            rows = [made[place] for place in expected]
            assert keys(listed(client, "/order_details", product_id=product, **filters)) == rows, filters
            assert keys(listed(client, "/order_details", product_id=product, sort="-id_key", **filters)) == rows[::-1]
            first = made[0] if rows and rows[0] == made[0] else 0
            behind = client.get("/order_details", params={"product_id": product, "after": first, **filters}).json()
            assert keys(behind) == [key for key in rows if key > first], filters
        moved = client.patch(f"/orders/{orders[0]}", json={"date": "2026-11-16T12:00:00Z"})
        assert moved.status_code == 200, moved.text
        one_day = {"date_from": "2026-11-16", "date_to": "2026-11-16"}
        assert keys(listed(client, "/order_details", product_id=product, **one_day)) == [made[0], made[2], made[3]]


class TestOrders:
    def test_dates_include_their_bounds(self, client: httpx.Client) -> None:
        owner = a_client(client)["id_key"]
        times = ("2026-11-15T23:59:59.999999Z", "2026-11-16T00:00:00Z", "2026-11-16T23:59:59.999999Z")
        rows = [an_order(client, client_id=owner, date=time) for time in (*times, "2026-11-17T00:00:00Z")]
        made = keys(rows)
        for filters, expected in (
            ({"date_from": "2026-11-16"}, made[1:]),
            ({"date_to": "2026-11-16"}, made[:3]),
            ({"date_from": "2026-11-16", "date_to": "2026-11-16"}, made[1:3]),
            ({"date_from": "2026-11-16T23:59:59.999999Z"}, made[2:]),
            ({"date_to": "2026-11-16T00:00:00"}, made[:2]),
            ({"date_to": "2026-11-16T02:00:00+02:00"}, made[:2]),
            ({"date_from": "2026-11-16T23:59:59.999999Z", "date_to": "2026-11-16T23:59:59.999999Z"}, made[2:3]),
        ):
            assert keys(listed(client, "/orders", client_id=owner, **filters)) == expected, filters

    def test_status_and_delivery_method(self, client: httpx.Client) -> None:
        owner = a_client(client)["id_key"]
        orders = [an_order(client, client_id=owner, delivery_method=method) for method in (1, 2, 2)]
        an_order_detail(client, order_id=orders[2]["id_key"])
        client.post(f"/orders/{orders[2]['id_key']}/advance")
        made = keys(orders)
        assert keys(listed(client, "/orders", client_id=owner, delivery_method=2)) == made[1:]
        assert keys(listed(client, "/orders", client_id=owner, status=2)) == made[2:]
        assert keys(listed(client, "/orders", client_id=owner, status=1, delivery_method=2)) == made[1:2]
        assert keys(listed(client, "/orders", client_id=owner, status=4)) == []

    def test_the_orders_of_a_client_are_a_list_like_any_other(self, client: httpx.Client) -> None:
        owner = a_client(client)["id_key"]
        orders = [an_order(client, client_id=owner, delivery_method=method) for method in (1, 2)]
        path = f"/clients/{owner}/orders"
        assert keys(listed(client, path)) == keys(orders)
        assert keys(listed(client, path, delivery_method=2)) == keys(orders[1:])
        page = client.get(path, params={"limit": 1})
        assert keys(client.get(str(page.links["next"]["url"])).json()) == keys(orders[1:])
        assert_malformed(client.get(path, params={"client_id": owner}), "query", "client_id")
        assert client.get("/clients/0/orders").status_code == 404


class TestSearch:
    NAMES = ["Bluetooth headphones", "Headphone stand", "Blue tooth brush", "Garden hose"]

    @pytest.fixture(scope="module")
    @classmethod
    def category(cls, client: httpx.Client) -> int:
        """A category with products that resemble each other more or less."""
        category: int = a_category(client)["id_key"]
        for name in cls.NAMES:
            a_product(client, category_id=category, name=name)
        return category

    def found(self, client: httpx.Client, category: int, q: str, **more: Any) -> list[str]:
        return [row["name"] for row in listed(client, "/products", category_id=category, q=q, **more)]

    @pytest.mark.parametrize(
        "q", ["bluetooth headphones", "headphones bluetooth", "BLUETOOTH", "blutooth", "bluetoth hedphones"]
    )
    def test_forgives_typing_errors_and_shows_the_best_first(self, client: httpx.Client, category: int, q: str) -> None:
        found = self.found(client, category, q)
        assert found[0] == "Bluetooth headphones"
        assert "Garden hose" not in found

    def test_finds_a_word_within_a_name(self, client: httpx.Client, category: int) -> None:
        assert self.found(client, category, "garden") == ["Garden hose"]
        assert self.found(client, category, "zzzzzz") == []

    def test_finds_words_of_every_script_in_name_sku_and_description(self, client: httpx.Client) -> None:
        category = a_category(client)["id_key"]
        code = unique("НБ")
        a_product(client, category_id=category, name="Коврик", description="Подойдёт любой ноутбук")
        a_product(client, category_id=category, name="Зарядка", sku=code)
        a_product(client, category_id=category, name="Ноутбук Про")
        a_product(client, category_id=category, name="ソニー製ノートパソコン")
        assert self.found(client, category, "НОУТБУК") == ["Ноутбук Про", "Коврик"]
        assert self.found(client, category, "ноутбок") == ["Ноутбук Про"]
        assert self.found(client, category, code.lower()) == ["Зарядка"]
        assert self.found(client, category, "ﾉｰﾄ") == self.found(client, category, "製") == ["ソニー製ノートパソコン"]

    @pytest.mark.parametrize("q", ["%", "_", "-", "...", "#", "'", "\U0001f600"])
    @pytest.mark.parametrize("limit", [1, 1000])
    def test_finds_nothing_without_a_letter_or_digit(self, client: httpx.Client, q: str, limit: int) -> None:
        response = client.get("/products", params={"q": q, "limit": limit})
        assert (response.json(), response.headers["X-Total-Count"]) == ([], "0")

    def test_leaves_the_order_to_sort_and_after(self, client: httpx.Client, category: int) -> None:
        by_likeness = self.found(client, category, "headphone stand")
        assert by_likeness == ["Headphone stand", "Bluetooth headphones"]
        assert self.found(client, category, "headphone stand", sort="name") == sorted(by_likeness)
        assert self.found(client, category, "headphone stand", sort="-name") == sorted(by_likeness)[::-1]
        assert self.found(client, category, "headphone stand", after=0) == by_likeness[::-1]

    @pytest.mark.parametrize(
        "q", ["%", "_", "'", "\\", "100%", "a'; DROP TABLE products; --", "%d", "%(q)d", ":q", "\u00e9"]
    )
    def test_takes_signs_for_signs(self, client: httpx.Client, category: int, q: str) -> None:
        assert self.found(client, category, q) == []
