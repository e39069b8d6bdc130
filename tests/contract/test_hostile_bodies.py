"""Hostile or clumsy bodies, row by row: I1 to I3."""

import json
import tracemalloc
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.builders import a_category, a_client, unique
from tests.contract.answers import assert_malformed, assert_problem

pytestmark = pytest.mark.integration

JSON = {"Content-Type": "application/json"}
MEBIBYTE = 1024 * 1024


class TestI1BodiesThatAreTooLarge:
    @pytest.mark.parametrize("path", ["/clients", "/checkout", "/products/1/stock"])
    def test_with_a_length(self, client: httpx.Client, path: str) -> None:
        assert_problem(client.post(path, content=b" " * (MEBIBYTE + 1), headers=JSON), 413)

    def test_without_one_and_the_memory_stays_flat(self, client: httpx.Client) -> None:
        def chunks() -> Iterator[bytes]:
            for _ in range(24 * 16):
                yield b" " * 65536

        tracemalloc.start()
        try:
            response = client.post("/clients", content=chunks(), headers=JSON)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert_problem(response, 413)
        assert peak < 6 * MEBIBYTE

    def test_of_the_largest_size_they_are_read(self, client: httpx.Client) -> None:
        body = b'{"name": "x"' + b" " * (MEBIBYTE - 13) + b"}"
        assert len(body) == MEBIBYTE
        assert_malformed(client.post("/clients", content=body, headers=JSON), "body")

    def test_bulk_takes_sixteen_times_as_much(self, client: httpx.Client) -> None:
        full = b"[" + b" " * (16 * MEBIBYTE - 2) + b"]"
        assert_malformed(client.post("/clients/bulk", content=full, headers=JSON), "body")
        assert_problem(client.post("/clients/bulk", content=full + b" ", headers=JSON), 413)


class TestI2JsonThatIsNone:
    VALUES = [
        b"[" * 20_000 + b"]" * 20_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b"[" * 20_000,
        b"9" * 5_000,
        b"-" + b"9" * 5_000,
        b"0." + b"9" * 5_000,
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b"-1e400",
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xff\xfe"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\\u0000"',
        b'"\x00"',
        b'"\n"',
        b"0x10",
        b"01",
        b"'x'",
    ]

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value[:12]))
    def test_as_a_value(self, client: httpx.Client, value: bytes) -> None:
        for body in (b'{"name": %s}', b'{"name": "x", "price": %s}', b'{"lines": [{"quantity": %s}]}', b"%s", b"[%s]"):
            for path in ("/products", "/checkout", "/categories/bulk"):
                response = client.post(path, content=body.replace(b"%s", value), headers=JSON)
                assert_malformed(response, "body")

    @pytest.mark.parametrize("key", [b"\\ud800", b"\xff", b"\\u0000", b"\x00", b"a" * 10_000, b"\\u001b[31m"])
    def test_as_a_key(self, client: httpx.Client, key: bytes) -> None:
        for path in ("/categories", "/checkout"):
            assert_malformed(client.post(path, content=b'{"' + key + b'": 1}', headers=JSON), "body")

    def test_with_a_key_that_makes_it_repeatable(self, client: httpx.Client) -> None:
        for value in self.VALUES:
            headers = JSON | {"Idempotency-Key": uuid.uuid4().hex}
            content = b'{"name": "x", "price": ' + value + b"}"
            assert_malformed(client.post("/products", content=content, headers=headers), "body")

    def test_a_pair_of_surrogates_is_a_character(self, client: httpx.Client) -> None:
        content = b'{"name": "%s \\ud83d\\ude00"}' % unique("smile").encode()
        response = client.post("/categories", content=content, headers=JSON)
        assert response.json()["name"].endswith(" \U0001f600")

    @pytest.mark.parametrize("name", ["%00", "a%00b"])
    def test_nul_in_a_query(self, client: httpx.Client, name: str) -> None:
        assert_malformed(client.get(f"/categories?name={name}"), "query", "name")

    @pytest.mark.parametrize(
        "query", ["name=%FF", "name=%ED%A0%80", "q=%C0%AF", "%FF=1", "%00=1", "sort=%FF", "limit=%D9%A1"]
    )
    def test_invalid_utf8_in_a_query(self, client: httpx.Client, query: str) -> None:
        response = client.get(f"/categories?{query}")
        assert response.status_code in (200, 422)
        json.loads(response.content.decode("utf-8"))


def test_i3_the_last_of_duplicate_keys_wins(client: httpx.Client) -> None:
    name = unique("last")
    content = json.dumps({"name": name}).replace('{"', '{"name": "", "name": null, "')
    response = client.post("/categories", content=content.encode(), headers=JSON)
    assert response.status_code == 201
    assert response.json()["name"] == name
    assert_malformed(client.post("/categories", content=b'{"name": "x", "name": ""}', headers=JSON), "body", "name")


class TestManyErrors:
    """Of the errors of a request 100 are told, and that there are more."""

    UNKNOWN = ",".join(f'"{n}":0' for n in range(100_000))
    LINE = ",".join(f'"{n}":0' for n in range(120))

    @staticmethod
    def assert_cut(response: httpx.Response) -> None:
        assert_problem(response, 422)
        body = response.json()
        assert len(body["detail"]) == 100
        assert body["more_errors"] is True
        assert "there are more" in body["message"]
        assert len(response.content) <= 64 * 1024

    @pytest.mark.parametrize("path", ["/products", "/clients", "/checkout", "/orders", "/products/1/stock"])
    def test_of_one_body(self, client: httpx.Client, path: str) -> None:
        for content in (f"{{{self.UNKNOWN}}}", f"{{{self.LINE}}}"):
            self.assert_cut(client.post(path, content=content, headers=JSON))

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_of_a_change(self, client: httpx.Client, method: str) -> None:
        self.assert_cut(client.request(method, "/products/1", content=f"{{{self.UNKNOWN}}}", headers=JSON))

    @pytest.mark.parametrize("path", ["/products/bulk", "/categories/bulk", "/clients/bulk", "/products/bulk_delete"])
    def test_of_rows(self, client: httpx.Client, path: str) -> None:
        many = ",".join([f"{{{self.LINE}}}"] * 1000)
        for rows in (
            f"[{{{self.UNKNOWN}}}]",
            f"[{many}]",
            "[" + ",".join(["{}"] * 9000) + "]",
            "[" + "1.5," * 10**6 + "1]",
        ):
            self.assert_cut(client.post(path, content=rows, headers=JSON))

    def test_of_lines(self, client: httpx.Client) -> None:
        for path in ("/checkout", "/orders/1/returns"):
            for line in ("{}", f"{{{self.LINE}}}", '"x"'):
                lines = ",".join([line] * 400)
                self.assert_cut(client.post(path, content=f'{{"lines":[{lines}]}}', headers=JSON))

    def test_of_a_query(self, client: httpx.Client) -> None:
        for count in (150, 7000):
            query = "&".join(f"n{n}=1" for n in range(count))
            self.assert_cut(client.get(f"/products?{query}"))

    def test_one_hundred_are_all_of_them(self, client: httpx.Client) -> None:
        name = unique("hundred")
        response = client.post("/categories", json={"name": name} | {f"n{n}": 0 for n in range(100)})
        assert len(response.json()["detail"]) == 100
        assert "more_errors" not in response.json()

    def test_a_long_name_is_cut(self, client: httpx.Client) -> None:
        response = client.post("/categories", json={"name": "x", "y" * 500_000: 1})
        assert_problem(response, 422)
        assert response.json()["detail"][0]["loc"][1].startswith("yyyy")
        assert len(response.content) < 1000

    def test_a_row_that_is_too_large_is_published_what_is_wrong_with_its_beginning(self, client: httpx.Client) -> None:
        content = '[{"name": 5, "nmae": 1, "created_at": [' + "1," * 100_000 + "1]}]"
        response = client.post("/categories/bulk", content=content, headers=JSON)
        assert [error["loc"] for error in response.json()["detail"]] == [
            ["body", 0, "name"],
            ["body", 0, "nmae"],
            ["body"],
        ]
        assert "more than" in response.json()["detail"][-1]["msg"]

    def test_an_order_can_be_sent_back_with_all_its_lines(self, client: httpx.Client) -> None:
        category = a_category(client)
        line = {"id_key": 1, "created_at": "2026-11-16T10:00:00Z", "price": 1.5, "order_id": 1, "product_id": 1}
        sent = {"name": category["name"], "id_key": [line] * 9000}
        response = client.put(f"/categories/{category['id_key']}", json=sent)
        assert response.status_code == 200, response.text


def test_what_is_short_is_published_of_every_product(client: httpx.Client) -> None:
    category = a_category(client)["id_key"]
    rows = [{"name": unique("short"), "price": 1, "category_id": category} for _ in range(250)]
    products = client.post("/products/bulk", json=rows).json()
    buyer = a_client(client)
    lines = [{"product_id": product["id_key"], "quantity": 2} for product in products]
    order = {"client_id": buyer["id_key"], "delivery_method": 1, "payment_type": "cash", "lines": lines}
    response = client.post("/checkout", json=order)
    assert_problem(response, 400)
    assert len(response.json()["errors"]) == 250
