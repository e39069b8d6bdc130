"""Sessions: refreshed, listed and ended (A2, A3), with the token in the body or in a cookie."""

import httpx
import pytest

from tests.identity.accounts import AccountShop, LoggedIn, bearer, current_session, is_void, replaced_long_ago
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration


class TestRefresh:
    def test_a_token_leads_to_the_next_pair(self, accounts: AccountShop) -> None:
        user = accounts.user()
        response = user.refresh()
        assert response.status_code == 200
        assert response.headers["cache-control"] == "private, no-store"
        assert response.json()["refresh_token"] != user.tokens["refresh_token"]
        assert accounts.http.get("/me", headers=bearer(response.json()["access_token"])).status_code == 200

    def test_a_replaced_token_leads_to_the_same_successor_and_later_to_the_newest(self, accounts: AccountShop) -> None:
        user = accounts.user()
        first = user.tokens["refresh_token"]
        second = user.refresh(first).json()["refresh_token"]
        assert user.refresh(first).json()["refresh_token"] == second
        third = user.refresh(second).json()["refresh_token"]
        for token in (first, second):
            assert user.refresh(token).json()["refresh_token"] == third

    def test_after_half_a_minute_it_ends_the_session(self, accounts: AccountShop) -> None:
        user = accounts.user()
        second = user.refresh().json()["refresh_token"]
        replaced_long_ago(user, current_session(user))
        assert is_void(user.refresh())
        assert is_void(user.refresh(second))
        assert is_void(user("GET", "/auth/me"))

    def test_each_generation_has_a_time_of_its_own(self, accounts: AccountShop) -> None:
        user = accounts.user()
        second = user.refresh().json()["refresh_token"]
        replaced_long_ago(user, current_session(user))
        third = user.refresh(second).json()["refresh_token"]
        assert user.refresh(second).json()["refresh_token"] == third
        assert is_void(user.refresh())
        assert is_void(user.refresh(third))

    def test_what_the_shop_has_not_issued_leads_nowhere_and_ends_nothing(self, accounts: AccountShop) -> None:
        user = accounts.user()
        token = user.tokens["refresh_token"]
        _, session, generation, mac = token.split("_", 3)
        for other in (
            "x",
            user.with_another_mac(token),
            f"refresh_{session}_{int(generation) + 1}_{mac}",
            f"refresh_{int(session) + 1}_{generation}_{mac}",
            f"refresh_{2**63}_{generation}_{mac}",
            f"refresh_0{session}_{generation}_{mac}",
            f"{token}\n",
            user.tokens["access_token"],
        ):
            assert is_void(user.refresh(other)), other
        assert user.refresh().status_code == 200

    def test_a_session_that_has_expired_or_whose_user_is_disabled_has_ended(self, accounts: AccountShop) -> None:
        user, disabled = accounts.user(), accounts.user()
        execute(
            user.database_url, "UPDATE user_sessions SET expires_at = now() WHERE id_key = %s", current_session(user)
        )
        disabled.set("is_active = false")
        assert is_void(user.refresh())
        assert is_void(disabled.refresh())

    def test_nothing_of_a_token_is_stored(self, accounts: AccountShop) -> None:
        user = accounts.user()
        token = user.refresh().json()["refresh_token"]
        rows = rows_of(user.database_url, "SELECT s::text FROM user_sessions s WHERE user_id = %s", user.id)
        assert token.split("_", 3)[3] not in str(rows)

    def test_without_a_token_there_is_none(self, accounts: AccountShop) -> None:
        assert is_void(accounts.http.post("/auth/refresh"))
        assert is_void(accounts.http.post("/auth/refresh", json={}))
        assert accounts.http.post("/auth/refresh", json={"refresh_token": None}).status_code == 422


class TestCookie:
    def in_cookie(self, accounts: AccountShop) -> tuple[LoggedIn, dict[str, str]]:
        user = accounts.user()
        response = user.log_in(cookie=True)
        assert "refresh_token" not in response.json()
        return user, self.cookie_of(response)

    @staticmethod
    def cookie_of(response: httpx.Response) -> dict[str, str]:
        cookie, *attributes = response.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/auth"} <= set(attributes)
        return {"Cookie": cookie}

    def test_refresh_reads_it_and_writes_the_next(self, accounts: AccountShop) -> None:
        _, cookie = self.in_cookie(accounts)
        response = accounts.http.post("/auth/refresh", headers=cookie)
        assert response.status_code == 200
        assert "refresh_token" not in response.json()
        assert self.cookie_of(response) != cookie

    def test_logout_reads_it_and_clears_it(self, accounts: AccountShop) -> None:
        user, cookie = self.in_cookie(accounts)
        response = accounts.http.post("/auth/logout", headers=cookie)
        assert response.status_code == 204
        assert "Max-Age=0" in response.headers["set-cookie"]
        assert is_void(user("GET", "/auth/me"))
        assert is_void(accounts.http.post("/auth/refresh", headers=cookie))
        assert accounts.http.post("/auth/logout", headers=cookie).status_code == 401

    def test_logout_takes_it_beside_a_token(self, accounts: AccountShop) -> None:
        user, cookie = self.in_cookie(accounts)
        # An access token that has expired, or is none, does not keep the browser logged in.
        for token in (user.tokens["access_token"], user.expired_token(), "none"):
            cookie = self.cookie_of(user.log_in(cookie=True))
            response = accounts.http.post("/auth/logout", headers=cookie | bearer(token))
            assert response.status_code == 204
            assert "Max-Age=0" in response.headers["set-cookie"]
            assert is_void(accounts.http.post("/auth/refresh", headers=cookie))

    def test_pages_of_other_origins_use_it_for_nothing(self, accounts: AccountShop) -> None:
        user, cookie = self.in_cookie(accounts)
        for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "same-site"}):
            for path in ("/auth/refresh", "/auth/logout"):
                response = accounts.http.post(path, headers=cookie | headers)
                assert (response.status_code, response.json()["code"]) == (403, "cross_origin")
        assert user("GET", "/auth/me").status_code == 200


class TestSessions:
    def test_they_are_listed_in_pages_and_only_the_own_ones(self, accounts: AccountShop) -> None:
        user, other = accounts.user(), accounts.user()
        for _ in range(2):
            user.log_in()
        response = user("GET", "/auth/sessions", params={"limit": 2, "sort": "-created_at"})
        assert response.headers["x-total-count"] == "3"
        assert 'rel="next"' in response.headers["link"]
        assert [row["is_current"] for row in response.json()] == [True, False]
        assert len(other("GET", "/auth/sessions").json()) == 1
        shown = user("GET", "/auth/sessions", params={"fields": "address"}).json()
        assert all(set(row) == {"id_key", "address"} for row in shown)
        assert user("GET", "/auth/sessions", params={"sort": "user_id"}).status_code == 422
        assert user("GET", "/auth/sessions", params={"user_id": other.id}).status_code == 422

    def test_one_is_ended_and_those_of_others_do_not_exist(self, accounts: AccountShop) -> None:
        user, other = accounts.user(), accounts.user()
        old = dict(user.tokens)
        (session,) = user("GET", "/auth/sessions").json()
        user.log_in()
        assert other("DELETE", f"/auth/sessions/{session['id_key']}").status_code == 404
        assert user("DELETE", f"/auth/sessions/{session['id_key']}").status_code == 204
        assert user("DELETE", f"/auth/sessions/{session['id_key']}").status_code == 404
        assert is_void(accounts.http.get("/me", headers=bearer(old["access_token"])))
        assert is_void(user.refresh(old["refresh_token"]))
        assert user("GET", "/me").status_code == 200

    @pytest.mark.parametrize("key", ["0", "-1", str(2**63), "99999999999999999999"])
    def test_keys_that_no_session_has(self, accounts: AccountShop, key: str) -> None:
        assert accounts.user()("DELETE", f"/auth/sessions/{key}").status_code == 404

    def test_all_are_ended(self, accounts: AccountShop) -> None:
        user = accounts.user()
        old = user.tokens["access_token"]
        user.log_in()
        assert user("DELETE", "/auth/sessions").status_code == 204
        assert is_void(user("GET", "/me"))
        assert is_void(accounts.http.get("/me", headers=bearer(old)))

    def test_logout_ends_this_one(self, accounts: AccountShop) -> None:
        user = accounts.user()
        old = user.tokens["access_token"]
        user.log_in()
        assert user("POST", "/auth/logout").status_code == 204
        assert is_void(user("POST", "/auth/logout"))
        assert is_void(user.refresh())
        assert accounts.http.get("/me", headers=bearer(old)).status_code == 200

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "/auth/logout"), ("GET", "/auth/sessions"), ("DELETE", "/auth/sessions"), ("GET", "/me")],
    )
    def test_who_is_let_in(self, accounts: AccountShop, method: str, path: str) -> None:
        user = accounts.user()
        key = user.api_key()
        calls: list[tuple[dict[str, str], int, str]] = [
            ({}, 401, "not_authenticated"),
            (bearer("x"), 401, "token_invalid"),
            (bearer(user.expired_token()), 401, "token_expired"),
            (bearer(key), 403, "forbidden"),
            ({"X-API-Key": key} | user.headers, 400, "both_credentials"),
        ]
        for headers, status, code in calls:
            response = accounts.http.request(method, path, headers=headers)
            assert (response.status_code, response.json()["code"]) == (status, code)
            assert response.headers["cache-control"] == "private, no-store"
