"""Hostile or clumsy bodies, row by row: I1 to I3."""

import json
import tracemalloc
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.builders import unique
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
