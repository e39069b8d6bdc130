"""Lists: pages by offset and by key, their counts, links and order."""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import psycopg2
import pytest

from tests.builders import Builder, Row, a_category, a_client, a_product, a_review, an_address
from tests.contract.answers import assert_headers, assert_malformed

pytestmark = pytest.mark.integration

# The indexed columns of the contract, beside id_key and created_at.
SORTABLE = {
    "/clients": ["name", "lastname", "email"],
    "/addresses": ["street", "client_id"],
    "/categories": ["name"],
    "/products": ["name", "sku", "price", "category_id"],
    "/reviews": ["product_id"],
    "/bills": ["bill_number", "client_id"],
    "/orders": ["date", "delivery_method", "status", "client_id", "bill_id", "address_id"],
    "/order_details": ["order_id", "product_id"],
}
FAR = 2**63 - 1
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
_FAR = re.compile(r"[+-]\d{6}-\d\d-\d\d|-?infinity")


def page(client: httpx.Client, path: str, **parameters: Any) -> list[Row]:
    response = client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    rows: list[Row] = response.json()
    return rows


def links(response: httpx.Response) -> dict[str, dict[str, str]]:
    """The parameters of each link, by its relation; all of them stay on the path that was asked for."""
    targets = {str(relation): httpx.URL(str(link["url"])) for relation, link in response.links.items()}
    assert {target.path for target in targets.values()} == {response.request.url.path}
    return {relation: dict(target.params) for relation, target in targets.items()}


@pytest.fixture(scope="module")
def shelf(client: httpx.Client) -> Row:
    """A category with five products, at five prices and with two names."""
    category = a_category(client)
    for number, price in enumerate([30, 10, 50, 20, 40]):
        a_product(client, category_id=category["id_key"], price=price, name=f"Lamp {number % 2}")
    return category


class TestOffset:
    def test_starts_at_the_lowest_key_with_at_most_a_hundred_rows(
        self, client: httpx.Client, resource: Builder
    ) -> None:
        resource(client)
        response = client.get(resource.path)
        assert response.status_code == 200
        assert_headers(response)
        keys = [row["id_key"] for row in response.json()]
        assert keys == sorted(keys)
        assert 1 <= len(keys) <= 100
        assert response.json() == page(client, resource.path, skip=0, limit=100)

    def test_counts_and_passes_over(self, client: httpx.Client, resource: Builder) -> None:
        # No page that is cached: rows that other tests have written by SQL make those stale a moment later.
        before = client.get(resource.path, params={"sort": "-id_key", "limit": 1})
        made = [resource(client)["id_key"] for _ in range(3)]
        response = client.get(resource.path, params={"sort": "-id_key", "skip": 1, "limit": 2})
        assert [row["id_key"] for row in response.json()] == made[1::-1]
        if "X-Total-Count-Estimated" not in response.headers:
            assert int(response.headers["X-Total-Count"]) == int(before.headers["X-Total-Count"]) + 3

    def test_nothing_lies_behind_the_end(self, client: httpx.Client, resource: Builder) -> None:
        for skip in (10**6, FAR, 10**30):
            assert page(client, resource.path, skip=skip) == []

    def test_refuses_what_is_out_of_bounds(self, client: httpx.Client, resource: Builder) -> None:
        for value in ("-1", "1.5", "one", ""):
            assert_malformed(client.get(resource.path, params={"skip": value}), "query", "skip")
        for value in ("0", "-1", "1001", "1e2", str(10**30), "", "ten"):
            assert_malformed(client.get(resource.path, params={"limit": value}), "query", "limit")

    def test_takes_the_bounds_themselves(self, client: httpx.Client, resource: Builder) -> None:
        resource(client)
        assert len(page(client, resource.path, skip=0, limit=1)) == 1
        assert len(page(client, resource.path, limit=1000)) <= 1000


class TestLinks:
    def test_of_a_page_in_the_middle_keep_the_other_parameters(self, client: httpx.Client, shelf: Row) -> None:
        kept = {"category_id": str(shelf["id_key"]), "active": "true", "sort": "-price,name", "q": "lamp&?"}
        response = client.get("/products", params={**kept, "skip": 2, "limit": 1})
        assert response.headers["X-Total-Count"] == "5"
        assert links(response) == {
            "first": {**kept, "skip": "0", "limit": "1"},
            "prev": {**kept, "skip": "1", "limit": "1"},
            "next": {**kept, "skip": "3", "limit": "1"},
            "last": {**kept, "skip": "4", "limit": "1"},
        }

    def test_lead_through_the_whole_list(self, client: httpx.Client, shelf: Row) -> None:
        response = client.get("/products", params={"category_id": shelf["id_key"], "limit": 2})
        pages = [response.json()]
        while "next" in response.links:
            response = client.get(str(response.links["next"]["url"]))
            pages.append(response.json())
        assert [len(rows) for rows in pages] == [2, 2, 1]
        assert client.get(str(response.links["last"]["url"])).json() == pages[-1]
        assert client.get(str(response.links["prev"]["url"])).json() == pages[-2]
        assert client.get(str(response.links["first"]["url"])).json() == pages[0]

    def test_of_the_only_page(self, client: httpx.Client, shelf: Row) -> None:
        response = client.get("/products", params={"category_id": shelf["id_key"]})
        assert set(links(response)) == {"first", "last"}

    def test_of_an_empty_list(self, client: httpx.Client) -> None:
        response = client.get("/products", params={"category_id": FAR})
        assert response.headers["X-Total-Count"] == "0"
        assert set(links(response)) == {"first", "last"}


class TestByKey:
    def test_begins_behind_the_key(self, client: httpx.Client, resource: Builder) -> None:
        made = [resource(client)["id_key"] for _ in range(3)]
        response = client.get(resource.path, params={"after": made[0] - 1, "limit": 2})
        assert [row["id_key"] for row in response.json()] == made[:2]
        assert links(response)["next"] == {"after": str(made[1]), "limit": "2"}

    def test_leads_through_the_whole_list(self, client: httpx.Client, shelf: Row) -> None:
        response = client.get("/products", params={"after": 0, "category_id": shelf["id_key"], "limit": 2})
        rows = response.json()
        while "next" in response.links:
            assert links(response)["next"]["category_id"] == str(shelf["id_key"])
            response = client.get(str(response.links["next"]["url"]))
            rows += response.json()
        assert rows == page(client, "/products", category_id=shelf["id_key"])

    def test_is_the_only_way_of_paging(self, client: httpx.Client, resource: Builder) -> None:
        for other in ({"skip": 5}, {"sort": "id_key"}):
            assert_malformed(client.get(resource.path, params={"after": 0, **other}), "query")

    def test_goes_with_what_clients_send_that_name_every_parameter(
        self, client: httpx.Client, resource: Builder
    ) -> None:
        made = [resource(client)["id_key"] for _ in range(2)]
        rows = page(client, resource.path, after=made[0] - 1, skip=0, sort="", fields="", limit=2)
        assert [row["id_key"] for row in rows] == made

    def test_nothing_lies_behind_the_end(self, client: httpx.Client, resource: Builder) -> None:
        for after in (FAR, 10**30):
            response = client.get(resource.path, params={"after": after})
            assert response.json() == []
            assert "next" not in response.links

    def test_begins_at_the_start(self, client: httpx.Client, resource: Builder) -> None:
        first = page(client, resource.path, limit=3)
        for after in (-1, 0, -(10**30)):
            assert page(client, resource.path, after=after, limit=3) == first

    def test_refuses_a_key_that_is_no_integer(self, client: httpx.Client, resource: Builder) -> None:
        assert_malformed(client.get(resource.path, params={"after": "x"}), "query", "after")


def comparable(values: Iterable[Any]) -> list[Any]:
    """The values that are there, times as times: as texts, a whole second stands behind its fractions.

    Times that only SQL can store, which other tests do, are left out.
    """
    return [
        dt.datetime.fromisoformat(value) if isinstance(value, str) and _TIME.match(value) else value
        for value in values
        if value is not None and not (isinstance(value, str) and _FAR.match(value))
    ]


class TestSort:
    def test_orders_by_each_indexed_column(self, client: httpx.Client, resource: Builder) -> None:
        for _ in range(2):
            resource(client)
        for name in ("id_key", "created_at", *SORTABLE.get(resource.path, ())):
            values = comparable(row[name] for row in page(client, resource.path, sort=name))
            assert values == sorted(values), name
            values = comparable(row[name] for row in page(client, resource.path, sort=f"-{name}"))
            assert values == sorted(values, reverse=True), name

    def test_by_several_columns(self, client: httpx.Client, shelf: Row) -> None:
        rows = page(client, "/products", category_id=shelf["id_key"], sort="-name,price")
        assert [(row["name"], row["price"]) for row in rows] == [
            ("Lamp 1", 10),
            ("Lamp 1", 20),
            ("Lamp 0", 30),
            ("Lamp 0", 40),
            ("Lamp 0", 50),
        ]

    def test_leaves_equals_in_the_order_of_their_keys(self, client: httpx.Client) -> None:
        category = a_category(client)["id_key"]
        made = [a_product(client, category_id=category, name="Same", price=5)["id_key"] for _ in range(5)]
        # A changed row lies behind the others in the table.
        client.put(f"/products/{made[0]}", json={"description": "Changed"})
        for sort in ("name", "-name", "-price", "price,-name"):
            rows = page(client, "/products", category_id=category, sort=sort)
            assert [row["id_key"] for row in rows] == made
            pieces = [page(client, "/products", category_id=category, sort=sort, skip=n, limit=1) for n in range(5)]
            assert [piece[0] for piece in pieces] == rows

    def test_names_the_allowed_columns_when_one_is_unknown(self, client: httpx.Client, resource: Builder) -> None:
        for sort in ("colour", "-colour", "id_key,colour", "price;drop table products", ",", "--id_key"):
            body = assert_malformed(client.get(resource.path, params={"sort": sort}), "query", "sort")
            for name in ("id_key", "created_at", *SORTABLE.get(resource.path, ())):
                assert name in body["detail"][0]["msg"]

    def test_is_by_key_when_it_is_empty(self, client: httpx.Client, resource: Builder) -> None:
        resource(client)
        assert page(client, resource.path, sort="", limit=5) == page(client, resource.path, limit=5)

    def test_allows_no_column_that_a_row_does_not_show(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        response = client.get(resource.path, params={"sort": "colour"})
        allowed = response.json()["detail"][0]["msg"].partition("allowed: ")[2].split(", ")
        assert set(allowed) <= set(row)


class TestLongLists:
    ROWS = 10_001

    @pytest.fixture(scope="class")
    @classmethod
    def product(cls, client: httpx.Client, database_url: str) -> Iterator[Row]:
        """A product with more reviews than are counted one by one."""
        product = a_product(client)
        connection = psycopg2.connect(database_url.replace("+psycopg2", ""))
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO reviews (rating, product_id) SELECT 5, %s FROM generate_series(1, %s)",
                (product["id_key"], cls.ROWS),
            )
        yield product
        with connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM reviews WHERE product_id = %s", (product["id_key"],))
        connection.close()

    def test_are_counted_by_estimate(self, client: httpx.Client, product: Row) -> None:
        response = client.get("/reviews", params={"product_id": product["id_key"], "limit": 1})
        assert response.headers["X-Total-Count-Estimated"] == "true"
        assert int(response.headers["X-Total-Count"]) > 10_000
        assert set(links(response)) == {"first", "next"}

    def test_are_counted_exactly_up_to_ten_thousand(self, client: httpx.Client, product: Row) -> None:
        first = page(client, "/reviews", product_id=product["id_key"], limit=1)[0]
        assert client.delete(f"/reviews/{first['id_key']}").status_code == 204
        response = client.get("/reviews", params={"product_id": product["id_key"], "limit": 1})
        assert response.headers["X-Total-Count"] == "10000"
        assert "X-Total-Count-Estimated" not in response.headers
        assert links(response)["last"]["skip"] == "9999"


def test_a_product_with_some_reviews_is_no_long_list(client: httpx.Client) -> None:
    review = a_review(client)
    response = client.get("/reviews", params={"product_id": review["product_id"]})
    assert response.headers["X-Total-Count"] == "1"
    assert response.json() == [review]


def test_a_list_of_addresses_is_not_one_of_clients(client: httpx.Client) -> None:
    owner = a_client(client)
    address = an_address(client, client_id=owner["id_key"])
    assert page(client, "/addresses", client_id=owner["id_key"]) == [address]
