"""Users, as administrators manage them: rules, passwords, and what holds at a user's next request."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from security.passwords import Passwords
from services.identity.new_passwords import MOST_PASSWORDS
from tests.builders import a_category, a_client, a_product, a_user, unique
from tests.guarded_shop import Caller, GuardedShop
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def admin(shop: GuardedShop) -> Caller:
    return shop.user("admin")


def body(**given: Any) -> dict[str, Any]:
    return {**a_user.sample(), "client_id": None, **given}


def made(shop: GuardedShop, admin: Caller, path: str = "/users", **given: Any) -> Any:
    response = shop(admin, "POST", path, json=body(**given) if path == "/users" else given)
    assert response.status_code == 201, response.text
    return response.json()


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def stored_hash(shop: GuardedShop, user_id: int) -> str:
    ((password_hash,),) = rows_of(shop.database_url, "SELECT password_hash FROM users WHERE id_key = %s", user_id)
    assert isinstance(password_hash, str)
    return password_hash


@pytest.mark.parametrize("caller", ["staff", "customer", "key"])
def test_they_are_for_administrators(shop: GuardedShop, admin: Caller, caller: str) -> None:
    user = made(shop, admin)
    who = shop.key("orders:write") if caller == "key" else shop.user(caller)
    for method, path in (
        ("GET", "/users"),
        ("GET", f"/users/{user['id_key']}"),
        ("POST", "/users"),
        ("POST", "/users/bulk"),
        ("PATCH", f"/users/{who.id}"),
        ("DELETE", f"/users/{user['id_key']}"),
    ):
        assert code_of(shop(who, method, path, json=None if method in ("GET", "DELETE") else {})) == (403, "forbidden")
    assert code_of(shop(None, "GET", "/users")) == (401, "not_authenticated")


def test_a_password_is_stored_as_argon2id_and_shown_nowhere(shop: GuardedShop, admin: Caller) -> None:
    shop.entries()
    user = made(shop, admin, password=PASSWORD)
    password_hash = stored_hash(shop, user["id_key"])
    assert password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert Passwords().is_right(PASSWORD, password_hash)
    response = shop(admin, "PATCH", f"/users/{user['id_key']}", json={"password": "another " + PASSWORD})
    assert response.status_code == 200
    assert stored_hash(shop, user["id_key"]) != password_hash
    entries = shop.entries()
    assert [entry["action"] for entry in entries] == ["create_user", "patch_user"]
    for shown in (user, response.json(), shop(admin, "GET", "/users").json(), entries):
        assert "password" not in str(shown)
        assert "argon2" not in str(shown)
        assert PASSWORD not in str(shown)


@pytest.mark.parametrize("password", ["short", "x" * 257, "password123", "Shop", 12345678, None, ["x" * 9]])
def test_a_password_that_is_refused_is_not_repeated(shop: GuardedShop, admin: Caller, password: Any) -> None:
    for path, sent, loc in (
        ("/users", body(password=password), ["body", "password"]),
        ("/users/bulk", [body(), body(password=password)], ["body", 1, "password"]),
    ):
        response = shop(admin, "POST", path, json=sent)
        assert code_of(response) == (422, "validation_error")
        assert [error["loc"] for error in response.json()["detail"]] == [loc]
        assert str(password) not in str([error["msg"] for error in response.json()["detail"]]) or password is None


def test_a_password_is_neither_the_name_nor_the_address_of_its_user(shop: GuardedShop, admin: Caller) -> None:
    user = made(shop, admin)
    for password in (user["username"].upper(), user["email"], "Ada Lovelace"):
        response = shop(admin, "PATCH", f"/users/{user['id_key']}", json={"password": password})
        assert code_of(response) == (422, "validation_error"), password


def test_many_users_have_at_most_so_many_passwords(shop: GuardedShop, admin: Caller) -> None:
    rows = [body(password=PASSWORD) for _ in range(3)] + [body() for _ in range(MOST_PASSWORDS)]
    users = shop(admin, "POST", "/users/bulk", json=rows).json()
    assert len(users) == len(rows)
    assert all(stored_hash(shop, user["id_key"]) for user in users[:3])
    changes = [{"id_key": user["id_key"], "password": PASSWORD} for user in users]
    response = shop(admin, "PATCH", "/users/bulk", json=changes)
    assert code_of(response) == (422, "validation_error")
    assert response.json()["detail"][0]["loc"] == ["body", MOST_PASSWORDS, "password"]
    assert shop(admin, "PATCH", "/users/bulk", json=changes[:3]).status_code == 200
    deletions = [{"id_key": user["id_key"]} for user in users]
    assert shop(admin, "POST", "/users/bulk_delete", json=deletions).status_code == 204


def test_a_fingerprint_of_a_password_is_of_no_use_without_the_key_of_the_shop(shop: GuardedShop, admin: Caller) -> None:
    from services.fingerprint import RowsFingerprint, fingerprint

    sent = body(password=PASSWORD)
    for path, content in (("/users", sent), ("/users/bulk", [body(password=PASSWORD)])):
        key = unique("key").replace(" ", "-")
        headers = {"Idempotency-Key": key}
        first = shop(admin, "POST", path, json=content, headers=headers)
        again = shop(admin, "POST", path, json=content, headers=headers)
        assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
        changed = [content[0] | {"password": "x" * 9}] if isinstance(content, list) else content | {"password": "x" * 9}
        other = shop(admin, "POST", path, json=changed, headers=headers)
        assert code_of(other) == (422, "idempotency_key_reused")
        kept = rows_of(shop.database_url, "SELECT fingerprint FROM idempotency_keys")
        rows = RowsFingerprint("POST", path)
        rows.add(content if isinstance(content, list) else [content])
        assert {fingerprint("POST", path, content), rows.digest()}.isdisjoint(bytes(row[0]) for row in kept)


def test_names_and_addresses_are_unique_in_whatever_writing(shop: GuardedShop, admin: Caller) -> None:
    user = made(shop, admin)
    for taken in (
        {"username": user["username"].upper()},
        {"email": user["email"].replace("example", "EXAMPLE").replace("a", "A", 1)},
    ):
        assert code_of(shop(admin, "POST", "/users", json=body(**taken))) == (409, "already_exists")
    for name in ("ab", "x" * 51, "ada lovelace", "ad\u00e4", "a/b", "ada\n"):
        response = shop(admin, "POST", "/users", json=body(username=name))
        assert response.status_code == 422 or response.json()["username"] == name.strip(), name


def test_a_client_is_that_of_one_user(shop: GuardedShop, admin: Caller) -> None:
    client = made(shop, admin, "/clients", **a_client.sample())
    user = made(shop, admin, client_id=client["id_key"], role="customer")
    assert code_of(shop(admin, "POST", "/users", json=body(client_id=client["id_key"]))) == (409, "already_exists")
    assert code_of(shop(admin, "POST", "/users", json=body(client_id=10**12))) == (404, "not_found")
    assert code_of(shop(admin, "DELETE", f"/clients/{client['id_key']}")) == (409, "conflict")
    found = shop(admin, "GET", "/users", params={"client_id": client["id_key"]}).json()
    assert [row["id_key"] for row in found] == [user["id_key"]]


def test_filters_and_order(shop: GuardedShop, admin: Caller) -> None:
    users = [made(shop, admin, role=role, is_active=active) for role, active in (("staff", False), ("customer", True))]
    keys = {"id_key": f"{users[0]['id_key']},{users[1]['id_key']}"}
    for params, expected in (
        ({"role": "staff"}, [users[0]]),
        ({"role": "customer,admin"}, [users[1]]),
        ({"is_active": "false"}, [users[0]]),
        ({"username": users[1]["username"].upper()}, [users[1]]),
        ({"email": users[0]["email"].upper()}, [users[0]]),
        ({"sort": "-username"}, sorted(users, key=lambda user: str(user["username"]), reverse=True)),
        ({"sort": "role"}, [users[1], users[0]]),
    ):
        assert shop(admin, "GET", "/users", params={**keys, **params}).json() == expected, params
    assert shop(admin, "GET", "/users", params={"sort": "password_hash"}).status_code == 422
    assert shop(admin, "GET", "/users", params={"role": "king"}).status_code == 422


class TestStanding:
    """What an administrator changes holds at the next request of the user."""

    def calls(self, shop: GuardedShop, user: Caller) -> tuple[int, int]:
        return (
            shop(user, "GET", "/orders").status_code,
            shop(user, "POST", "/categories", json=a_category.sample()).status_code,
        )

    def test_a_demotion_takes_the_scope(self, shop: GuardedShop, admin: Caller) -> None:
        user = shop.user("staff")
        assert self.calls(shop, user) == (200, 201)
        assert shop(admin, "PATCH", f"/users/{user.id}", json={"role": "customer"}).status_code == 200
        assert self.calls(shop, user)[1] == 403

    @pytest.mark.parametrize("change", [{"is_active": False}, {"password": PASSWORD}], ids=str)
    @pytest.mark.parametrize("bulk", [False, True])
    def test_disabling_and_a_new_password_end_all_sessions(
        self, shop: GuardedShop, admin: Caller, change: dict[str, Any], bulk: bool
    ) -> None:
        user = shop.user("staff")
        other = shop.log_in(user.id)
        assert self.calls(shop, user) == self.calls(shop, other) == (200, 201)
        if bulk:
            response = shop(admin, "PATCH", "/users/bulk", json=[{"id_key": user.id, **change}])
        else:
            response = shop(admin, "PATCH", f"/users/{user.id}", json=change)
        assert response.status_code == 200
        assert self.calls(shop, user) == self.calls(shop, other) == (401, 401)
        assert rows_of(shop.database_url, "SELECT * FROM user_sessions WHERE user_id = %s", user.id) == []

    def test_a_deletion_ends_everything(self, shop: GuardedShop, admin: Caller) -> None:
        user = shop.user("staff")
        assert self.calls(shop, user) == (200, 201)
        assert shop(admin, "DELETE", f"/users/{user.id}").status_code == 204
        assert self.calls(shop, user) == (401, 401)

    def test_tokens_that_were_sent_to_an_old_address_are_worth_nothing(self, shop: GuardedShop, admin: Caller) -> None:
        user = shop.user("customer")
        execute(
            shop.database_url,
            "INSERT INTO account_tokens (user_id, purpose, email, secret_hash, expires_at)"
            " VALUES (%s, 'reset_password', 'old@example.com', 'x', now() + interval '1 hour')",
            user.id,
        )
        assert shop(admin, "PATCH", f"/users/{user.id}", json={"email": a_user.sample()["email"]}).status_code == 200
        assert rows_of(shop.database_url, "SELECT * FROM account_tokens WHERE user_id = %s", user.id) == []
        assert shop(admin, "GET", f"/users/{user.id}").json()["email_verified_at"] is None


@pytest.mark.parametrize("bulk", [False, True])
def test_another_spelling_of_an_address_is_the_same_address(shop: GuardedShop, admin: Caller, bulk: bool) -> None:
    user = shop.user("staff")
    stored = shop(admin, "GET", f"/users/{user.id}").json()
    change = {"email": stored["email"].upper()}
    if bulk:
        (changed,) = shop(admin, "PATCH", "/users/bulk", json=[{"id_key": user.id, **change}]).json()
    else:
        changed = shop(admin, "PATCH", f"/users/{user.id}", json=change).json()
    assert (changed["email"], changed["email_verified_at"]) == (change["email"], stored["email_verified_at"])
    assert shop(user, "GET", "/orders").status_code == 200


class TestLastAdministrator:
    @pytest.fixture(autouse=True)
    def nobody_else(self, shop: GuardedShop, admin: Caller) -> None:
        execute(shop.database_url, "UPDATE users SET role = 'staff' WHERE role = 'admin' AND id_key <> %s", admin.id)

    @pytest.mark.parametrize("change", [{"role": "staff"}, {"is_active": False}], ids=str)
    def test_stays(self, shop: GuardedShop, admin: Caller, change: dict[str, Any]) -> None:
        expected = (409, "last_administrator")
        path = f"/users/{admin.id}"
        other = made(shop, admin)["id_key"]
        assert code_of(shop(admin, "PATCH", path, json=change)) == expected
        assert code_of(shop(admin, "DELETE", path)) == expected
        response = shop(admin, "PATCH", "/users/bulk", json=[{"id_key": other}, {"id_key": admin.id, **change}])
        assert code_of(response) == expected
        assert response.json()["loc"] == ["body", 1, "id_key"]
        response = shop(admin, "POST", "/users/bulk_delete", json=[{"id_key": other}, {"id_key": admin.id}])
        assert code_of(response) == expected
        assert response.json()["loc"] == ["body", 1, "id_key"]
        # One who is disabled does not count.
        made(shop, admin, role="admin", is_active=False)
        assert code_of(shop(admin, "PATCH", path, json=change)) == expected
        made(shop, admin, role="admin")
        assert shop(admin, "PATCH", path, json={"full_name": "Still here"}).status_code == 200

    def test_all_of_them_at_once_is_refused(self, shop: GuardedShop, admin: Caller) -> None:
        other = shop.user("admin")
        both = [{"id_key": one, "role": "staff"} for one in (admin.id, other.id)]
        assert code_of(shop(admin, "PATCH", "/users/bulk", json=both)) == (409, "last_administrator")

    def test_two_who_demote_each_other(self, shop: GuardedShop, admin: Caller) -> None:
        for _ in range(10):
            other = shop.user("admin")
            pairs = [(admin, other), (other, admin)]
            assert [shop(one, "GET", "/users?limit=1").status_code for one, _ in pairs] == [200, 200]

            def demote(pair: tuple[Caller, Caller]) -> int:
                caller, target = pair
                return shop(caller, "PATCH", f"/users/{target.id}", json={"role": "staff"}).status_code

            with ThreadPoolExecutor(2) as threads:
                statuses = sorted(threads.map(demote, pairs))
            # The second may also come after its own demotion.
            assert statuses in ([200, 409], [200, 403])
            administrators = "SELECT id_key FROM users WHERE role = 'admin' AND is_active"
            assert len(rows_of(shop.database_url, administrators)) == 1
            execute(shop.database_url, "UPDATE users SET role = 'staff' WHERE id_key = %s", other.id)
            execute(shop.database_url, "UPDATE users SET role = 'admin' WHERE id_key = %s", admin.id)
            while shop(admin, "GET", "/users?limit=1").status_code != 200:
                pass


def test_who_has_bought_something_is_not_deleted(shop: GuardedShop, admin: Caller) -> None:
    category = made(shop, admin, "/categories", **a_category.sample())
    product = made(shop, admin, "/products", **a_product.sample() | {"category_id": category["id_key"]})
    client = made(shop, admin, "/clients", **a_client.sample())
    user = made(shop, admin, client_id=client["id_key"], role="customer")
    order = {"client_id": client["id_key"], "delivery_method": 1, "payment_type": "cash"}
    made(shop, admin, "/checkout", **order, lines=[{"product_id": product["id_key"], "quantity": 1}])
    expected = (409, "user_has_orders")
    assert code_of(shop(admin, "DELETE", f"/users/{user['id_key']}")) == expected
    assert code_of(shop(admin, "POST", "/users/bulk_delete", json=[{"id_key": user["id_key"]}])) == expected
    assert shop(admin, "PATCH", f"/users/{user['id_key']}", json={"is_active": False}).status_code == 200


def test_a_key_makes_nobody_more_than_itself(shop: GuardedShop, admin: Caller) -> None:
    key, victim = shop.key("users:admin"), made(shop, admin, role="admin")
    path = f"/users/{victim['id_key']}"
    for role in ("staff", "admin"):
        assert code_of(shop(key, "POST", "/users", json=body(role=role))) == (403, "forbidden")
        assert code_of(shop(key, "POST", "/users/bulk", json=[body(role="customer"), body(role=role)])) == (
            403,
            "forbidden",
        )
    customer = made(shop, key, role="customer")
    for change in ({"role": "staff"}, {"role": "admin", "full_name": "Ada"}):
        assert code_of(shop(key, "PATCH", f"/users/{customer['id_key']}", json=change)) == (403, "forbidden")
    # Whoever sets the password or the address of an administrator can log in as one.
    for change in ({"password": PASSWORD}, {"email": a_user.sample()["email"]}, {"role": "customer"}):
        assert code_of(shop(key, "PATCH", path, json=change)) == (403, "forbidden")
        changes = [{"id_key": customer["id_key"], "full_name": "Ada"}, {"id_key": victim["id_key"], **change}]
        response = shop(key, "PATCH", "/users/bulk", json=changes)
        assert code_of(response) == (403, "forbidden")
    assert shop(admin, "PATCH", path, json={"is_active": False}).status_code == 200
    assert code_of(shop(key, "PATCH", path, json={"is_active": True})) == (403, "forbidden")
    assert shop(key, "PATCH", path, json={"full_name": "Ada"}).status_code == 200
    harmless: tuple[dict[str, Any], ...] = ({"password": PASSWORD}, {"is_active": False}, {"is_active": True})
    for one in harmless:
        assert shop(key, "PATCH", f"/users/{customer['id_key']}", json=one).status_code == 200
    assert (
        shop(key, "PATCH", "/users/bulk", json=[{"id_key": customer["id_key"], "full_name": "Bo"}]).status_code == 200
    )
