"""Errors in OpenAPI: the possible codes of each operation and status, their schemas and examples."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from controllers.openapi.headers import header_references
from schemas.problem import (
    CODES,
    MalformedProblem,
    Problem,
    RateLimitProblem,
    RuleProblem,
    ScopeProblem,
    UnexpectedProblem,
)
from security.scopes import Scope
from services import books_errors, errors, shipment_errors, shipping_errors
from services.errors import ShopError
from services.identity import errors as identity
from services.notification_errors import NotificationUnwanted
from services.payment_errors import PaymentExceedsOpen, PaymentExceedsTotal
from services.webhook_errors import WebhookEndpointOff

PROBLEM_JSON = "application/problem+json"
# The member of an error response with its codes, until `name_problems` replaces it by the schema that lists them.
_CODES = "x-codes"
_SCHEMAS = "#/components/schemas/{model}"
# A schema with more codes is named after its operation.
_MOST_CODES_IN_A_NAME = 2
# Those that most operations have in common.
_SHARED_NAMES = {("not_authenticated", "token_expired", "token_invalid"): "NotAuthenticatedProblem"}

# Codes by status.
Codes = Mapping[int, Set[str]]

_MODELS: Mapping[int, type[Problem]] = {
    400: RuleProblem,
    403: ScopeProblem,
    422: MalformedProblem,
    429: RateLimitProblem,
    500: UnexpectedProblem,
}
_DESCRIPTIONS = {
    400: "A rule of the shop refuses the request, or it is malformed as HTTP",
    401: "Who calls is not known: there are no credentials, or they do not hold",
    403: "The caller may not do this, or a page of an origin sent it that `CORS_ORIGINS` does not name",
    404: "There is no such row, or a reference points nowhere",
    408: "The body came too slowly",
    409: "The state of a row, or a unique value, forbids it",
    412: "The row is not at the version that If-Match names, or at one that If-None-Match names",
    413: "The body is too large",
    415: "The body is not JSON, or it is compressed",
    422: "The request is malformed",
    429: "Too many requests",
    500: "A fault of the server",
    503: "The database is away, or too busy",
}
_HEADERS = {
    401: ["WWW-Authenticate"],
    403: ["WWW-Authenticate"],
    409: ["Retry-After"],
    415: ["Accept", "Accept-Encoding"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}

# The errors of the middleware for any request, and 422 for an unknown query parameter.
_ANY_REQUEST = (400, 413, 422, 429, 500, 503)
_REQUESTS_WITH_BODY = (408, 415)


# -- Possible codes --------------------------------------------------------------------------------


def possible_codes(
    method: str, refusals: Iterable[type[ShopError]], *, row_in_path: bool, is_kept: bool = True
) -> dict[int, set[str]]:
    """The possible codes by status; `refusals` are the errors that the services declare.

    `is_kept`: whether the response to a POST with an Idempotency-Key is kept.
    """
    possible = set(refusals)
    if row_in_path:
        possible.add(errors.NotFound)
    if method != "GET":
        possible.add(errors.CrossOrigin)
    if method == "POST" and is_kept:
        possible |= {errors.RequestInProgress, errors.KeyReused}
    codes: dict[int, set[str]] = defaultdict(set)
    for status in (*_ANY_REQUEST, *(_REQUESTS_WITH_BODY if method in ("POST", "PUT", "PATCH") else ())):
        codes[status].add(CODES[status])
    for error in possible:
        codes[error.status].add(error.code)
    return codes


# -- Responses -------------------------------------------------------------------------------------


def error_response(
    status: int, codes: Iterable[str], *, headers: Iterable[str], description: str = ""
) -> dict[str, Any]:
    """The OpenAPI response for the errors of this status with these codes. `headers` are those of every response."""
    names = sorted(codes)
    return {
        "description": f"{description or _DESCRIPTIONS[status]}. `code`: {', '.join(f'`{name}`' for name in names)}",
        "headers": header_references([*_HEADERS.get(status, ()), *headers]),
        "content": {PROBLEM_JSON: {"examples": {name: {"$ref": f"#/components/examples/{name}"} for name in names}}},
        _CODES: names,
    }


def add_codes(responses: dict[str, Any], codes: Codes, headers: Iterable[str]) -> None:
    """Add errors with these codes to the documented responses of an operation, which may have the statuses already."""
    for status, more in codes.items():
        known = responses.get(str(status), {})
        response = error_response(
            status, {*known.get(_CODES, ()), *more}, headers=[*known.get("headers", {}), *headers]
        )
        responses[str(status)] = response
    # In the order of the statuses; "default" is the last.
    in_order = sorted(responses.items())
    responses.clear()
    responses.update(in_order)


def other_errors(headers: Iterable[str]) -> dict[str, Any]:
    """The OpenAPI response for errors of proxies, or of a later release."""
    return {
        "description": "Any other error",
        "headers": header_references(headers),
        "content": {PROBLEM_JSON: {"schema": {"$ref": _SCHEMAS.format(model=Problem.__name__)}}},
    }


def name_problems(document: dict[str, Any]) -> None:
    """Give every error response the schema that lists its codes; equal ones share it."""
    schemas = document["components"]["schemas"]
    schemas |= _schema_of(Problem)
    for status, operation_id, response in _error_responses(document):
        codes = tuple(response.pop(_CODES))
        name = _name_of(codes, status, operation_id)
        if name not in schemas:
            schemas |= _schema_of(_MODELS.get(status, Problem), name, codes)
        response["content"][PROBLEM_JSON]["schema"] = {"$ref": _SCHEMAS.format(model=name)}
    document["components"]["examples"] = _examples()


def _error_responses(document: dict[str, Any]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if _CODES in response:
                    yield int(status), operation["operationId"], response


def _name_of(codes: tuple[str, ...], status: int, operation_id: str) -> str:
    if codes in _SHARED_NAMES:
        return _SHARED_NAMES[codes]
    if len(codes) <= _MOST_CODES_IN_A_NAME:
        return f"{'Or'.join(map(_camel, codes))}Problem"
    return f"{_camel(operation_id)}{HTTPStatus(status).phrase.replace(' ', '')}Problem"


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _schema_of(model: type[Problem], name: str = Problem.__name__, codes: tuple[str, ...] = ()) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=_SCHEMAS)
    schemas: dict[str, Any] = schema.pop("$defs", {})
    if codes:
        schema["title"] = name
        schema["properties"]["code"] |= {"enum": list(codes)}
    return {**schemas, name: schema}


# -- Examples --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Example:
    """An error of the middleware."""

    status: int
    detail: Any
    members: Mapping[str, Any] = field(default_factory=dict)


_LAYER_EXAMPLES = (
    _Example(400, "The Host header is missing or malformed"),
    _Example(408, "The body of the request did not come in time"),
    _Example(413, "The body is larger than 1048576 bytes"),
    _Example(415, "The body must be JSON: send Content-Type: application/json"),
    _Example(
        422,
        [{"loc": ["body", "price"], "msg": "Field required", "type": "missing"}],
        {"message": "The request is malformed: body.price: Field required"},
    ),
    _Example(429, "Rate limit exceeded. Maximum 100 requests per 60 seconds.", {"retry_after": 42}),
    _Example(500, "Internal server error", {"error_id": "1f2e3d4c"}),
    _Example(503, "The database is not available, try again later"),
)
_RULE_EXAMPLES: tuple[ShopError, ...] = (
    errors.NotFound("Product", 7),
    errors.CrossOrigin(),
    errors.RuleBroken("Address 3 is not one of client 1"),
    errors.InsufficientStock(7, 5, 2),
    errors.ProductNotAvailable(7),
    errors.PriceMismatch(Decimal("39.99"), Decimal("35.00")),
    errors.TotalMismatch(Decimal("74.98"), Decimal("79.98")),
    errors.AmountTooLarge(),
    errors.ReturnExceedsSale(3, 2, 1),
    errors.DiscountTooLarge(Decimal("90.00"), Decimal("79.98")),
    errors.Conflict("Order 7 is DELIVERED: its details do not change"),
    errors.AlreadyExists("Product", "sku", "LAMP-01"),
    errors.HasChanged("Product", 7),
    errors.StatusConflict(7, "DELIVERED", "CANCELED"),
    errors.JobConflict(7, "running", "tried again"),
    errors.ProductHasSales(7),
    PaymentExceedsOpen(7, Decimal("80.00"), Decimal("74.98")),
    PaymentExceedsTotal(7, Decimal("37.49"), Decimal("74.98")),
    books_errors.DocumentFixed(7),
    books_errors.RefundExceedsPayment(7, Decimal("2.00"), Decimal("5.00")),
    books_errors.ClientMismatch(7),
    books_errors.OrderIsEmpty(7),
    shipment_errors.ShipmentExceedsOrder(3, 2, 1),
    shipment_errors.NothingToShip(7),
    shipment_errors.ShipmentDelivered(7),
    shipping_errors.ShippingNotRefundable(7, 2),
    WebhookEndpointOff(7),
    NotificationUnwanted(7, 1, "sms"),
    errors.RequestInProgress(),
    errors.PreconditionFailed("Product", 7, "not at the version that If-Match names"),
    errors.KeyReused(),
    identity.BothCredentials(),
    identity.NotAuthenticated(),
    identity.TokenExpired(),
    identity.TokenInvalid(),
    identity.InvalidCredentials(),
    identity.AccountTokenInvalid(),
    identity.Forbidden(Scope.CATALOG_WRITE),
    identity.EmailNotVerified(),
    identity.LastAdministrator(),
    identity.UserHasOrders(7),
    identity.SecretShownOnce(),
)


def _examples() -> dict[str, Any]:
    """An example of every error, by its code."""
    of_layers = {
        CODES[one.status]: _example(one.status, CODES[one.status], one.detail, one.members) for one in _LAYER_EXAMPLES
    }
    of_rules = {
        error.code: _example(error.status, error.code, error.detail, {"message": error.message, **error.members})
        for error in _RULE_EXAMPLES
    }
    return of_layers | of_rules


def _example(status: int, code: str, detail: Any, members: Mapping[str, Any]) -> dict[str, Any]:
    value = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "message": detail,
        "instance": "/products/7",
        "code": code,
        "request_id": "5f0c3f0e-6b0f-4f0e-9d3a-2f6f1f1b7c11",
        **members,
    }
    return {"summary": HTTPStatus(status).phrase, "value": value}
