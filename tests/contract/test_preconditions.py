"""Entity tags: `If-None-Match` spares an answer, `If-Match` protects a change."""

import re

import httpx
import pytest

from tests.builders import Builder, Row, a_category, a_client, a_product, an_order
from tests.contract.answers import assert_headers, assert_problem

pytestmark = pytest.mark.integration

TAG = re.compile(r'(W/)?"[\x21\x23-\x7e]+"')


def url_of(resource: Builder, row: Row) -> str:
    return f"{resource.path}/{row['id_key']}"


class TestTag:
    def test_is_on_every_answer_that_is_one_row(self, client: httpx.Client, resource: Builder) -> None:
        made = client.post(resource.path, json=resource.body(client))
        url = made.headers["Location"]
        read = client.get(url)
        changed = client.put(url, json=resource.change(made.json()))
        tags = [answer.headers["ETag"] for answer in (made, read, changed, client.get(url))]
        assert all(TAG.fullmatch(tag) for tag in tags)
        assert tags[0] == tags[1] != tags[2] == tags[3]

    def test_stays_while_nothing_changes(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = url_of(resource, row)
        tag = client.get(url).headers["ETag"]
        assert client.put(url, json={}).headers["ETag"] == tag

    def test_differs_between_rows(self, client: httpx.Client, resource: Builder) -> None:
        first, second = resource(client), resource(client)
        tags = [client.get(url_of(resource, row)).headers["ETag"] for row in (first, second)]
        assert tags[0] != tags[1]

    @pytest.mark.parametrize("resource", [a_product, a_category], ids=["products", "categories"], indirect=False)
    def test_is_on_cached_lists(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        listed = client.get(resource.path, params={"after": row["id_key"] - 1})
        same = {"If-None-Match": listed.headers["ETag"]}
        assert client.get(resource.path, params={"after": row["id_key"] - 1}, headers=same).status_code == 304
        client.put(url_of(resource, row), json=resource.change(row))
        changed = client.get(resource.path, params={"after": row["id_key"] - 1}, headers=same)
        assert changed.status_code == 200
        assert changed.headers["ETag"] != listed.headers["ETag"]


class TestIfNoneMatch:
    def test_answers_304_without_a_body(self, client: httpx.Client, resource: Builder) -> None:
        url = url_of(resource, resource(client))
        tag = client.get(url).headers["ETag"]
        for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            response = client.get(url, headers={"If-None-Match": header})
            assert response.status_code == 304, header
            assert response.content == b""
            assert response.headers["ETag"] == tag
            assert_headers(response)
        assert client.head(url, headers={"If-None-Match": tag}).status_code == 304

    def test_answers_the_row_once_it_has_changed(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = url_of(resource, row)
        tag = client.get(url).headers["ETag"]
        changed = client.put(url, json=resource.change(row)).json()
        response = client.get(url, headers={"If-None-Match": tag})
        assert response.status_code == 200
        assert response.json() == changed

    @pytest.mark.parametrize("header", ['"other"', "", '""', "nonsense", ","])
    def test_a_tag_of_something_else_spares_nothing(self, client: httpx.Client, header: str) -> None:
        url = url_of(a_client, a_client(client))
        assert client.get(url, headers={"If-None-Match": header}).status_code == 200

    def test_follows_what_is_expanded(self, client: httpx.Client) -> None:
        order = an_order(client)
        url = f"/orders/{order['id_key']}"
        expanded = client.get(url, params={"expand": "client"})
        assert expanded.headers["ETag"] != client.get(url).headers["ETag"]
        client.put(f"/clients/{order['client_id']}", json={"name": "Grace"})
        again = client.get(url, params={"expand": "client"}, headers={"If-None-Match": expanded.headers["ETag"]})
        assert again.status_code == 200
        assert again.json()["client"]["name"] == "Grace"


class TestIfNoneMatchOfAChange:
    def test_refuses_while_the_row_is_at_that_version(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = url_of(resource, row)
        row, tag = client.get(url).json(), client.get(url).headers["ETag"]
        for method in ("PUT", "PATCH", "DELETE"):
            for header in ("*", tag, f"W/{tag}", f'"other", {tag}'):
                refused = client.request(
                    method, url, headers={"If-None-Match": header}, json=None if method == "DELETE" else {}
                )
                assert assert_problem(refused, 412)["code"] == "precondition_failed"
        assert client.get(url).json() == row

    def test_lets_through_at_any_other(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = url_of(resource, row)
        old = client.get(url).headers["ETag"]
        assert client.put(url, json=resource.change(row), headers={"If-None-Match": '"other"'}).status_code == 200
        for header in (old, "", f"W/{old}"):
            assert client.put(url, json={}, headers={"If-None-Match": header}).status_code == 200
        assert client.delete(url, headers={"If-None-Match": old}).status_code == 204

    def test_a_row_that_is_not_there_is_missing_all_the_same(self, client: httpx.Client, resource: Builder) -> None:
        for method in ("PUT", "PATCH"):
            missing = client.request(method, f"{resource.path}/0", json={}, headers={"If-None-Match": "*"})
            assert_problem(missing, 404)

    def test_the_tag_of_a_row_with_others_inside_is_a_tag_of_the_row(self, client: httpx.Client) -> None:
        url = f"/orders/{an_order(client)['id_key']}"
        tag = client.get(url, params={"expand": "client"}).headers["ETag"]
        assert_problem(client.put(url, json={}, headers={"If-None-Match": tag}), 412)

    def test_both_conditions_must_hold(self, client: httpx.Client) -> None:
        row = a_client(client)
        tag = client.get(url_of(a_client, row)).headers["ETag"]
        for headers in ({"If-Match": tag, "If-None-Match": tag}, {"If-Match": '"other"', "If-None-Match": '"other"'}):
            assert_problem(client.put(url_of(a_client, row), json={}, headers=headers), 412)
        held = {"If-Match": tag, "If-None-Match": '"other"'}
        assert client.put(url_of(a_client, row), json={}, headers=held).status_code == 200


class TestIfMatch:
    def test_refuses_when_the_row_has_changed(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = url_of(resource, row)
        old = client.get(url).headers["ETag"]
        changed = client.put(url, json=resource.change(row)).json()
        for header in (old, '"other"', f'"other", {old}'):
            if_match = {"If-Match": header}
            assert_problem(client.put(url, json=resource.change(changed), headers=if_match), 412)
            assert_problem(client.patch(url, json=resource.change(changed), headers=if_match), 412)
            assert_problem(client.delete(url, headers=if_match), 412)
        assert client.get(url).json() == changed

    def test_lets_through_when_it_has_not(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        url = url_of(resource, row)
        tag = client.get(url).headers["ETag"]
        for method in ("PUT", "PATCH"):
            for several in ("{}", '"other", {}', "*"):
                if_match = {"If-Match": several.replace("{}", tag)}
                response = client.request(method, url, json=resource.change(row), headers=if_match)
                assert response.status_code == 200, response.text
                row, tag = response.json(), response.headers["ETag"]
        assert client.delete(url, headers={"If-Match": tag}).status_code == 204

    def test_a_tag_that_a_proxy_made_weak_names_its_version(self, client: httpx.Client) -> None:
        row = a_client(client)
        weak = {"If-Match": f"W/{client.get(url_of(a_client, row)).headers['ETag']}"}
        assert client.put(url_of(a_client, row), json={"name": "Grace"}, headers=weak).status_code == 200
        # It is another version now.
        assert_problem(client.put(url_of(a_client, row), json={"name": "Ada"}, headers=weak), 412)
