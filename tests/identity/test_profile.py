"""The own profile: what users change of themselves, and what only a mail or an administrator changes (A8)."""

from typing import Any

import httpx
import pytest

from tests.identity.accounts import PASSWORD, AccountShop, LoggedIn, a_name, bearer, is_void
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

NEW = "another horse battery"
VERIFY_NEW = "verify your new e-mail"


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@pytest.fixture
def user(accounts: AccountShop) -> LoggedIn:
    return accounts.user()


class TestProfile:
    def test_it_is_shown_with_a_version_and_can_be_sent_back_whole(self, user: LoggedIn) -> None:
        for path in ("/auth/me", "/me", "/me/"):
            shown = user("GET", path)
            assert shown.status_code == 200
            assert "password" not in shown.text
            etag = {"If-Match": shown.headers["etag"]}
            same = user("PATCH", path, json=shown.json(), headers=etag)
            assert (same.status_code, same.json()) == (200, shown.json())
            assert user("GET", path, headers={"If-None-Match": shown.headers["etag"]}).status_code == 304

    def test_own_names_change(self, user: LoggedIn) -> None:
        name = a_name()
        changed = user("PATCH", "/me", json={"username": name, "full_name": "  Countess  "})
        assert (changed.json()["username"], changed.json()["full_name"]) == (name, "Countess")
        user.user = changed.json()
        user.log_in()
        assert user("PATCH", "/me", json={"full_name": None}).json()["full_name"] is None

    def test_a_taken_name_is_a_conflict(self, accounts: AccountShop, user: LoggedIn) -> None:
        taken = {"username": accounts.user().username.upper()}
        assert code_of(user("PATCH", "/me", json=taken)) == (409, "already_exists")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("role", "admin"),
            ("role", "owner"),
            ("role", 1),
            ("is_active", False),
            ("client_id", 1_000_000),
            ("client_id", None),
            ("email_verified_at", "2026-11-16T10:00:00Z"),
            ("password_hash", "x"),
            ("username", None),
            ("username", "a b"),
            ("email", "nobody"),
        ],
    )
    def test_what_others_decide_is_refused_where_it_differs(self, user: LoggedIn, field: str, value: Any) -> None:
        before = user("GET", "/me").json()
        response = user("PATCH", "/auth/me", json={"full_name": "Countess", field: value})
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"][:2] == ["body", field]
        assert user("GET", "/me").json() == before

    def test_a_stale_version_changes_nothing(self, user: LoggedIn) -> None:
        stale = {"full_name": "Countess", "updated_at": "2001-01-01T00:00:00Z"}
        assert code_of(user("PATCH", "/me", json=stale)) == (409, "has_changed")
        headers = {"If-Match": '"0-0"'}
        assert code_of(user("PATCH", "/me", json={"full_name": "x"}, headers=headers)) == (412, "precondition_failed")

    def test_scopes_follow_the_role(self, user: LoggedIn) -> None:
        user.set("role = 'admin'")
        assert "users:admin" in user("GET", "/me").json()["scopes"]


class TestPassword:
    def test_a_new_one_ends_all_other_sessions(self, accounts: AccountShop, user: LoggedIn) -> None:
        other = dict(user.tokens)
        user.log_in()
        change = {"password": NEW, "current_password": PASSWORD}
        assert user("PATCH", "/me", json=change).status_code == 200
        assert user("GET", "/me").status_code == 200
        assert user.refresh().status_code == 200
        assert is_void(accounts.http.get("/me", headers=bearer(other["access_token"])))
        assert is_void(user.refresh(other["refresh_token"]))
        old = {"username": user.username, "password": PASSWORD}
        assert accounts.http.post("/login", json=old).status_code == 401
        user.password = NEW
        user.log_in()
        assert accounts.mail(user.email, "password was changed")

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"password": NEW}, "current_password"),
            ({"password": NEW, "current_password": "wrong horse"}, "current_password"),
            ({"password": NEW, "current_password": None}, "current_password"),
            ({"password": "password1", "current_password": PASSWORD}, "password"),
            ({"password": None, "current_password": PASSWORD}, "password"),
            ({"password": "new.name1", "username": "new.name1", "current_password": PASSWORD}, "password"),
        ],
    )
    def test_it_takes_the_present_one_and_a_strong_one(
        self, accounts: AccountShop, user: LoggedIn, change: dict[str, Any], place: str
    ) -> None:
        response = user("PATCH", "/me", json=change)
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["body", place]
        user.log_in()

    def test_tokens_of_earlier_mails_are_void(self, accounts: AccountShop, user: LoggedIn) -> None:
        token = user.mailed("reset_password")
        user("PATCH", "/me", json={"password": NEW, "current_password": PASSWORD})
        reset = accounts.http.post("/auth/password/reset", json={"token": token, "password": "third horse battery"})
        assert code_of(reset) == (400, "account_token_invalid")


class TestAddress:
    def test_it_changes_when_the_mail_was_answered(self, accounts: AccountShop, user: LoggedIn) -> None:
        new = f"{a_name()}@example.com"
        asked = user("PATCH", "/me", json={"email": new})
        assert (asked.status_code, asked.json()["email"]) == (200, user.email)
        assert accounts.mail(user.email, "Another e-mail address was asked for")
        reset = user.mailed("reset_password")
        token = accounts.token(new, VERIFY_NEW)
        assert accounts.http.post("/auth/email/verify", json={"token": token}).status_code == 204
        me = user("GET", "/me").json()
        assert (me["email"], me["email_verified_at"] is not None) == (new, True)
        assert accounts.mail(user.email, "Your e-mail address was changed")
        # What the old address got before is no proof any more.
        for path, purpose in (("/auth/password/reset", reset), ("/auth/email/verify", user.mailed("verify_email"))):
            body = {"token": purpose} | ({"password": NEW} if "reset" in path else {})
            assert code_of(accounts.http.post(path, json=body)) == (400, "account_token_invalid")

    def test_only_the_last_one_that_was_asked_for(self, accounts: AccountShop, user: LoggedIn) -> None:
        first, second = (f"{a_name()}@example.com" for _ in range(2))
        user("PATCH", "/me", json={"email": first})
        token = accounts.token(first, VERIFY_NEW)
        user("PATCH", "/me", json={"email": second})
        assert accounts.http.post("/auth/email/verify", json={"token": token}).status_code == 400
        assert accounts.token(second, VERIFY_NEW)

    def test_a_taken_one_is_told_to_its_owner_only(self, accounts: AccountShop, user: LoggedIn) -> None:
        owner = accounts.user()
        free = user("PATCH", "/me", json={"email": f"{a_name()}@example.com"})
        taken = user("PATCH", "/me", json={"email": owner.email.upper()})
        assert (taken.status_code, taken.json()["email"]) == (free.status_code, user.email)
        assert accounts.mail(owner.email, "already have an account")

    def test_one_that_was_taken_meanwhile_is_a_conflict(self, accounts: AccountShop, user: LoggedIn) -> None:
        new = f"{a_name()}@example.com"
        user("PATCH", "/me", json={"email": new})
        token = accounts.token(new, VERIFY_NEW)
        accounts.user(email=new)
        response = accounts.http.post("/auth/email/verify", json={"token": token})
        assert code_of(response) == (409, "already_exists")

    def test_the_client_moves_along_and_the_old_one_is_free(self, accounts: AccountShop, user: LoggedIn) -> None:
        new, old = f"{a_name()}@example.com", user.email
        client = f"/clients/{user.user['client_id']}"
        assert user("GET", client).json()["email"] == old
        user("PATCH", "/me", json={"email": new})
        token = accounts.token(new, VERIFY_NEW)
        assert accounts.http.post("/auth/email/verify", json={"token": token}).status_code == 204
        assert user("GET", client).json()["email"] == new
        assert accounts.user(email=old).user["client_id"] != user.user["client_id"]

    def test_a_client_who_has_the_new_one_keeps_it(self, accounts: AccountShop, user: LoggedIn) -> None:
        new, old = f"{a_name()}@example.com", user.email
        accounts.a_client(new)
        user("PATCH", "/me", json={"email": new})
        token = accounts.token(new, VERIFY_NEW)
        assert accounts.http.post("/auth/email/verify", json={"token": token}).status_code == 204
        me = user("GET", "/me").json()
        assert (me["email"], me["client_id"]) == (new, user.user["client_id"])
        assert user("GET", f"/clients/{me['client_id']}").json()["email"] == old

    def test_the_own_one_sends_no_mail(self, accounts: AccountShop, user: LoggedIn) -> None:
        user("PATCH", "/me", json={"email": user.email})
        waiting = rows_of(
            accounts.database_url,
            "SELECT count(*) FROM account_tokens WHERE user_id = %s AND purpose = 'change_email'",
            user.id,
        )
        assert waiting == [(0,)]


class TestForgotten:
    def test_a_mail_sets_a_new_password_once_and_ends_all_sessions(self, accounts: AccountShop, user: LoggedIn) -> None:
        known = accounts.http.post("/auth/password/forgot", json={"email": user.email.upper()})
        unknown = accounts.http.post("/auth/password/forgot", json={"email": f"{a_name()}@example.com"})
        assert (known.status_code, known.text) == (202, unknown.text)
        token = accounts.token(user.email, "new password")
        assert token.encode() not in str(rows_of(user.database_url, "SELECT t::text FROM account_tokens t")).encode()
        assert (
            accounts.http.post("/auth/password/reset", json={"token": token, "password": "password1"}).status_code
            == 422
        )
        assert (
            accounts.http.post("/auth/password/reset", json={"token": token, "password": user.username}).status_code
            == 422
        )
        assert accounts.http.post("/auth/password/reset", json={"token": token, "password": NEW}).status_code == 204
        again = accounts.http.post("/auth/password/reset", json={"token": token, "password": NEW})
        assert code_of(again) == (400, "account_token_invalid")
        assert is_void(user("GET", "/me"))
        assert is_void(user.refresh())
        user.password = NEW
        user.log_in()
        assert user("GET", "/me").json()["email_verified_at"] is not None

    def test_no_mail_for_who_is_disabled(self, accounts: AccountShop, user: LoggedIn) -> None:
        user.set("is_active = false")
        assert accounts.http.post("/auth/password/forgot", json={"email": user.email}).status_code == 202
        tokens = rows_of(user.database_url, "SELECT purpose FROM account_tokens WHERE user_id = %s", user.id)
        assert ("reset_password",) not in tokens

    def test_a_token_is_good_for_one_purpose_and_half_an_hour(self, accounts: AccountShop, user: LoggedIn) -> None:
        verify, reset = user.mailed("verify_email"), user.mailed("reset_password")
        bodies = {"/auth/email/verify": {"token": reset}, "/auth/password/reset": {"token": verify, "password": NEW}}
        for path, body in bodies.items():
            assert code_of(accounts.http.post(path, json=body)) == (400, "account_token_invalid")
        execute(user.database_url, "UPDATE account_tokens SET expires_at = now() WHERE user_id = %s", user.id)
        assert accounts.http.post("/auth/email/verify", json={"token": verify}).status_code == 400

    def test_sent_tokens_last_half_an_hour(self, accounts: AccountShop, user: LoggedIn) -> None:
        accounts.http.post("/auth/password/forgot", json={"email": user.email})
        lasting = rows_of(
            user.database_url,
            "SELECT DISTINCT expires_at - created_at = interval '30 minutes' FROM account_tokens WHERE user_id = %s",
            user.id,
        )
        assert lasting == [(True,)]
