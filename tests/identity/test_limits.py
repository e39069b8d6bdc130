"""The limits of routes and of known callers as clients see them, on two workers. Loopback is exempt here, from none of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from infrastructure.embedded.servers import ServerUrls
from tests.contract.answers import assert_problem
from tests.guarded_shop import GuardedShop, guarded_processes, guarded_shop
from tests.identity.accounts import registration
from tests.race.databases import new_database

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LIMITS = {
    "RATE_LIMIT_LOGIN": "3/600",
    "RATE_LIMIT_LOGIN_ADDRESS": "9/600",
    "RATE_LIMIT_REGISTER": "4/600",
    "RATE_LIMIT_REFRESH": "2/600",
    "RATE_LIMIT_CALLS_AUTHENTICATED": "5",
    "RATE_LIMIT_PERIOD": "600",
}


@pytest.fixture
def limited(servers: ServerUrls, redis_url: str, tmp_path: Path) -> Iterator[GuardedShop]:
    with guarded_processes(new_database(servers.database_url), redis_url, tmp_path, **LIMITS) as shop:
        # What other tests have counted for this address.
        forget(redis_url)
        yield shop
        forget(redis_url)


def forget(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        for key in connection.scan_iter("*ratelimit:*", count=1000):
            connection.delete(key)


def login(shop: GuardedShop, username: str) -> int:
    return shop.http.post("/auth/login", json={"username": username, "password": "wrong password"}).status_code


def test_limits_of_routes(limited: GuardedShop) -> None:
    # Spellings of one account are one, and an account that nobody has counts as well.
    assert [login(limited, name) for name in ("ada", "ADA", "Ada", "ada")] == [401, 401, 401, 429]
    assert login(limited, "berta") == 401
    refused = limited.http.post("/login", data={"username": "ada", "password": "x" * 9})
    assert_problem(refused, 429)
    body = refused.json()
    assert body["code"] == "rate_limit_exceeded"
    assert body["detail"] == "Rate limit exceeded. Maximum 3 requests per 600 seconds."
    assert refused.headers["Retry-After"] == str(body["retry_after"])
    assert 1 <= body["retry_after"] <= 600
    # These are about the limit of all requests, which does not count for this address.
    assert refused.headers["X-RateLimit-Limit"] == refused.headers["X-RateLimit-Remaining"] == "100"
    assert [login(limited, f"user{number}") for number in range(4)] == [401, 401, 401, 429]

    registered = [limited.http.post("/auth/register", json=registration()).status_code for _ in range(3)]
    forgotten = [limited.http.post("/auth/password/forgot", json={"email": "a@x.org"}).status_code for _ in range(2)]
    assert (registered, forgotten) == ([201] * 3, [202, 429])
    assert limited.http.post("/auth/email/resend", json={"email": "a@x.org"}).status_code == 429
    assert limited.http.post("/register", json=registration()).status_code == 429

    token = {"refresh_token": f"refresh_1_0_{'x' * 43}"}
    assert [limited.http.post("/auth/refresh", json=token).status_code for _ in range(3)] == [401, 401, 429]
    # Whoever only reads goes on.
    assert {limited.http.get("/products").status_code for _ in range(20)} == {200}


def test_known_callers_have_a_limit_each(limited: GuardedShop) -> None:
    staff, other, key = limited.user("staff"), limited.user("staff"), limited.key("clients:read")
    answers = [limited(staff, "GET", "/clients") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"5"}
    assert_problem(answers[-1], 429)
    # It is the user who counts, and not the session or the token.
    assert limited(limited.log_in(staff.id), "GET", "/clients").status_code == 429
    assert [limited(key, "GET", "/clients").status_code for _ in range(6)] == [200] * 5 + [429]
    assert limited(other, "GET", "/clients").status_code == 200
    # Credentials that are not valid are nobody's.
    assert limited.http.get("/clients", headers={"X-API-Key": f"shop_none_{'x' * 43}"}).status_code == 401


def test_without_redis_each_worker_counts(servers: ServerUrls, tmp_path: Path) -> None:
    with guarded_shop(new_database(servers.database_url), None, tmp_path, **LIMITS) as shop:
        assert [login(shop, "ada") for _ in range(4)] == [401, 401, 401, 429]
        staff = shop.user("staff")
        assert [shop(staff, "GET", "/clients").status_code for _ in range(6)] == [200] * 5 + [429]


def test_one_setting_switches_all_off(servers: ServerUrls, tmp_path: Path) -> None:
    settings = {**LIMITS, "RATE_LIMIT_ENABLED": "false"}
    with guarded_shop(new_database(servers.database_url), None, tmp_path, **settings) as shop:
        assert {login(shop, "ada") for _ in range(10)} == {401}
        staff = shop.user("staff")
        assert {shop(staff, "GET", "/clients").status_code for _ in range(10)} == {200}
