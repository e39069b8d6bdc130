"""Errors: one shape for all of them, and what each kind adds to it."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg2
import pytest

from tests.builders import Row, a_category, a_client, a_product, an_order, an_order_detail
from tests.contract.answers import assert_headers, assert_malformed, assert_problem
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

JSON = {"Content-Type": "application/json"}


class TestKinds:
    def test_not_found(self, client: httpx.Client) -> None:
        body = assert_problem(client.get("/clients/0"), 404, "Client with id 0 not found")
        assert (body["code"], body["title"]) == ("not_found", "Not Found")
        assert body["message"] == "Client with id 0 not found"

    def test_unknown_path(self, client: httpx.Client) -> None:
        assert assert_problem(client.get("/nothing/here?x=1"), 404)["instance"] == "/nothing/here"

    def test_broken_rule(self, client: httpx.Client) -> None:
        product, order = a_product(client, stock=1), an_order(client)
        detail = {"order_id": order["id_key"], "product_id": product["id_key"], "quantity": 2}
        body = assert_problem(client.post("/order_details", json=detail), 400)
        assert (body["code"], body["title"]) == ("insufficient_stock", "Bad Request")

    def test_conflict(self, client: httpx.Client) -> None:
        category = a_category(client)
        response = client.post("/categories", json={"name": category["name"]})
        assert assert_problem(response, 409)["title"] == "Conflict"

    def test_precondition_failed(self, client: httpx.Client) -> None:
        url = f"/clients/{a_client(client)['id_key']}"
        assert_problem(client.delete(url, headers={"If-Match": '"other"'}), 412)

    def test_malformed_input(self, client: httpx.Client) -> None:
        secret = "hunter2-is-my-password"
        response = client.post("/clients", json={"name": secret, "email": secret, "password": secret})
        body = assert_malformed(response, "body", "email")
        assert body["code"] == "validation_error"
        assert secret not in response.text
        assert {tuple(error["loc"]) for error in body["detail"]} == {
            ("body", "lastname"),
            ("body", "email"),
            ("body", "password"),
        }

    def test_malformed_row_of_many(self, client: httpx.Client) -> None:
        response = client.post("/categories/bulk", json=[{"name": "fine"}, {"name": ""}])
        assert_malformed(response, "body", 1, "name")

    def test_malformed_query(self, client: httpx.Client) -> None:
        body = assert_malformed(client.get("/clients?limit=0&skip=-1&after=x"), "query", "limit")
        assert {tuple(error["loc"]) for error in body["detail"]} >= {("query", "limit"), ("query", "skip")}

    def test_malformed_json(self, client: httpx.Client) -> None:
        assert_malformed(client.post("/clients", content=b'{"secret": "hunter2', headers=JSON), "body")

    def test_wrong_media_type(self, client: httpx.Client) -> None:
        response = client.post("/clients", content=b"name=Ada", headers={"Content-Type": "text/plain"})
        assert assert_problem(response, 415)["title"] == "Unsupported Media Type"

    def test_body_too_large(self, client: httpx.Client) -> None:
        response = client.post("/clients", content=b" " * (1024 * 1024 + 1), headers=JSON)
        assert_problem(response, 413)

    def test_wrong_method(self, client: httpx.Client) -> None:
        assert assert_problem(client.delete("/clients"), 405)["title"] == "Method Not Allowed"

    def test_every_kind_has_a_code_of_its_own(self, client: httpx.Client) -> None:
        detail = an_order_detail(client)
        order = f"/orders/{detail['order_id']}"
        short = {"order_id": detail["order_id"], "product_id": detail["product_id"], "quantity": 10**6}
        responses = [
            client.get("/clients/0"),
            client.get("/clients?limit=0"),
            client.post("/order_details", json=short),
            client.post("/order_details", json=short | {"quantity": 1, "price": 1}),
            client.put(order, json={"total": 1}),
            client.put(order, json={"status": 3}),
            client.put(order, json={"updated_at": "2000-01-01T00:00:00Z"}),
            client.delete(f"/products/{detail['product_id']}"),
            client.put(order, json={}, headers={"If-Match": '"other"'}),
            client.delete("/clients"),
            client.post("/clients", content=b"x", headers={"Content-Type": "text/plain"}),
        ]
        codes = [response.json()["code"] for response in responses]
        assert len(set(codes)) == len(codes), codes


class TestDatabaseErrors:
    """What the database raises and nobody foresaw; a trigger raises it when a category of that name is written."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def trigger(cls, database_url: str) -> Iterator[None]:
        connection = psycopg2.connect(database_url.replace("+psycopg2", ""))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION explode() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                "  RAISE EXCEPTION 'SELECT secret FROM /usr/lib' USING ERRCODE = substr(NEW.name, 9); END $$;"
                "CREATE TRIGGER explode BEFORE INSERT ON categories FOR EACH ROW"
                "  WHEN (NEW.name LIKE 'explode %') EXECUTE FUNCTION explode()"
            )
            yield
            cursor.execute("DROP TRIGGER explode ON categories; DROP FUNCTION explode")
        connection.close()

    def test_the_unexpected(self, shop_url: str, caplog: pytest.LogCaptureFixture) -> None:
        response = httpx.post(f"{shop_url}/categories", json={"name": "explode P0001"})
        body = assert_problem(response, 500, "Internal server error")
        assert re.fullmatch(r"[0-9a-f]{8}", body["error_id"])
        (record,) = [record for record in caplog.records if body["error_id"] in record.getMessage()]
        assert record.levelname == "ERROR"
        assert record.exc_info is not None

    def test_too_busy(self, client: httpx.Client) -> None:
        response = client.post("/categories", json={"name": "explode 55P03"})
        assert_problem(response, 503)
        assert int(response.headers["Retry-After"]) >= 1


class TestTooManyRequests:
    @pytest.fixture(scope="class")
    @classmethod
    def limited(cls, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
        """A client of a shop that answers three requests in a minute; without Redis, so that nobody else counts."""
        folder: Path = tmp_path_factory.mktemp("limited")
        limits = {"RATE_LIMIT_EXEMPT": "", "RATE_LIMIT_CALLS": "3", "RATE_LIMIT_PERIOD": "60"}
        with (
            shop_in_thread(environment_of(database_url, None, folder, **limits)) as url,
            httpx.Client(base_url=url) as client,
        ):
            yield client

    def test_the_fourth_request(self, limited: httpx.Client) -> None:
        allowed = [limited.get("/categories") for _ in range(3)]
        assert [response.status_code for response in allowed] == [200, 200, 200]
        assert [response.headers["X-RateLimit-Remaining"] for response in allowed] == ["2", "1", "0"]
        assert {response.headers["X-RateLimit-Limit"] for response in allowed} == {"3"}
        response = limited.post("/clients/", json={})
        body = assert_problem(response, 429, "Rate limit exceeded. Maximum 3 requests per 60 seconds.")
        assert 1 <= body["retry_after"] <= 60
        assert response.headers["Retry-After"] == str(body["retry_after"])
        assert response.headers["X-RateLimit-Limit"] == "3"
        assert response.headers["X-RateLimit-Remaining"] == "0"
        assert response.headers["X-RateLimit-Reset"] == str(body["retry_after"])

    @pytest.mark.parametrize("path", ["/health_check", "/health/live", "/health/ready", "/health_check/"])
    def test_health_is_never_limited(self, limited: httpx.Client, path: str) -> None:
        for _ in range(5):
            response = limited.get(path)
            assert response.status_code == 200
            assert_headers(response)


def test_a_refusal_says_nothing_of_other_rows(client: httpx.Client) -> None:
    row: Row = a_client(client)
    response = client.post("/clients", json=a_client.body(client, email=row["email"].upper()))
    assert_problem(response, 409)
    assert row["telephone"] not in response.text
    assert row["name"] not in response.text
