"""What a request has taken its time for, told to who asks."""

import re

import httpx
import pytest

from tests.builders import a_category, a_client

pytestmark = pytest.mark.integration

ASKED = {"Server-Timing": "?1"}
TOTAL = r"total;dur=\d+\.\d\d"
DATABASE = r", db;dur=\d+\.\d\d"


def timing(response: httpx.Response) -> str:
    assert response.status_code < 400, response.text
    return str(response.headers["Server-Timing"])


def test_nobody_is_told_who_does_not_ask(client: httpx.Client) -> None:
    assert "Server-Timing" not in client.get("/products").headers


def test_the_database_is_a_part_of_it(client: httpx.Client) -> None:
    row = a_client(client)
    assert re.fullmatch(TOTAL + DATABASE, timing(client.get(f"/clients/{row['id_key']}", headers=ASKED)))
    body = {"name": "Ada"}
    assert re.fullmatch(TOTAL + DATABASE, timing(client.patch(f"/clients/{row['id_key']}", json=body, headers=ASKED)))


def test_the_cache_too(client: httpx.Client) -> None:
    path = f"/categories/{a_category(client)['id_key']}"
    assert re.fullmatch(f"{TOTAL}({DATABASE})?, cache;desc=miss", timing(client.get(path, headers=ASKED)))
    # Once it is known how it is answered, too.
    for _ in range(3):
        assert re.fullmatch(f"{TOTAL}, cache;desc=hit", timing(client.get(path, headers=ASKED)))
        assert "Server-Timing" not in client.get(path).headers


def test_accounts_are_not_to_be_found_out_by_it(client: httpx.Client) -> None:
    for path in ("/auth/login", "/login"):
        response = client.post(path, data={"username": "nobody", "password": "wrong"}, headers=ASKED)
        assert response.status_code == 401
        assert "Server-Timing" not in response.headers
