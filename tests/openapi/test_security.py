"""Who may call what, as the document says it, and as a shop with AUTH=on answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.settings import read_settings
from controllers.policies import policy_of
from infrastructure.embedded.servers import ServerUrls
from main import create_fastapi_app
from security.policy import OPEN, Policy
from security.scopes import Scope
from tests.guarded_shop import GuardedShop, guarded_shop
from tests.openapi.documented import CODES_OF_CALLERS, Document
from tests.race.databases import execute, new_database
from tests.shop import environment_of, shop_in_thread

ALL_KINDS: list[dict[str, list[str]]] = [{"login": []}, {"token": []}, {"api_key": []}]


def policies() -> Iterator[tuple[str, str, Policy]]:
    """Method, path and policy of every documented route."""
    for route in create_fastapi_app(read_settings({"REDIS_ENABLED": "false"})).routes:
        policy = policy_of(route)
        if getattr(route, "include_in_schema", False) and policy is not None:
            for method in route.methods - {"HEAD"}:  # type: ignore[attr-defined]
                yield method.lower(), route.path_format, policy  # type: ignore[attr-defined]


@pytest.mark.unit
class TestDocument:
    def test_every_operation_asks_for_what_its_policy_does(self, document: dict[str, Any]) -> None:
        for method, path, policy in policies():
            operation = document["paths"][path][method]
            asked = operation["security"]
            assert (asked == []) == (not policy.authenticated), path
            if policy.scope is not None:
                assert asked == [{"login": [policy.scope]}, *ALL_KINDS[1:]], path
                assert f"scope `{policy.scope}`" in operation["description"]
            elif not policy.own_only and not policy.for_users and policy is not OPEN:
                assert asked == [{}, *ALL_KINDS], path
            if policy.own_only or policy.for_users:
                assert asked == ALL_KINDS[:2], path

    def test_refusals_are_documented_where_they_may_come(self, document: dict[str, Any]) -> None:
        for method, path, policy in policies():
            responses = document["paths"][path][method]["responses"]
            if policy.authenticated:
                assert "WWW-Authenticate" in responses["401"]["headers"], path
            if policy.scope is not None:
                assert "WWW-Authenticate" in responses["403"]["headers"], path

    def test_schemes_and_scopes(self, document: dict[str, Any]) -> None:
        schemes = document["components"]["securitySchemes"]
        assert {name: scheme["type"] for name, scheme in schemes.items()} == {
            "login": "oauth2",
            "token": "http",
            "api_key": "apiKey",
        }
        assert set(schemes["login"]["flows"]["password"]["scopes"]) == set(Scope)
        assert "security" not in document

    def test_it_says_the_same_in_both_modes(self, document: dict[str, Any]) -> None:
        for mode in ("on", "off"):
            settings = read_settings({"REDIS_ENABLED": "false", "AUTH": mode, "SECRET_KEYS": "k" * 40})
            assert create_fastapi_app(settings).openapi() == document


@pytest.mark.integration
def test_the_login_is_below_all_prefixes(servers: ServerUrls, tmp_path: Path) -> None:
    database_url = new_database(servers.database_url)
    environment = environment_of(database_url, None, tmp_path, API_PREFIX="/api", TRUSTED_PROXIES="127.0.0.1")
    with shop_in_thread(environment) as url:
        for prefix in ("", "/shop"):
            headers = {"X-Forwarded-Prefix": prefix} if prefix else {}
            document = httpx.get(f"{url}/openapi.json", headers=headers, timeout=60).json()
            flow = document["components"]["securitySchemes"]["login"]["flows"]["password"]
            assert flow["tokenUrl"] == f"{prefix}/api/auth/login"
            assert document["servers"][0]["url"] == (prefix or "/")
        assert '"persistAuthorization": true' in httpx.get(f"{url}/docs").text


@pytest.fixture(scope="module")
def guarded(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedShop]:
    folder = tmp_path_factory.mktemp("documented")
    with guarded_shop(new_database(servers.database_url), redis_url, folder) as shop:
        yield shop


@pytest.mark.integration
def test_every_declared_refusal_of_callers_is_answered(guarded: GuardedShop, documented: Document) -> None:
    """And no other: each response is held against the document."""
    expired, no_scopes, unverified = guarded.key(), guarded.key(), guarded.user("customer")
    execute(
        guarded.database_url, f"UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id_key = {expired.id}"
    )
    callers = [
        {},
        {"Authorization": "Bearer nonsense"},
        dict(expired.headers),
        dict(no_scopes.headers),
        {**no_scopes.headers, "Authorization": "Bearer nonsense"},
    ]
    with httpx.Client(base_url=guarded.url, timeout=30, event_hooks={"response": [documented.check]}) as http:
        for method, path, policy in policies():
            if policy.authenticated:
                for headers in callers:
                    http.request(method.upper(), path.replace("{id_key}", "1"), headers=headers)
            if policy.is_about_own and method == "post":
                http.post(path.replace("{id_key}", "1"), headers=unverified.headers, json={})
    guarded_ids = {
        documented.document["paths"][path][method]["operationId"]
        for method, path, policy in policies()
        if policy.authenticated
    }
    declared = {one for one in documented.declared() if one[0] in guarded_ids and one[2] in CODES_OF_CALLERS}
    assert declared - documented.refused == set()
