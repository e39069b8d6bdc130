"""Nobody gives themselves or others more than they have (A7)."""

from typing import Any

import pytest

from tests.builders import unique
from tests.guarded_shop import Caller, GuardedShop
from tests.race.databases import rows_of

pytestmark = pytest.mark.integration


def a_user(**given: Any) -> dict[str, Any]:
    name = unique("user").replace(" ", "-").lower()
    return {"username": name, "email": f"{name}@example.com", **given}


def stored(shop: GuardedShop, caller: Caller) -> tuple[Any, ...]:
    """What decides about the rights of the user."""
    ((*values,),) = rows_of(
        shop.database_url, "SELECT role, is_active, client_id, password_hash FROM users WHERE id_key = %s", caller.id
    )
    return tuple(values)


@pytest.fixture(scope="module")
def callers(shop: GuardedShop) -> dict[str, Caller]:
    """Those who may not do any of this."""
    return {
        "staff": shop.user("staff"),
        "customer": shop.user("customer"),
        "a key with all that staff may": shop.key("clients:write", "orders:write", "catalog:write", "settings:write"),
    }


@pytest.mark.parametrize("who", ["staff", "customer", "a key with all that staff may"])
def test_a7_users_and_keys_are_for_administrators(shop: GuardedShop, callers: dict[str, Caller], who: str) -> None:
    caller, victim, admin = callers[who], shop.user("staff"), shop.user("admin")
    before = [stored(shop, user) for user in (victim, admin)]
    key = shop.key("orders:read")
    requests: list[tuple[str, str, Any]] = [
        ("POST", "/users", a_user(role="admin", password="another horse battery")),
        ("POST", "/users/bulk", [a_user(role="admin")]),
        ("POST", "/api_keys", {"name": "More", "scopes": ["users:admin"]}),
        ("POST", "/api_keys", {"name": "As much", "scopes": ["orders:write"]}),
        ("PATCH", f"/api_keys/{key.id}", {"scopes": ["users:admin"]}),
        ("DELETE", f"/api_keys/{key.id}", None),
        ("GET", "/audit_entries", None),
    ]
    for user in (caller, victim, admin):
        for method in ("PUT", "PATCH"):
            requests.append((method, f"/users/{user.id}", {"role": "admin"}))
            requests.append((method, f"/users/{user.id}", {"password": "another horse battery"}))
        requests.append(("PATCH", "/users/bulk", [{"id_key": user.id, "role": "admin"}]))
        requests.append(("POST", "/users/bulk_delete", [{"id_key": user.id}]))
        requests.append(("DELETE", f"/users/{user.id}", None))
    for method, path, body in requests:
        response = shop(caller, method, path, **({} if body is None else {"json": body}))
        assert (response.status_code, response.json()["code"]) == (403, "forbidden"), (method, path, body)
    assert [stored(shop, user) for user in (victim, admin)] == before


@pytest.mark.parametrize("path", ["/auth/me", "/me"])
@pytest.mark.parametrize("field", [{"role": "admin"}, {"scopes": ["users:admin"]}, {"id_key": 1}, {"client_id": 1}])
def test_a7_nobody_raises_themselves(shop: GuardedShop, path: str, field: dict[str, Any]) -> None:
    """What GET shows may come back as it was; `scopes` and keys are read-only, and so without effect."""
    caller = shop.user("staff")
    before = stored(shop, caller)
    response = shop(caller, "PATCH", path, json=field)
    assert response.status_code == (422 if field.keys() & {"role", "client_id"} else 200), response.text
    assert stored(shop, caller) == before
    assert shop(caller, "GET", "/users").status_code == 403


def test_a7_a_token_says_nothing_of_what_its_user_may(shop: GuardedShop) -> None:
    """The scopes of a token are those of its issue; what counts is the role as it is now."""
    assert shop(shop.user("customer"), "GET", "/me").json()["scopes"] == []
    staff = shop.user("staff")
    assert "users:admin" not in shop(staff, "GET", "/me").json()["scopes"]


def test_a7_a_key_makes_no_key_with_more(shop: GuardedShop) -> None:
    maker = shop.key("keys:admin", "orders:read")
    more = shop(maker, "POST", "/api_keys", json={"name": "More", "scopes": ["orders:read", "orders:write"]})
    assert (more.status_code, more.json()["scope"]) == (403, "orders:write")
    assert shop(maker, "POST", "/api_keys", json={"name": "As much", "scopes": ["orders:read"]}).status_code == 201
    other = shop.key("stock:read")
    for key in (other, maker):
        raised = shop(
            maker, "PATCH", f"/api_keys/{key.id}", json={"scopes": ["keys:admin", "orders:read", "bills:read"]}
        )
        assert (raised.status_code, raised.json()["scope"]) == (403, "bills:read")


@pytest.mark.parametrize("role", ["staff", "admin"])
def test_a7_a_key_makes_no_user_with_more(shop: GuardedShop, role: str) -> None:
    key, customer, other = shop.key("users:admin"), shop.user("customer"), shop.user(role)
    password = {"password": "another horse battery"}
    for method, path, body in (
        ("POST", "/users", a_user(role=role)),
        ("POST", "/users/bulk", [a_user(), a_user(role=role)]),
        ("PATCH", f"/users/{customer.id}", {"role": role}),
        ("PATCH", "/users/bulk", [{"id_key": customer.id, "role": role}]),
        ("PATCH", f"/users/{other.id}", password),
        ("PATCH", f"/users/{other.id}", {"email": a_user()["email"]}),
        ("PATCH", "/users/bulk", [{"id_key": other.id, **password}]),
    ):
        response = shop(key, method, path, json=body)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden"), (method, path, response.text)
    assert shop(key, "PATCH", f"/users/{other.id}", json={"full_name": "Ada"}).status_code == 200
    assert shop(key, "PATCH", f"/users/{customer.id}", json=password).status_code == 200
    assert shop(key, "POST", "/users", json=a_user()).status_code == 201
    assert shop(shop.user("admin"), "POST", "/users", json=a_user(role=role)).status_code == 201
