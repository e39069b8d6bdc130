"""Logins, their tokens, and what they tell nobody (A4)."""

import httpx
import pytest
from argon2 import PasswordHasher

from tests.identity.accounts import PASSWORD, AccountShop, bearer
from tests.race.databases import rows_of

pytestmark = pytest.mark.integration


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


class TestLogin:
    @pytest.mark.parametrize("path", ["/auth/login", "/login", "/login/"])
    def test_by_name_or_address_in_any_spelling(self, accounts: AccountShop, path: str) -> None:
        user = accounts.user()
        for name in (user.username, user.username.upper(), user.email, user.email.upper(), f" {user.username} "):
            response = accounts.http.post(path, json={"username": name, "password": PASSWORD})
            assert response.status_code == 200, response.text
            tokens = response.json()
            assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
            assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
            assert response.headers["cache-control"] == "private, no-store"
            me = accounts.http.get("/me", headers=bearer(tokens["access_token"]))
            assert me.json()["id_key"] == user.id

    def test_by_the_form_of_oauth(self, accounts: AccountShop) -> None:
        user = accounts.user()
        form = {"grant_type": "password", "username": user.email, "password": PASSWORD, "scope": "", "client_id": ""}
        assert accounts.http.post("/auth/login", data=form).status_code == 200
        assert accounts.http.post("/auth/login", data=form | {"cookie": "true"}).json().keys() == {
            "access_token",
            "token_type",
            "expires_in",
        }

    @pytest.mark.parametrize(
        "body",
        [
            b"username=a&username=b&password=x",
            b"username=a&password=%ff",
            b"username=a&password=%00&x=1",
            b"username=\xff",
            b"&".join(b"x%d=1" % number for number in range(30)),
            b"username=a&password=x&grant_type=client_credentials",
            b"username=a&password=x&cookie=maybe",
            b"",
        ],
    )
    def test_a_malformed_form_is_refused(self, accounts: AccountShop, body: bytes) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        assert accounts.http.post("/login", content=body, headers=headers).status_code == 422

    def test_unknown_wrong_disabled_and_without_a_password_are_told_the_same(self, accounts: AccountShop) -> None:
        wrong, disabled, without = accounts.user(), accounts.user(), accounts.user()
        disabled.set("is_active = false")
        without.set("password_hash = NULL")
        bodies = [
            {"username": "nobody-at-all", "password": PASSWORD},
            {"username": "nobody@example.com", "password": PASSWORD},
            {"username": wrong.username, "password": "another horse"},
            {"username": wrong.username, "password": "x"},
            {"username": disabled.username, "password": PASSWORD},
            {"username": without.username, "password": PASSWORD},
            {"username": "a\u0301\u212a@\u3002.", "password": "\ufdfa" * 256},
        ]
        responses = [accounts.http.post("/auth/login", json=body, headers={"X-Request-ID": "one"}) for body in bodies]
        assert {code_of(response) for response in responses} == {(401, "invalid_credentials")}
        assert len({response.text for response in responses}) == 1
        assert {response.headers["www-authenticate"] for response in responses} == {'Bearer realm="shop"'}

    def test_a_password_has_one_meaning_in_all_unicode_forms(self, accounts: AccountShop) -> None:
        user = accounts.user(password="caf\u00e9 \u212a \ufb01 long")
        login = {"username": user.username, "password": "cafe\u0301 K fi long"}
        assert accounts.http.post("/auth/login", json=login).status_code == 200

    @pytest.mark.parametrize("length", [257, 100_000])
    def test_a_long_password_is_refused_without_a_hash(self, accounts: AccountShop, length: int) -> None:
        response = accounts.http.post("/auth/login", json={"username": "ada", "password": "x" * length})
        assert code_of(response) == (422, "validation_error")
        assert "xxx" not in response.text

    def test_ten_megabytes_are_too_many(self, accounts: AccountShop) -> None:
        response = accounts.http.post("/auth/login", json={"username": "ada", "password": "x" * 10_000_000})
        assert code_of(response) == (413, "body_too_large")

    def test_a_hash_of_old_parameters_is_made_anew(self, accounts: AccountShop) -> None:
        user = accounts.user()
        old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
        user.set(f"password_hash = '{old}'")
        user.log_in()
        ((stored,),) = rows_of(accounts.database_url, "SELECT password_hash FROM users WHERE id_key = %s", user.id)
        assert "m=19456,t=2,p=1" in stored
        user.log_in()

    def test_it_is_noted_when_and_from_where(self, accounts: AccountShop) -> None:
        user = accounts.user()
        assert user("GET", "/me").json()["last_login_at"] is not None
        (session,) = user("GET", "/auth/sessions").json()
        assert session["address"] == "127.0.0.1"
        assert session["device"].startswith("python-httpx")
        assert session["is_current"] is True


class TestValidateToken:
    def test_a_valid_token_tells_whose_it_is(self, accounts: AccountShop) -> None:
        user = accounts.user()
        user.set("role = 'staff'")
        for path in ("/auth/validate-token", "/validate-token"):
            state = accounts.http.post(path, json={"token": user.tokens["access_token"]}).json()
            assert (state["valid"], state["user_id"], state["username"]) == (True, user.id, user.username)
            assert (state["role"], "catalog:write" in state["scopes"], state["expires_at"][-1]) == ("staff", True, "Z")

    def test_any_other_is_not_valid_and_nothing_else_is_told(self, accounts: AccountShop) -> None:
        user = accounts.user()
        head, _, rest = user.tokens["access_token"].partition(".")
        others = ["x", f"{head}.{rest[:-4]}AAAA", user.expired_token(), user.api_key(), user.tokens["refresh_token"]]
        user("POST", "/auth/logout")
        for token in (*others, user.tokens["access_token"], "x" * 100_000):
            response = accounts.http.post("/auth/validate-token", json={"token": token})
            assert (response.status_code, response.json()) == (200, {"valid": False})
