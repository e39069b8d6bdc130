"""Odd texts in the bodies of accounts are refused, and never a fault."""

from typing import Any

import pytest

from tests.identity.accounts import AccountShop, registration

pytestmark = pytest.mark.integration

ODD = ['"\\ud800"', '"\\u0000"', '"é\\u212a"', '""', '" "', "null", "7", "true", "[]", "{}", '"' + "x" * 30_000 + '"']
CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("/auth/login", {"username": "ada", "password": "x"}, "username"),
    ("/auth/login", {"username": "ada", "password": "x"}, "password"),
    ("/auth/login", {"username": "ada", "password": "x"}, "client_secret"),
    ("/auth/refresh", {}, "refresh_token"),
    ("/auth/validate-token", {}, "token"),
    ("/auth/password/forgot", {}, "email"),
    ("/auth/password/reset", {"password": "correct horse battery"}, "token"),
    ("/auth/email/verify", {}, "token"),
    ("/auth/email/resend", {}, "email"),
    *(("/auth/register", registration(), field) for field in ("username", "email", "password", "full_name")),
]


@pytest.mark.parametrize(("path", "body", "field"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_each_is_an_answer_of_the_contract(accounts: AccountShop, path: str, body: dict[str, Any], field: str) -> None:
    given = "".join(f'"{name}": "{text}", ' for name, text in body.items() if name != field)
    for odd in ODD:
        content = f'{{{given}"{field}": {odd}}}'.encode()
        response = accounts.http.post(path, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code in (200, 201, 202, 400, 401, 409, 422), (odd[:20], response.text)
        assert "x" * 100 not in response.text
