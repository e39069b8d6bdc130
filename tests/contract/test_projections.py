"""`fields`: of each row only what was asked for, on lists and single rows, with tags and pages as usual."""

import itertools
from typing import Any

import httpx
import pytest

from tests.builders import Builder, a_category, a_client, a_product, an_order, an_order_detail, unique
from tests.contract.answers import assert_malformed

pytestmark = pytest.mark.integration


def part(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in ("id_key", *names)}


class TestEveryResource:
    def test_shows_the_fields_and_the_key(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = f"{resource.path}/{row['id_key']}"
        for name in row:
            assert client.get(url, params={"fields": name}).json() == part(row, name)
            assert client.get(resource.path, params={"fields": name, "id_key": row["id_key"]}).json() == [
                part(row, name)
            ]

    def test_the_order_of_the_names_does_not_matter(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = f"{resource.path}/{row['id_key']}"
        names = list(row)[:3]
        answers = [client.get(url, params={"fields": ",".join(order)}) for order in itertools.permutations(names)] + [
            client.get(url, params=[("fields", name) for name in names])
        ]
        assert {answer.content for answer in answers} == {answers[0].content}
        assert len({answer.headers["ETag"] for answer in answers}) == 1
        assert answers[0].json() == part(row, *names)

    def test_all_of_them_are_the_row(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        whole = client.get(f"{resource.path}/{row['id_key']}")
        named = client.get(f"{resource.path}/{row['id_key']}", params={"fields": ",".join(reversed(row))})
        assert named.content == whole.content
        assert named.headers["ETag"] == whole.headers["ETag"]

    def test_an_unknown_one_is_refused_with_the_names_of_all(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        for path in (resource.path, f"{resource.path}/{row['id_key']}"):
            for text in ("colour", "id_key,colour", "id_key,,created_at", "ID_KEY", "email_key,in_stock"):
                error = assert_malformed(client.get(path, params={"fields": text}), "query", "fields")
                assert error["detail"][0]["msg"] == f"must name some of {', '.join(row)}"

    def test_nothing_else_is_a_parameter_of_a_row(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        for name in ("limit", "sort", "id_key", "skip"):
            assert_malformed(client.get(f"{resource.path}/{row['id_key']}", params={name: "1"}), "query", name)
        response = client.post(resource.path, params={"fields": "id_key"}, json={})
        assert_malformed(response, "query", "fields")

    def test_a_row_has_a_tag_for_what_is_shown_that_guards_the_row(
        self, client: httpx.Client, resource: Builder
    ) -> None:
        row = resource(client)
        url = f"{resource.path}/{row['id_key']}"
        whole, some = client.get(url), client.get(url, params={"fields": "created_at"})
        assert some.headers["ETag"] != whole.headers["ETag"]
        assert not some.headers["ETag"].startswith("W/")
        unchanged = client.get(url, params={"fields": "created_at"}, headers={"If-None-Match": some.headers["ETag"]})
        assert unchanged.status_code == 304
        assert client.get(url, headers={"If-None-Match": some.headers["ETag"]}).status_code == 200
        changed = client.patch(url, json=resource.change(row), headers={"If-Match": some.headers["ETag"]})
        assert changed.status_code == 200, changed.text
        again = client.patch(url, json={}, headers={"If-Match": some.headers["ETag"]})
        assert again.status_code == 412


class TestPages:
    @pytest.fixture(scope="class")
    @classmethod
    def category(cls, client: httpx.Client) -> int:
        category: int = a_category(client)["id_key"]
        for price in (30, 10, 20):
            a_product(client, category_id=category, price=price)
        return category

    def test_are_sorted_by_what_is_not_shown(self, client: httpx.Client, category: int) -> None:
        whole = client.get("/products", params={"category_id": category, "sort": "-price"}).json()
        response = client.get("/products", params={"category_id": category, "sort": "-price", "fields": "name"})
        assert response.json() == [part(row, "name") for row in whole]
        assert response.headers["X-Total-Count"] == "3"

    @pytest.mark.parametrize("start", [{"skip": "0"}, {"after": "0"}])
    def test_links_keep_the_fields(self, client: httpx.Client, category: int, start: dict[str, str]) -> None:
        response = client.get("/products", params={"category_id": category, "fields": "price", "limit": 1, **start})
        rows = response.json()
        while "next" in response.links:
            response = client.get(str(response.links["next"]["url"]))
            rows += response.json()
        assert [set(row) for row in rows] == [{"id_key", "price"}] * 3

    def test_of_all_rows_are_cached_by_themselves(self, client: httpx.Client) -> None:
        row = a_category(client)
        params = {"after": row["id_key"] - 1, "limit": 1}
        for _ in range(2):
            assert client.get("/categories", params=params).json() == [row]
            assert client.get("/categories", params={**params, "fields": "name"}).json() == [part(row, "name")]
        name = unique("Renamed")
        client.put(f"/categories/{row['id_key']}", json={"name": name})
        renamed = client.get("/categories", params={**params, "fields": "name"})
        assert renamed.json() == [{"id_key": row["id_key"], "name": name}]


class TestOrders:
    def test_what_was_expanded_is_shown_beside_the_fields(self, client: httpx.Client) -> None:
        detail = an_order_detail(client)
        url = f"/orders/{detail['order_id']}"
        params = {"fields": "status", "expand": "order_details,bill"}
        shown = client.get(url, params=params)
        assert list(shown.json()) == ["id_key", "status", "order_details", "bill"]
        assert shown.json()["order_details"] == [detail]
        listed = client.get("/orders", params={**params, "id_key": detail["order_id"]})
        assert listed.json() == [shown.json()]
        assert shown.headers["ETag"] != client.get(url, params={"expand": "order_details,bill"}).headers["ETag"]

    def test_expand_may_be_repeated(self, client: httpx.Client) -> None:
        url = f"/orders/{an_order(client)['id_key']}"
        expected = client.get(url, params={"expand": "bill,client"})
        assert client.get(url, params=[("expand", "client"), ("expand", "bill")]).content == expected.content
        assert client.get(url, params={"expand": ""}).content == client.get(url).content

    def test_of_a_client_have_fields_too(self, client: httpx.Client) -> None:
        owner = a_client(client)["id_key"]
        order = an_order(client, client_id=owner)
        rows = client.get(f"/clients/{owner}/orders", params={"fields": "total"}).json()
        assert rows == [part(order, "total")]


def test_entries_of_the_ledger_have_fields_too(client: httpx.Client) -> None:
    path = f"/products/{a_product(client, stock=3)['id_key']}/stock_movements"
    (row,) = client.get(path).json()
    assert client.get(path, params={"fields": "delta"}).json() == [part(row, "delta")]
