"""Security in OpenAPI: how callers prove who they are, and what each operation asks of them, by its policy."""

from collections.abc import Mapping
from typing import Any

from controllers.openapi.errors import Codes, add_codes
from controllers.openapi.operation import LIMITED_HEADERS
from infrastructure.server.media_types import JSON
from security.policy import Policy
from security.scopes import Scope
from services.identity.errors import (
    BothCredentials,
    EmailNotVerified,
    Forbidden,
    NotAuthenticated,
    TokenExpired,
    TokenInvalid,
)

# The names of the schemes: what Swagger's "Authorize" offers.
_LOGIN, _TOKEN, _API_KEY = "login", "token", "api_key"
_LOGIN_PATH = "/auth/login"

_SCOPES: Mapping[Scope, str] = {
    Scope.CATALOG_WRITE: "Change products and categories, and delete reviews",
    Scope.STOCK_READ: "Read the ledger of the stock",
    Scope.STOCK_WRITE: "Change the stock of products",
    Scope.CLIENTS_READ: "Read clients and their addresses",
    Scope.CLIENTS_WRITE: "Change clients and their addresses",
    Scope.ORDERS_READ: "Read orders and their lines",
    Scope.ORDERS_WRITE: "Place orders for any client, change, advance and cancel them, take goods back",
    Scope.BILLS_READ: "Read bills",
    Scope.BILLS_WRITE: "Change bills",
    Scope.METRICS_READ: "Read the counters of /metrics",
    Scope.REPORTS_READ: "Read reports",
    Scope.EVENTS_READ: "Read events",
    Scope.NOTIFICATIONS_READ: "Read notifications",
    Scope.NOTIFICATIONS_WRITE: "Change notifications",
    Scope.MEDIA_WRITE: "Change pictures and other media",
    Scope.INSIGHTS_READ: "Read insights",
    Scope.INSIGHTS_WRITE: "Change insights",
    Scope.SETTINGS_WRITE: "Change tax classes and shipping rates",
    Scope.WEBHOOKS_WRITE: "Change webhook endpoints and their deliveries",
    Scope.JOBS_ADMIN: "Look after jobs",
    Scope.USERS_ADMIN: "Look after users",
    Scope.KEYS_ADMIN: "Make API keys and end them",
    Scope.AUDIT_READ: "Read the audit trail",
}


def security_schemes(api_prefix: str, public_prefix: str = "") -> dict[str, Any]:
    """The ways to prove who calls. The URL of the login begins with the prefixes of the shop."""
    return {
        _LOGIN: {
            "type": "oauth2",
            "description": "With user name, or e-mail address, and password. The scopes are those of the user's role, "
            "whichever are asked for.",
            "flows": {
                "password": {
                    "tokenUrl": f"{public_prefix}{api_prefix}{_LOGIN_PATH}",
                    "scopes": {str(scope): _SCOPES[scope] for scope in Scope},
                }
            },
        },
        _TOKEN: {
            "type": "http",
            "scheme": "bearer",
            "description": "`Authorization: Bearer` with an access token, or with an API key.",
        },
        _API_KEY: {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key: `shop_...`."},
    }


def add_policy(operation: dict[str, Any], policy: Policy) -> None:
    """Say in the operation who may call it, and how others are refused."""
    operation["security"] = _requirements(policy)
    words = _in_words(policy)
    if words:
        operation["description"] = "\n\n".join(filter(None, (operation.get("description"), words)))
    add_codes(operation["responses"], _codes(policy), LIMITED_HEADERS)


def add_owner(operation: dict[str, Any], owner: str, schemas: dict[str, Any]) -> None:
    """Show the field `owner` of the body as optional: customers may leave it out, and of others it is asked all the same."""
    name = operation["requestBody"]["content"][JSON]["schema"]["$ref"].rpartition("/")[2]
    schema = schemas[name]
    schema["required"] = [field for field in schema["required"] if field != owner]
    add_codes(operation["responses"], {409: {EmailNotVerified.code}}, LIMITED_HEADERS)


def _requirements(policy: Policy) -> list[dict[str, list[str]]]:
    """One of these is enough; the empty one means that credentials are not needed."""
    if not policy.authenticated:
        return []
    scopes = [] if policy.scope is None else [str(policy.scope)]
    required: list[dict[str, list[str]]] = [{_LOGIN: scopes}, {_TOKEN: []}]
    if not (policy.for_users or policy.own_only):
        required.append({_API_KEY: []})
    return required if _is_required(policy) else [{}, *required]


def _in_words(policy: Policy) -> str:
    if policy.for_users:
        return "For users who have logged in, about themselves."
    if policy.own_only:
        return "For customers, about what is theirs."
    if policy.scope is None:
        return ""
    return f"Needs the scope `{policy.scope}`" + (", or a customer, for what is theirs." if policy.or_own else ".")


def _codes(policy: Policy) -> Codes:
    if not policy.authenticated:
        return {}
    codes = {400: {BothCredentials.code}, 401: {TokenExpired.code, TokenInvalid.code}}
    if _is_required(policy):
        codes[401].add(NotAuthenticated.code)
        codes[403] = {Forbidden.code}
    return codes


def _is_required(policy: Policy) -> bool:
    return policy.scope is not None or policy.own_only or policy.for_users
