"""Create, read, change and delete: what holds for the rows of every resource alike."""

import re
from typing import Any

import httpx
import pytest

from tests.builders import Builder, Row
from tests.contract.answers import assert_headers, assert_malformed, assert_problem

pytestmark = pytest.mark.integration

TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")
NOWHERE = [0, -1, 2**31, 2**63 - 1, 2**63, 10**30]


def url_of(resource: Builder, row: Row) -> str:
    return f"{resource.path}/{row['id_key']}"


def take_away(client: httpx.Client, resource: Builder, row: Row) -> None:
    """Delete the row, if it may be: a shipping rate that names no country is for the orders of all other tests."""
    assert client.delete(url_of(resource, row)).status_code in (204, 409)


def stored(client: httpx.Client, resource: Builder, row: Row) -> Row:
    response = client.get(url_of(resource, row))
    assert response.status_code == 200
    now: Row = response.json()
    return now


def count(client: httpx.Client, resource: Builder) -> int:
    return int(client.get(resource.path, params={"limit": 1}).headers["X-Total-Count"])


class TestCreate:
    def test_answers_the_stored_row_and_where_it_is(self, client: httpx.Client, resource: Builder) -> None:
        body = resource.body(client)
        response = client.post(resource.path, json=body)
        assert response.status_code == 201
        assert_headers(response)
        row = response.json()
        assert response.headers["Location"] == url_of(resource, row)
        assert {name: row[name] for name in body} == body
        assert isinstance(row["id_key"], int)
        assert TIME.fullmatch(row["created_at"])
        assert TIME.fullmatch(row["updated_at"])
        assert client.get(response.headers["Location"]).json() == resource.stored(row)

    def test_ignores_what_is_read_only(self, client: httpx.Client, resource: Builder) -> None:
        read_only = {"id_key": 10**30, "created_at": "no time at all", "updated_at": 7}
        row = resource(client, **read_only)
        assert row["id_key"] != 10**30
        assert TIME.fullmatch(row["created_at"])
        assert TIME.fullmatch(row["updated_at"])

    def test_names_every_required_field_that_is_missing(self, client: httpx.Client, resource: Builder) -> None:
        before = count(client, resource)
        body = assert_problem(client.post(resource.path, json={}), 422)
        assert sorted(error["loc"] for error in body["detail"]) == sorted(["body", name] for name in resource.required)
        assert {error["type"] for error in body["detail"]} == {"missing"}
        assert count(client, resource) == before

    def test_needs_no_other_field(self, client: httpx.Client, resource: Builder) -> None:
        body = resource.body(client)
        response = client.post(resource.path, json={name: body[name] for name in resource.required})
        assert response.status_code == 201, response.text
        assert all(response.json()[name] is None for name in resource.nullable)
        assert all(response.json()[name] is not None for name in resource.defaulted)
        take_away(client, resource, response.json())

    def test_refuses_null_where_the_table_requires_a_value(self, client: httpx.Client, resource: Builder) -> None:
        body = resource.body(client)
        for name in (*resource.required, *resource.defaulted):
            assert_malformed(client.post(resource.path, json=body | {name: None}), "body", name)

    def test_stores_null_where_it_may_be(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client, **dict.fromkeys(resource.nullable))
        assert all(row[name] is None for name in resource.nullable)
        take_away(client, resource, row)

    def test_refuses_an_unknown_field(self, client: httpx.Client, resource: Builder) -> None:
        response = client.post(resource.path, json=resource.body(client, colour="red"))
        assert assert_malformed(response, "body", "colour")["detail"][0]["type"] == "extra_forbidden"

    def test_refuses_a_body_that_is_no_object(self, client: httpx.Client, resource: Builder) -> None:
        for body in (b"[]", b"7", b'"text"', b"null", b"true", b"[{}]", b""):
            response = client.post(resource.path, content=body, headers={"Content-Type": "application/json"})
            assert_malformed(response, "body")

    def test_refuses_a_reference_that_points_nowhere(self, client: httpx.Client, resource: Builder) -> None:
        for name in resource.references:
            thing = "".join(word.capitalize() for word in name.removesuffix("_id").split("_"))
            body = resource.body(client)
            before = count(client, resource)
            for nowhere in NOWHERE:
                response = client.post(resource.path, json=body | {name: nowhere})
                assert_problem(response, 404, f"{thing} with id {nowhere} not found")
            assert count(client, resource) == before

    def test_refuses_a_reference_that_is_no_integer(self, client: httpx.Client, resource: Builder) -> None:
        values: tuple[Any, ...] = ("1", 1.5, True, [1], {})
        for value in values:
            response = client.post(resource.path, json=dict.fromkeys(resource.references, value))
            for name in resource.references:
                assert_malformed(response, "body", name)


class TestRead:
    def test_an_id_that_does_not_exist(self, client: httpx.Client, resource: Builder) -> None:
        for row_id in NOWHERE:
            url = f"{resource.path}/{row_id}"
            message = f"{resource.thing} with id {row_id} not found"
            assert_problem(client.get(url), 404, message)
            assert_problem(client.put(url, json={}), 404, message)
            assert_problem(client.patch(url, json={}), 404, message)
            assert_problem(client.delete(url), 404, message)
            assert client.head(url).status_code == 404

    def test_an_id_that_is_no_integer(self, client: httpx.Client, resource: Builder) -> None:
        for row_id in ("one", "1_0", "+1", "1.0", "0x1", "١", "1%2C2", "%20"):
            assert_malformed(client.get(f"{resource.path}/{row_id}"), "path", "id_key")

    def test_no_call_takes_an_unknown_parameter(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = url_of(resource, row)
        for method, path, body in (
            ("GET", resource.path, None),
            ("POST", resource.path, resource.body(client)),
            ("GET", url, None),
            ("PUT", url, resource.change(row)),
            ("PATCH", url, resource.change(row)),
            ("DELETE", url, None),
        ):
            response = client.request(method, path, params={"limitt": "5"}, json=body)
            assert_malformed(response, "query", "limitt")
        assert stored(client, resource, row) == row

    def test_every_call_lets_the_parameters_of_others_through(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = url_of(resource, row)
        others = {"_": "1731751200", "utm_source": "letter"}
        assert client.get(resource.path, params=others).status_code == 200
        assert client.get(url, params=others).json() == row
        assert client.put(url, params=others, json=resource.change(row)).status_code == 200
        assert client.post(resource.path, params=others, json=resource.body(client)).status_code == 201
        assert client.delete(url, params=others).status_code == 204


class TestChange:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_changes_only_what_is_sent(self, client: httpx.Client, resource: Builder, method: str) -> None:
        row = resource(client)
        # What the rows around it have done to it since, such as the total of an order, is no concern here.
        row = stored(client, resource, row)
        change = resource.change(row)
        response = client.request(method, url_of(resource, row), json=change)
        assert response.status_code == 200, response.text
        assert_headers(response)
        changed = response.json()
        assert changed == row | change | {"updated_at": changed["updated_at"]}
        assert changed["updated_at"] > row["updated_at"]
        assert stored(client, resource, row) == changed

    def test_takes_back_a_whole_row_as_it_was_read(self, client: httpx.Client, resource: Builder) -> None:
        row = stored(client, resource, resource(client))
        response = client.put(url_of(resource, row), json=row)
        assert response.status_code == 200, response.text
        assert response.json() == row

    def test_takes_back_a_whole_row_with_one_change(self, client: httpx.Client, resource: Builder) -> None:
        row = stored(client, resource, resource(client))
        change = resource.change(row)
        response = client.put(url_of(resource, row), json=row | change)
        assert response.status_code == 200, response.text
        assert response.json() == row | change | {"updated_at": response.json()["updated_at"]}

    def test_nothing_sent_is_no_change(self, client: httpx.Client, resource: Builder) -> None:
        row = stored(client, resource, resource(client))
        assert client.put(url_of(resource, row), json={}).json() == row

    def test_refuses_what_was_read_before_somebody_elses_change(self, client: httpx.Client, resource: Builder) -> None:
        row = stored(client, resource, resource(client))
        changed = client.put(url_of(resource, row), json=resource.change(row)).json()
        message = f"{resource.thing} {row['id_key']} has changed since it was read"
        for body in (row, {"updated_at": row["updated_at"]}, row | resource.change(changed)):
            assert_problem(client.put(url_of(resource, row), json=body), 409, message)
        assert stored(client, resource, row) == changed

    def test_ignores_what_is_read_only(self, client: httpx.Client, resource: Builder) -> None:
        row = stored(client, resource, resource(client))
        response = client.put(url_of(resource, row), json={"id_key": row["id_key"] + 1, "created_at": "long ago"})
        assert response.json() == row

    def test_refuses_null_where_the_table_requires_a_value(self, client: httpx.Client, resource: Builder) -> None:
        row = stored(client, resource, resource(client))
        for name in (*resource.required, *resource.defaulted):
            assert_malformed(client.put(url_of(resource, row), json={name: None}), "body", name)
        assert stored(client, resource, row) == row

    def test_null_empties_what_may_be_empty(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        response = client.put(url_of(resource, row), json=dict.fromkeys(resource.nullable))
        assert response.status_code == 200, response.text
        assert all(response.json()[name] is None for name in resource.nullable)
        take_away(client, resource, response.json())

    def test_refuses_an_unknown_field(self, client: httpx.Client, resource: Builder) -> None:
        row = stored(client, resource, resource(client))
        response = client.put(url_of(resource, row), json=resource.change(row) | {"colour": "red"})
        assert_malformed(response, "body", "colour")
        assert stored(client, resource, row) == row

    def test_refuses_a_reference_that_points_nowhere(self, client: httpx.Client, resource: Builder) -> None:
        row = stored(client, resource, resource(client))
        for name in resource.references:
            if (resource.thing, name) == ("OrderDetail", "order_id"):
                continue  # It is fixed: see test_order_details.py.
            thing = "".join(word.capitalize() for word in name.removesuffix("_id").split("_"))
            for nowhere in NOWHERE:
                response = client.put(url_of(resource, row), json={name: nowhere})
                assert_problem(response, 404, f"{thing} with id {nowhere} not found")
        assert stored(client, resource, row) == row


class TestDelete:
    def test_answers_nothing_and_the_row_is_gone(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        response = client.delete(url_of(resource, row))
        assert response.status_code == 204
        assert response.content == b""
        assert "Content-Type" not in response.headers
        assert_headers(response)
        message = f"{resource.thing} with id {row['id_key']} not found"
        assert_problem(client.get(url_of(resource, row)), 404, message)
        assert_problem(client.delete(url_of(resource, row)), 404, message)


def test_a_trailing_slash_makes_no_difference(client: httpx.Client, resource: Builder) -> None:
    response = client.post(f"{resource.path}/", json=resource.body(client))
    assert response.status_code == 201
    row = response.json()
    url = url_of(resource, row)
    assert response.headers["Location"] == url
    assert client.get(f"{url}/").json() == client.get(url).json()
    listed = client.get(f"{resource.path}/", params={"after": row["id_key"] - 1})
    assert listed.status_code == 200
    assert listed.json() == client.get(resource.path, params={"after": row["id_key"] - 1}).json()
    assert client.head(f"{url}/").status_code == 200
    assert client.put(f"{url}/", json=resource.change(row)).status_code == 200
    assert client.patch(f"{url}/", json={}).status_code == 200
    assert client.delete(f"{url}/").status_code == 204
