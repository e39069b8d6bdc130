"""The OpenAPI document of the shop: its description, tags and components, and the parts that FastAPI leaves out."""

from collections.abc import Container
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from controllers.openapi.errors import name_problems
from controllers.openapi.headers import HEADERS
from controllers.openapi.security import add_owner, add_policy, security_schemes
from controllers.policies import policy_of
from controllers.routing import ShopRoute
from infrastructure.server.media_types import JSON, MERGE_PATCH
from schemas import enumerations

_DESCRIPTION = """
**Rows.** Every resource has the same calls. `id_key` is the key. Money is a JSON number with two decimals, never
rounded. Times are UTC, RFC 3339. `PUT` and `PATCH` are the same: only the fields sent change, and a fetched row can be
changed and sent back whole. `Prefer: return=minimal` leaves out the body of the response to a write: it is then 201 without a
body, or 204. Unknown fields and unknown query parameters are refused.

**Callers.** An access token (`POST /auth/login`) or an API key goes into `Authorization: Bearer`; a key may also be sent as
`X-API-Key`, and never both. Each operation says which scope it needs; customers need none for what is theirs. Without credentials,
or with bad ones, the response is 401; without the scope it is 403, and `scope` names it; a row of somebody else is 404. Where
the shop runs with `AUTH=off`, every caller may do everything.

**Lists.** `skip` and `limit` page by offset, `after` and `limit` by key, at equal cost at any depth; `sort=price` or
`sort=-price,name` orders. Filters are combined with AND; texts are found in whatever case and Unicode form.
`X-Total-Count` counts the matches, `Link` leads to the other pages. A filter by keys, or by what has names, takes several values: `status=1,2` or
`status=1&status=2`; `id_key=7,9` fetches rows by their keys, up to 1,000. Where one value is meant, a second is refused;
an empty parameter is as if left out. A time may be a plain date: `date_from` counts from its beginning, `date_to` to its
end, both in UTC.

**Fields.** `fields=name,price` shows only these fields of every row, and always `id_key`. The schemas of responses
are those of whole rows.

**Versions.** Every row has an `ETag`. `If-None-Match` saves a repeated response (304); `If-Match`, or the `updated_at`
in a body, keeps a change from undoing somebody else's (412, 409). `If-None-Match` with one of the row's tags, or `*`,
refuses a change (412).

**Compression.** Responses of more than 1 KB are compressed with zstd or gzip, as `Accept-Encoding` asks, and carry `Vary`.
Each form has an `ETag` of its own; `If-Match` and `If-None-Match` take any of them. `Cache-Control` is `no-cache` for
the catalog and `private, no-cache` for everything else.

**Repeats.** A `POST` with an `Idempotency-Key` takes effect once; a repeat gets the first response with
`Idempotent-Replayed: true`, for at least 24 hours.

**Errors** have one shape, `application/problem+json` (RFC 9457); `code` names them for programs, and each operation
lists its possible ones; `message` says in one sentence for people what is wrong.

**Every response** carries `X-Request-ID` (yours, if you send one), `X-Response-Time` in milliseconds, and, while
requests are limited, `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds until the window
ends), and the same as `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers). A `traceparent` (W3C
Trace Context) gets one of the same trace. `HEAD` and `OPTIONS` work everywhere.
"""

_TAGS = {
    "clients": "People who buy. Deleting a client deletes its addresses; one with orders or bills stays.",
    "addresses": "Where clients live.",
    "categories": "The shelves of the catalog.",
    "products": "What is sold: the price now, the stock, and the ledger of every change of the stock.",
    "tax_classes": "What is taxed alike, and the rates of each country. Taxes are included in prices.",
    "reviews": "What people say of a product.",
    "checkout": "The way to place an order: bill, order and details in one transaction.",
    "orders": "What a client bought. PENDING (1), IN_PROGRESS (2), DELIVERED (3), or CANCELED (4).",
    "order_details": "The lines of an order. They move the stock, and the totals of order and bill.",
    "bills": "What is to be paid. Numbers given by the server have no gaps.",
    "payments": "Money for bills, and money given back for credit bills; never changed or deleted.",
    "returns": "Goods that came back, with the money given back for each line.",
    "shipments": "Goods on their way: the first shipment moves a PENDING order on, the last delivery ends it.",
    "shipping_rates": "What the delivery of an order costs, by its method and the country that it goes to.",
    "reports": "What was sold, to whom, and what is in stock: sums of the bills of days.",
    "auth": "Who somebody is: registration, login, sessions, the own profile. Nothing of it is kept by caches.",
    "users": "Who can log in, with their roles.",
    "api_keys": "Keys of programs. A secret is shown once, when its key is made.",
    "events": "What happened, in the order in which readers get it.",
    "audit_entries": "Who did what. Nothing changes or removes an entry.",
    "webhook_endpoints": "Where events are sent to, signed by Standard Webhooks.",
    "webhook_deliveries": "Events on their way to endpoints, and what became of them.",
    "notifications": "What clients and staff are told by mail, SMS and push messages, and whether it has gone out.",
    "jobs": "What the background process has to do, and what failed for good. What is done is gone.",
    "health": "What operations poll. Never limited, never cached.",
    "service": "What the installation tells of itself: where things are, and what it has counted.",
}


def openapi_document(app: FastAPI, api_prefix: str) -> dict[str, Any]:
    """The OpenAPI document of `app`, which must have all its routes. Those of the API begin with `api_prefix`."""
    routes = [route.documented() if isinstance(route, ShopRoute) else route for route in app.routes]
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION.strip(),
        routes=routes,
        tags=[{"name": name, "description": description} for name, description in _TAGS.items()],
        servers=app.servers,
        contact=app.contact,
        license_info=app.license_info,
    )
    components = document.setdefault("components", {})
    components["headers"] = HEADERS
    components["securitySchemes"] = security_schemes(api_prefix)
    for route in app.routes:
        policy = policy_of(route)
        if isinstance(route, APIRoute) and route.include_in_schema and policy is not None:
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                add_policy(operation, policy)
                if isinstance(route, ShopRoute) and route.owner is not None:
                    add_owner(operation, route.owner, components["schemas"])
    name_problems(document)
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                _restore_examples(operation, route)
                # An array is no merge patch (RFC 7396): it would replace the whole.
                if method == "PATCH" and not route.path_format.endswith("/bulk"):
                    bodies = operation["requestBody"]["content"]
                    bodies[MERGE_PATCH] = bodies[JSON]
                _link_to_row(document["paths"], operation, route)
    components_of_enumerations = enumerations.components()
    referring: dict[str, Any] = _referring_to_enumerations(document, components_of_enumerations.keys())
    referring["components"]["schemas"] |= components_of_enumerations
    return referring


def below(document: dict[str, Any], api_prefix: str, public_prefix: str) -> dict[str, Any]:
    """The document for clients that see the shop below `public_prefix`."""
    here = {**document["servers"][0], "url": public_prefix or "/"}
    components = {**document["components"], "securitySchemes": security_schemes(api_prefix, public_prefix)}
    return {**document, "servers": [here], "components": components}


def _referring_to_enumerations(value: Any, named: Container[str]) -> Any:
    """`value` with a reference for each enumeration that is `named`: generated clients then have one type for each."""
    if isinstance(value, list):
        return [_referring_to_enumerations(item, named) for item in value]
    if not isinstance(value, dict):
        return value
    title = value.get("title")
    if isinstance(title, str) and title in named and not value.keys().isdisjoint(("enum", "anyOf")):
        here = {name: item for name, item in value.items() if name not in enumerations.COMPONENT_KEYS}
        return {"$ref": f"#/components/schemas/{title}", **here}
    return {name: _referring_to_enumerations(item, named) for name, item in value.items()}


def _restore_examples(operation: dict[str, Any], route: APIRoute) -> None:
    """Restore the examples: FastAPI drops every `null` in them."""
    given = {str(status): response for status, response in route.responses.items()}
    for status, response in operation["responses"].items():
        _copy_examples(given.get(status, {}), response)
    if "requestBody" in operation:
        _copy_examples((route.openapi_extra or {}).get("requestBody", {}), operation["requestBody"])


def _copy_examples(source: dict[str, Any], target: dict[str, Any]) -> None:
    for media_type, content in source.get("content", {}).items():
        if "example" in content:
            target["content"][media_type]["example"] = content["example"]


def _link_to_row(paths: dict[str, Any], operation: dict[str, Any], route: APIRoute) -> None:
    """Add links to the operations that take the key of the created row."""
    of_row = paths.get(f"{route.path_format}/{{id_key}}", {})
    if "201" in operation["responses"] and of_row:
        operation["responses"]["201"]["links"] = {
            other["operationId"]: {
                "operationId": other["operationId"],
                "parameters": {"id_key": "$response.body#/id_key"},
            }
            for other in of_row.values()
        }
