"""Many rows in one request, for every resource that has bulk: changed, deleted, all or none, and errors that say where."""

import uuid
from typing import Any

import httpx
import pytest

from tests.builders import BUILDERS, Builder, Row, a_category, a_client, a_product, an_order, an_order_detail, unique
from tests.contract.answers import assert_headers, assert_malformed, assert_problem

pytestmark = pytest.mark.integration

NO_ROW = 2**63 - 1
UNIQUE = {"/products": "sku", "/clients": "email", "/categories": "name", "/users": "email"}
METHODS = {"bulk": "PATCH", "bulk_delete": "POST"}


@pytest.fixture(scope="session")
def client(traced_client: httpx.Client) -> httpx.Client:
    """Nothing else reaches these rules in the services."""
    return traced_client


@pytest.fixture(params=UNIQUE)
def resource(request: pytest.FixtureRequest) -> Builder:
    return BUILDERS[request.param]


def send(client: httpx.Client, resource: Builder, call: str, body: Any, **headers: str) -> httpx.Response:
    return client.request(METHODS[call], f"{resource.path}/{call}", json=body, headers=headers)


def stored(client: httpx.Client, resource: Builder, row: Row) -> Row | None:
    response = client.get(f"{resource.path}/{row['id_key']}")
    return None if response.status_code == 404 else response.json()


def rows_of(client: httpx.Client, resource: Builder, count: int = 3) -> list[Row]:
    return [resource(client) for _ in range(count)]


def keyed(row: Row, **fields: Any) -> Row:
    return {"id_key": row["id_key"], **fields}


class TestChange:
    def test_changes_what_is_sent_and_answers_in_the_order_asked(self, client: httpx.Client, resource: Builder) -> None:
        rows = rows_of(client, resource)[::-1]
        changes = [resource.change(row) for row in rows]
        sent = [keyed(row, **change) for row, change in zip(rows, changes, strict=True)]
        response = send(client, resource, "bulk", sent)
        assert response.status_code == 200, response.text
        assert_headers(response)
        for row, change, changed in zip(rows, changes, response.json(), strict=True):
            assert changed == row | change | {"updated_at": changed["updated_at"]}
            assert changed["updated_at"] > row["updated_at"]
            assert stored(client, resource, row) == changed

    def test_each_row_may_change_other_fields(self, client: httpx.Client, resource: Builder) -> None:
        """The others keep what they have, and what does not change keeps its version."""
        first, second, third = rows_of(client, resource)
        own = UNIQUE[resource.path]
        new = resource.sample()[own]
        sent = [keyed(first, **resource.change(first)), keyed(second, **{own: new}), keyed(third)]
        answered = send(client, resource, "bulk", sent).json()
        assert answered[0][resource.changing] != first[resource.changing]
        if own != resource.changing:
            assert answered[0][own] == first[own]
        assert answered[1][own] == new
        assert answered[2] == third
        assert [stored(client, resource, row) for row in (first, second, third)] == answered

    def test_takes_back_whole_rows_as_they_were_read(self, client: httpx.Client, resource: Builder) -> None:
        rows = rows_of(client, resource)
        assert send(client, resource, "bulk", rows).json() == rows
        changed = [row | resource.change(row) for row in rows]
        answered = send(client, resource, "bulk", changed).json()
        assert [row | {"updated_at": None} for row in answered] == [row | {"updated_at": None} for row in changed]

    def test_refuses_what_is_wrong_with_one_row_and_says_where(self, client: httpx.Client, resource: Builder) -> None:
        rows = rows_of(client, resource)
        good = [keyed(row, **resource.change(row)) for row in rows]
        for wrong, field in (
            ({"id_key": rows[1]["id_key"], "colour": "red"}, "colour"),
            ({"id_key": "1"}, "id_key"),
            ({"id_key": None}, "id_key"),
            ({"id_key": 1.5}, "id_key"),
            (resource.change(rows[1]), "id_key"),
            (keyed(rows[1], **{resource.required[0]: None}), resource.required[0]),
            (keyed(rows[1], updated_at="yesterday"), "updated_at"),
            (keyed(rows[0]), "id_key"),
        ):
            response = send(client, resource, "bulk", [good[0], wrong, good[2]])
            assert_malformed(response, "body", 1, field)
        assert [stored(client, resource, row) for row in rows] == rows

    def test_refuses_a_row_that_has_changed_since(self, client: httpx.Client, resource: Builder) -> None:
        rows = rows_of(client, resource)
        client.put(f"{resource.path}/{rows[2]['id_key']}", json=resource.change(rows[2]))
        now = [stored(client, resource, row) for row in rows]
        body = assert_problem(
            send(client, resource, "bulk", [row | resource.change(row) for row in rows]),
            409,
            f"{resource.thing} {rows[2]['id_key']} has changed since it was read",
        )
        assert body["loc"] == ["body", 2, "updated_at"]
        assert [stored(client, resource, row) for row in rows] == now

    @pytest.mark.parametrize("nowhere", [0, -1, NO_ROW, 10**30])
    def test_refuses_a_row_that_is_not_there(self, client: httpx.Client, resource: Builder, nowhere: int) -> None:
        row = resource(client)
        body = assert_problem(
            send(client, resource, "bulk", [keyed(row, **resource.change(row)), {"id_key": nowhere}]),
            404,
            f"{resource.thing} with id {nowhere} not found",
        )
        assert body["loc"] == ["body", 1, "id_key"]
        assert stored(client, resource, row) == row

    def test_refuses_a_value_that_is_taken(self, client: httpx.Client, resource: Builder) -> None:
        """By a row outside, by a row of the same request before, and by one that gives it up in the same breath."""
        field = UNIQUE[resource.path]
        outside, first, second = rows_of(client, resource)
        new = resource.sample()[field]
        for sent, place in (
            ([keyed(first), keyed(second, **{field: outside[field]})], 1),
            ([keyed(first, **{field: new}), keyed(second, **{field: new})], 1),
            ([keyed(first, **{field: second[field]}), keyed(second, **{field: first[field]})], 0),
        ):
            body = assert_problem(
                send(client, resource, "bulk", sent),
                409,
                f"{resource.thing} with {field} '{sent[place][field]}' already exists",
            )
            assert body["loc"] == ["body", place, field]
        assert [stored(client, resource, row) for row in (outside, first, second)] == [outside, first, second]

    def test_a_trailing_slash_makes_no_difference(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        change = resource.change(row)
        assert client.patch(f"{resource.path}/bulk/", json=[keyed(row, **change)]).status_code == 200
        assert client.post(f"{resource.path}/bulk_delete/", json=[keyed(row)]).status_code == 204


class TestProducts:
    def test_edits_of_the_stock_are_in_the_ledger(self, client: httpx.Client) -> None:
        rows = rows_of(client, a_product)
        sent = [keyed(rows[0], stock=107), keyed(rows[1], stock=0), keyed(rows[2], price=3.5)]
        assert [row["stock"] for row in send(client, a_product, "bulk", sent).json()] == [107, 0, 100]
        ledgers = [client.get(f"/products/{row['id_key']}/stock_movements").json() for row in rows]
        assert [[(entry["delta"], entry["reason"]) for entry in ledger] for ledger in ledgers] == [
            [(100, "initial"), (7, "edit")],
            [(100, "initial"), (-100, "edit")],
            [(100, "initial")],
        ]

    def test_a_reference_that_points_nowhere(self, client: httpx.Client) -> None:
        rows = rows_of(client, a_product)
        sent = [keyed(rows[0], price=1), keyed(rows[1], category_id=NO_ROW)]
        body = assert_problem(send(client, a_product, "bulk", sent), 404, f"Category with id {NO_ROW} not found")
        assert body["loc"] == ["body", 1, "category_id"]
        assert stored(client, a_product, rows[0]) == rows[0]

    def test_no_reader_sees_what_was_before(self, client: httpx.Client) -> None:
        """More rows than the cache is told of at a time."""
        category = a_category(client)["id_key"]
        bodies = [a_product.sample() | {"category_id": category, "sku": None} for _ in range(1100)]
        rows = client.post("/products/bulk", json=bodies).json()
        shown = (rows[0], rows[-1])
        for row in shown:
            assert [client.get(f"/products/{row['id_key']}").json()["price"] for _ in range(2)] == [9.99] * 2
        listed = {"category_id": category, "limit": 1000}
        assert {row["price"] for row in client.get("/products", params=listed).json()} == {9.99}
        assert send(client, a_product, "bulk", [keyed(row, price=2.5) for row in rows]).status_code == 200
        assert [client.get(f"/products/{row['id_key']}").json()["price"] for row in shown] == [2.5] * 2
        assert {row["price"] for row in client.get("/products", params=listed).json()} == {2.5}
        assert send(client, a_product, "bulk_delete", [keyed(row) for row in rows]).status_code == 204
        assert [stored(client, a_product, row) for row in shown] == [None] * 2
        assert client.get("/products", params=listed).json() == []


class TestDelete:
    def test_answers_nothing_and_the_rows_are_gone(self, client: httpx.Client, resource: Builder) -> None:
        rows = rows_of(client, resource)
        response = send(
            client, resource, "bulk_delete", [keyed(rows[1]), keyed(rows[0], updated_at=rows[0]["updated_at"])]
        )
        assert (response.status_code, response.content) == (204, b"")
        assert_headers(response)
        assert [stored(client, resource, row) for row in rows] == [None, None, rows[2]]

    def test_refuses_what_is_wrong_with_one_row_and_says_where(self, client: httpx.Client, resource: Builder) -> None:
        rows = rows_of(client, resource)
        for wrong, field in (
            ({}, "id_key"),
            (rows[1], resource.changing),
            (keyed(rows[0]), "id_key"),
            ({"id_key": True}, "id_key"),
        ):
            assert_malformed(send(client, resource, "bulk_delete", [keyed(rows[0]), wrong]), "body", 1, field)
        client.put(f"{resource.path}/{rows[1]['id_key']}", json=resource.change(rows[1]))
        stale = send(client, resource, "bulk_delete", [keyed(row, updated_at=row["updated_at"]) for row in rows])
        assert assert_problem(stale, 409)["loc"] == ["body", 1, "updated_at"]
        missing = send(client, resource, "bulk_delete", [keyed(rows[0]), {"id_key": NO_ROW}])
        assert assert_problem(missing, 404)["loc"] == ["body", 1, "id_key"]
        assert None not in [stored(client, resource, row) for row in rows]

    def test_a_repeat_under_the_same_key_takes_effect_once(self, client: httpx.Client, resource: Builder) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        row, other = rows_of(client, resource, 2)
        answers = [send(client, resource, "bulk_delete", [keyed(row)], **key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [204, 204]
        assert "Idempotent-Replayed" not in answers[0].headers
        assert answers[1].headers["Idempotent-Replayed"] == "true"
        assert_problem(send(client, resource, "bulk_delete", [keyed(other)], **key), 422)

    def test_refuses_rows_that_others_point_to(self, client: httpx.Client) -> None:
        category, product = a_category(client), a_product(client)
        empty = a_category(client)
        sent = [keyed(category), {"id_key": product["category_id"]}, keyed(empty)]
        refused = send(client, a_category, "bulk_delete", sent)
        body = assert_problem(refused, 409, f"Cannot delete category {product['category_id']}: it still has products")
        assert body["loc"] == ["body", 1, "id_key"]
        order = an_order(client)
        person = a_client(client)
        refused = send(client, a_client, "bulk_delete", [keyed(person), {"id_key": order["client_id"]}])
        assert assert_problem(refused, 409)["loc"] == ["body", 1, "id_key"]
        sold = an_order_detail(client)["product_id"]
        refused = send(client, a_product, "bulk_delete", [keyed(product), {"id_key": sold}])
        body = assert_problem(refused, 409)
        assert (body["code"], body["loc"]) == ("product_has_sales", ["body", 1, "id_key"])
        assert [stored(client, a_category, row) for row in (category, empty)] == [category, empty]
        assert stored(client, a_client, person) == person
        assert stored(client, a_product, product) == product


@pytest.mark.parametrize("call", METHODS)
class TestBodies:
    def test_takes_one_to_ten_thousand_rows(self, client: httpx.Client, resource: Builder, call: str) -> None:
        many = [{"id_key": NO_ROW - number} for number in range(10_001)]
        bodies: tuple[Any, ...] = ([], many, {}, None, 7, "rows", [[]], [1])
        for body in bodies:
            assert_malformed(send(client, resource, call, body), "body")
        assert_problem(send(client, resource, call, many[:10_000]), 404)

    def test_takes_sixteen_mebibytes(self, client: httpx.Client, resource: Builder, call: str) -> None:
        headers = {"Content-Type": "application/json"}
        url = f"{resource.path}/{call}"
        full = b"[]" + b" " * (16 * 1024 * 1024 - 2)
        assert_malformed(client.request(METHODS[call], url, content=full, headers=headers), "body")
        assert_problem(client.request(METHODS[call], url, content=full + b" ", headers=headers), 413)

    def test_refuses_other_media_types_and_unknown_parameters(
        self, client: httpx.Client, resource: Builder, call: str
    ) -> None:
        url = f"{resource.path}/{call}"
        text = {"Content-Type": "text/plain"}
        assert_problem(client.request(METHODS[call], url, content=b"[]", headers=text), 415)
        assert_malformed(client.request(METHODS[call], url, params={"limit": 1}, json=[]), "query", "limit")


def test_other_resources_have_no_bulk(client: httpx.Client) -> None:
    for path in BUILDERS.keys() - UNIQUE.keys():
        assert_problem(client.patch(f"{path}/bulk", json=[]), 404)
        assert_problem(client.post(f"{path}/bulk_delete", json=[]), 404)


def test_names_of_a_swap_may_go_through_a_third(client: httpx.Client) -> None:
    """What two rows cannot do in one request, they can in two."""
    first, second = a_category(client), a_category(client)
    aside = unique("Aside")
    assert send(client, a_category, "bulk", [keyed(first, name=aside)]).status_code == 200
    assert send(client, a_category, "bulk", [keyed(second, name=first["name"])]).status_code == 200
    assert send(client, a_category, "bulk", [keyed(first, name=second["name"])]).status_code == 200
