"""Registrations in the three modes, and which client a customer is (A5, A8)."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.embedded.servers import ServerUrls
from tests.identity.accounts import AccountShop, a_name, account_shop, registration
from tests.race.databases import execute, new_database, rows_of

pytestmark = pytest.mark.integration

VERIFY = "verify your e-mail"

Shops = Callable[..., AccountShop]


@pytest.fixture(scope="module")
def shops(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    """Shops with a mode of their own, each started once."""
    started: dict[str, AccountShop] = {}
    with ExitStack() as stack:

        def shop_of(mode: str) -> AccountShop:
            if mode not in started:
                folder: Path = tmp_path_factory.mktemp(mode)
                own = account_shop(new_database(servers.database_url), redis_url, folder, REGISTRATION=mode)
                started[mode] = stack.enter_context(own)
            return started[mode]

        yield shop_of


class TestOpen:
    def test_a_customer_is_a_new_client(self, accounts: AccountShop) -> None:
        body = registration(telephone="+442071234567")
        response = accounts.http.post("/auth/register", json=body)
        assert response.status_code == 201
        user = response.json()
        assert response.headers["cache-control"] == "private, no-store"
        assert response.headers["location"] == f"/users/{user['id_key']}"
        assert (user["username"], user["email"], user["role"]) == (body["username"], body["email"], "customer")
        assert user["email_verified_at"] is None
        assert user["scopes"] == []
        assert user["client_id"] == user["client"]["id_key"]
        assert user["client"]["telephone"] == "+442071234567"
        assert "password" not in response.text

    def test_a_mail_has_the_link_by_which_the_address_is_verified_once(self, accounts: AccountShop) -> None:
        user = accounts.user()
        token = accounts.token(user.email, VERIFY)
        assert accounts.http.post("/auth/email/verify", json={"token": token}).status_code == 204
        assert user("GET", "/auth/me").json()["email_verified_at"] is not None
        again = accounts.http.post("/auth/email/verify", json={"token": token})
        assert (again.status_code, again.json()["code"]) == (400, "account_token_invalid")

    def test_taken_names_and_addresses_are_conflicts_in_any_spelling(self, accounts: AccountShop) -> None:
        user = accounts.user()
        for taken in ({"username": user.username.upper()}, {"email": user.email.upper()}):
            response = accounts.http.post("/register", json=registration(**taken))
            assert (response.status_code, response.json()["code"]) == (409, "already_exists")

    @pytest.mark.parametrize("field", ["role", "is_active", "client_id", "email_verified_at", "id_key", "scopes"])
    def test_what_only_the_shop_may_say_is_refused(self, accounts: AccountShop, field: str) -> None:
        response = accounts.http.post("/auth/register", json=registration() | {field: None})
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["body", field]

    @pytest.mark.parametrize("password", ["short77", "password1", "{username}", "{email}", "ADA LOVELACE", 12345678])
    def test_weak_passwords_are_refused(self, accounts: AccountShop, password: Any) -> None:
        body = registration()
        body["password"] = password.format(**body) if isinstance(password, str) else password
        response = accounts.http.post("/auth/register", json=body)
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["body", "password"]
        assert str(body["password"]) not in response.text or password == "short77"

    def test_an_idempotency_key_is_not_looked_at_and_nothing_is_kept(self, accounts: AccountShop) -> None:
        headers = {"Idempotency-Key": a_name()}
        for _ in range(2):
            response = accounts.http.post("/auth/register", json=registration(), headers=headers)
            assert response.status_code == 201
        kept = rows_of(
            accounts.database_url, "SELECT count(*) FROM idempotency_keys WHERE key = %s", headers["Idempotency-Key"]
        )
        assert kept == [(0,)]

    def test_credentials_are_not_looked_at(self, accounts: AccountShop) -> None:
        for headers in ({"Authorization": "Bearer bad"}, {"Authorization": "Basic eA==", "X-API-Key": "x"}):
            assert accounts.http.post("/auth/register", json=registration(), headers=headers).status_code == 201


class TestKnownClients:
    def test_a_client_with_the_address_is_linked_once_that_is_verified(self, accounts: AccountShop) -> None:
        email = f"{a_name()}@example.com"
        client_id = accounts.a_client(email.upper())
        user = accounts.user(email=email)
        assert (user.user["client_id"], user.user["client"]) == (None, None)
        assert user("GET", "/auth/me").json()["client_id"] is None
        token = accounts.token(email, VERIFY)
        assert accounts.http.post("/auth/email/verify", json={"token": token}).status_code == 204
        assert user("GET", "/auth/me").json()["client_id"] == client_id

    def test_a_client_who_is_another_user_is_not(self, accounts: AccountShop) -> None:
        other, email = accounts.user(), f"{a_name()}@example.com"
        client_id = accounts.a_client(email)
        other.set(f"client_id = {client_id}")
        response = accounts.http.post("/auth/register", json=registration(email=email))
        assert (response.status_code, response.json()["code"]) == (409, "already_exists")

    def test_a_client_who_was_deleted_meanwhile_is_made_anew(self, accounts: AccountShop) -> None:
        email = f"{a_name()}@example.com"
        client_id = accounts.a_client(email)
        user = accounts.user(email=email)
        rows_of(accounts.database_url, "DELETE FROM clients WHERE id_key = %s RETURNING 1", client_id)
        token = accounts.token(email, VERIFY)
        assert accounts.http.post("/auth/email/verify", json={"token": token}).status_code == 204
        linked = user("GET", "/auth/me").json()["client_id"]
        names = rows_of(accounts.database_url, "SELECT name, lastname, email FROM clients WHERE id_key = %s", linked)
        assert names == [("Ada", "Lovelace", email)]


class TestAnotherMail:
    def test_whoever_waits_to_be_verified_gets_another_link(self, shops: Shops) -> None:
        shop, body = shops("verify"), registration()
        shop.http.post("/auth/register", json=body)
        first = shop.token(body["email"], VERIFY)
        resent = shop.http.post("/auth/email/resend", json={"email": body["email"].upper()})
        unknown = shop.http.post("/auth/email/resend", json={"email": f"{a_name()}@example.com"})
        assert (resent.status_code, resent.text) == (202, unknown.text)
        assert resent.headers["cache-control"] == "private, no-store"
        second = newest_token(shop, body["email"], but=first)
        assert shop.http.post("/auth/email/verify", json={"token": second}).status_code == 204
        login = {"username": body["username"], "password": body["password"]}
        assert shop.http.post("/auth/login", json=login).status_code == 200
        # The other link of the same user is used up with it.
        assert shop.http.post("/auth/email/verify", json={"token": first}).status_code == 400

    @pytest.mark.parametrize("state", ["email_verified_at = now()", "is_active = false"])
    def test_nobody_else_gets_one(self, accounts: AccountShop, state: str) -> None:
        user = accounts.user()
        user.set(state)
        tokens = partial(rows_of, user.database_url, "SELECT count(*) FROM account_tokens WHERE user_id = %s", user.id)
        before = tokens()
        assert accounts.http.post("/auth/email/resend", json={"email": user.email}).status_code == 202
        assert tokens() == before

    def test_a_user_whom_the_shop_has_made_gets_a_first_one(self, accounts: AccountShop) -> None:
        user = accounts.user()
        execute(user.database_url, "DELETE FROM account_tokens WHERE user_id = %s", user.id)
        assert accounts.http.post("/auth/email/resend", json={"email": user.email}).status_code == 202
        waiting = rows_of(user.database_url, "SELECT email FROM account_tokens WHERE user_id = %s", user.id)
        assert waiting == [(user.email,)]


def newest_token(shop: AccountShop, recipient: str, but: str) -> str:
    """The token of the mail after the one with the token `but`, once it is there."""
    deadline = time.monotonic() + 30
    while (token := shop.token(recipient, VERIFY)) == but:
        assert time.monotonic() < deadline, "no other mail"
        time.sleep(0.05)
    return token


class TestVerify:
    def test_nobody_learns_what_is_taken_and_the_owner_gets_a_mail(self, shops: Shops) -> None:
        shop = shops("verify")
        first = registration()
        bodies = [
            first,
            registration(email=first["email"].upper()),
            registration(username=first["username"]),
            first,
        ]
        responses = [shop.http.post("/auth/register", json=body) for body in bodies]
        assert {response.status_code for response in responses} == {202}
        assert len({response.text for response in responses}) == 1
        assert shop.mail(first["email"], "already have an account")
        assert shop.mail(bodies[2]["email"], "choose another user name")
        assert rows_of(shop.database_url, "SELECT count(*) FROM users WHERE lower(email) = %s", first["email"]) == [
            (1,)
        ]

    def test_nobody_logs_in_before_the_link_was_followed(self, shops: Shops) -> None:
        shop, body = shops("verify"), registration()
        shop.http.post("/auth/register", json=body)
        login = {"username": body["username"], "password": body["password"]}
        refused = shop.http.post("/auth/login", json=login)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
        shop.http.post("/auth/email/verify", json={"token": shop.token(body["email"], VERIFY)})
        assert shop.http.post("/auth/login", json=login).status_code == 200

    def test_a_new_password_by_mail_verifies_too(self, shops: Shops) -> None:
        shop, body = shops("verify"), registration()
        shop.http.post("/auth/register", json=body)
        shop.http.post("/auth/password/forgot", json={"email": body["email"]})
        token = shop.token(body["email"], "new password")
        new = {"token": token, "password": "another horse battery"}
        assert shop.http.post("/auth/password/reset", json=new).status_code == 204
        login = {"username": body["username"], "password": new["password"]}
        assert shop.http.post("/auth/login", json=login).status_code == 200


class TestClosed:
    def test_nobody_registers(self, shops: Shops) -> None:
        for path in ("/auth/register", "/register"):
            response = shops("closed").http.post(path, json=registration())
            assert (response.status_code, response.json()["code"]) == (403, "forbidden")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    username=st.text(max_size=60),
    password=st.text(max_size=300),
    email=st.one_of(st.emails(), st.text(max_size=40)),
)
def test_any_text_is_registered_or_refused_and_never_a_fault(
    accounts: AccountShop, username: str, password: str, email: str
) -> None:
    body = registration(username=username, password=password, email=email)
    response = accounts.http.post("/auth/register", json=body)
    assert response.status_code in (201, 409, 422), response.text
    if response.status_code == 201:
        login = {"username": username, "password": password}
        assert accounts.http.post("/auth/login", json=login).status_code == 200
        assert accounts.http.post("/auth/login", json=login | {"username": email}).status_code == 200
