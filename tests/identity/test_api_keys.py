"""API keys: shown once, stored as a digest, never with more scopes than their maker has."""

import hashlib
import re
import time
from typing import Any

import pytest

from tests.builders import a_category, unique
from tests.guarded_shop import Caller, GuardedShop
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def admin(shop: GuardedShop) -> Caller:
    return shop.user("admin")


def made(shop: GuardedShop, caller: Caller, *scopes: str, **given: Any) -> Any:
    response = shop(caller, "POST", "/api_keys", json={"name": "Reports", "scopes": scopes, **given})
    assert response.status_code == 201, response.text
    return response.json()


def by(secret: str) -> Caller:
    return Caller(0, {"X-API-Key": secret})


def test_the_secret_is_shown_once_and_stored_as_a_digest(shop: GuardedShop, admin: Caller) -> None:
    shop.entries()
    response = shop(
        admin,
        "POST",
        "/api_keys",
        json={"name": "Reports", "scopes": ["orders:read", "bills:read", "orders:read"]},
        headers={"Prefer": "return=minimal"},
    )
    key = response.json()
    secret = key["secret"]
    assert re.fullmatch(rf"shop_{key['prefix']}_[A-Za-z0-9_-]{{43}}", secret)
    assert key["scopes"] == ["bills:read", "orders:read"]
    assert response.headers["Cache-Control"] == "private, no-store"
    ((digest,),) = rows_of(shop.database_url, "SELECT secret_hash FROM api_keys WHERE id_key = %s", key["id_key"])
    assert bytes(digest) == hashlib.sha256(secret.encode()).digest()
    assert shop(by(secret), "GET", "/orders").status_code == 200
    assert shop(Caller(0, {"Authorization": f"Bearer {secret}"}), "GET", "/bills").status_code == 200
    assert shop(by(secret), "GET", "/clients").status_code == 403
    (entry,) = shop.entries()
    listed = shop(admin, "GET", "/api_keys", params={"prefix": key["prefix"]}).json()
    one = shop(admin, "GET", f"/api_keys/{key['id_key']}").json()
    assert [row["id_key"] for row in listed] == [one["id_key"]] == [entry["resource_id"]]
    for shown in (listed, one, entry, shop(admin, "PATCH", f"/api_keys/{key['id_key']}", json={"name": "x"}).text):
        assert secret[-43:] not in str(shown)
        assert "secret" not in str(shown)


@pytest.mark.parametrize("scopes", [[], ["orders:read", "everything"], "orders:read", None, [7]], ids=str)
def test_scopes_are_known_ones(shop: GuardedShop, admin: Caller, scopes: Any) -> None:
    response = shop(admin, "POST", "/api_keys", json={"name": "Reports", "scopes": scopes})
    assert response.status_code == 422


def test_nobody_grants_what_they_do_not_have(shop: GuardedShop, admin: Caller) -> None:
    maker = by(made(shop, admin, "keys:admin", "orders:read")["secret"])
    assert made(shop, maker, "orders:read")["scopes"] == ["orders:read"]
    for scopes in (["orders:read", "users:admin"], ["bills:read"]):
        response = shop(maker, "POST", "/api_keys", json={"name": "More", "scopes": scopes})
        assert (response.status_code, response.json()["code"], response.json()["scope"]) == (
            403,
            "forbidden",
            scopes[-1],
        )
    own = shop(maker, "GET", "/api_keys", params={"name": "Reports", "sort": "id_key"}).json()
    path = f"/api_keys/{own[-1]['id_key']}"
    assert shop(maker, "PATCH", path, json={"scopes": ["orders:read", "users:admin"]}).status_code == 403
    # What a key has already is not granted again.
    rich = made(shop, admin, "users:admin")
    assert shop(maker, "PUT", f"/api_keys/{rich['id_key']}", json={"name": "y", "scopes": ["users:admin"]}).is_success
    assert (
        shop(shop.user("staff"), "POST", "/api_keys", json={"name": "x", "scopes": ["orders:read"]}).status_code == 403
    )


@pytest.mark.parametrize("how", ["revoked", "expired", "fewer scopes"])
def test_what_changes_about_a_key_holds_at_its_next_request(shop: GuardedShop, admin: Caller, how: str) -> None:
    key = made(shop, admin, "orders:read")
    caller, path = by(key["secret"]), f"/api_keys/{key['id_key']}"
    for _ in range(3):
        assert shop(caller, "GET", "/orders").status_code == 200
    if how == "revoked":
        assert shop(admin, "DELETE", path).status_code == 204
        expected = (401, "token_invalid")
    elif how == "expired":
        assert shop(admin, "PATCH", path, json={"expires_at": "2020-01-01T00:00:00Z"}).status_code == 200
        expected = (401, "token_expired")
    else:
        assert shop(admin, "PATCH", path, json={"scopes": ["bills:read"]}).status_code == 200
        expected = (403, "forbidden")
    response = shop(caller, "GET", "/orders")
    assert (response.status_code, response.json()["code"]) == expected


def test_a_repeat_is_a_conflict_because_the_secret_is_not_kept(shop: GuardedShop, admin: Caller) -> None:
    headers = {"Idempotency-Key": unique("key").replace(" ", "-")}
    body = {"name": unique("Once"), "scopes": ["orders:read"]}
    shop.entries()
    first = shop(admin, "POST", "/api_keys", json=body, headers=headers)
    again = shop(admin, "POST", "/api_keys", json=body, headers=headers)
    assert (first.status_code, again.status_code, again.json()["code"]) == (201, 409, "secret_shown_once")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(shop(admin, "GET", "/api_keys", params={"name": body["name"]}).json()) == 1
    assert len(shop.entries()) == 1
    kept = rows_of(shop.database_url, "SELECT convert_from(body, 'UTF8') FROM idempotency_keys")
    assert all(first.json()["secret"] not in text for (text,) in kept)
    other = shop(admin, "POST", "/api_keys", json={**body, "name": "Other"}, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.slow
@pytest.mark.chaos
def test_its_last_use_moves_at_most_once_a_minute(shop: GuardedShop, admin: Caller) -> None:
    key = made(shop, admin, "orders:read")
    assert key["last_used_at"] is None

    def last_use(but: str | None) -> str:
        while True:
            assert shop(by(key["secret"]), "GET", "/orders").status_code == 200
            used: str | None = shop(admin, "GET", f"/api_keys/{key['id_key']}").json()["last_used_at"]
            if used is not None and used != but:
                return used
            time.sleep(0.1)

    first = last_use(None)
    execute(
        shop.database_url,
        "UPDATE api_keys SET last_used_at = now() - interval '50 seconds' WHERE id_key = %s",
        key["id_key"],
    )
    # A minute after the last one at the earliest, which is ten seconds from now.
    earlier: str = shop(admin, "GET", f"/api_keys/{key['id_key']}").json()["last_used_at"]
    assert earlier < first < last_use(earlier)
    waited = "SELECT last_used_at - %s::timestamptz > interval '1 minute' FROM api_keys WHERE id_key = %s"
    assert rows_of(shop.database_url, waited, earlier, key["id_key"]) == [(True,)]


class TestAuditEntries:
    def test_are_read_and_nothing_else(self, shop: GuardedShop, admin: Caller) -> None:
        shop.entries()
        rows = [shop(admin, "POST", "/categories", json=a_category.sample()).json() for _ in range(3)]
        key = shop.key("catalog:write")
        shop(key, "PATCH", f"/categories/{rows[0]['id_key']}", json={"name": unique("Changed")})
        reader = shop.key("audit:read")
        entries = shop(reader, "GET", "/audit_entries").json()
        assert [entry["resource_id"] for entry in entries] == [*(row["id_key"] for row in rows), rows[0]["id_key"]]
        one = shop(reader, "GET", f"/audit_entries/{entries[0]['id_key']}")
        assert (one.json(), one.headers["ETag"] != "") == (entries[0], True)
        again = shop(
            reader, "GET", f"/audit_entries/{entries[0]['id_key']}", headers={"If-None-Match": one.headers["ETag"]}
        )
        assert again.status_code == 304
        for params, expected in (
            ({"actor": f"key:{key.id}"}, entries[3:]),
            ({"action": "create_category"}, entries[:3]),
            ({"resource": "categories", "resource_id": rows[0]["id_key"]}, [entries[0], entries[3]]),
            ({"resource": "products"}, []),
            ({"at_from": entries[1]["at"], "at_to": entries[2]["at"]}, entries[1:3]),
            ({"sort": "-at", "limit": 1}, entries[3:]),
            ({"after": entries[2]["id_key"]}, entries[3:]),
            ({"fields": "actor", "limit": 1}, [{"id_key": entries[0]["id_key"], "actor": f"user:{admin.id}"}]),
        ):
            response = shop(reader, "GET", "/audit_entries", params=params)
            assert response.json() == expected, params
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for path in ("/audit_entries", f"/audit_entries/{entries[0]['id_key']}"):
                assert shop(admin, method, path, json={}).status_code == 405
        assert shop(shop.user("staff"), "GET", "/audit_entries").status_code == 403
        assert shop(reader, "GET", f"/audit_entries/{10**12}").status_code == 404
