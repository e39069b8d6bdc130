"""Routing: strict JSON, no unknown query parameters, and ids of plain digits."""

import re
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cache
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BeforeValidator, ValidationError, WithJsonSchema
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.types import Receive, Scope, Send

from controllers.policies import guard, principal_of
from controllers.request_body import MISSING, StrictRequest, with_cut_off
from schemas.base import Parameters
from schemas.error_limits import first_errors
from schemas.query_types import MAX_VALUES
from security.policy import Policy
from services.ownership import client_of

_DIGITS = re.compile(r"-?(0|[1-9][0-9]{0,3999})", re.ASCII)


def _plain_digits(value: Any) -> Any:
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise ValueError("must be an integer")
    return int(value)


class _RowConvertor(StringConvertor):
    # `bulk` and `bulk_delete` are paths of their own, with methods of their own, and never the key of a row.
    regex = "(?!bulk(?:_delete)?(?:/|$))[^/]+"


register_url_convertor("row", _RowConvertor())

# The part of a route's path that holds the key of a row.
ROW = "{id_key:row}"
RowId = Annotated[
    int,
    BeforeValidator(_plain_digits),
    WithJsonSchema({"type": "integer", "format": "int64"}),
    Path(description="The key of the row", examples=[1], openapi_examples={"row": {"value": 1}}),
]


# A query with very many parameters takes long to parse. This allows all values of one filter, and some others.
MAX_PARAMETERS = MAX_VALUES + 100


class ShopRoute(APIRoute):
    """A route that refuses query parameters it does not know, and bodies that are not strict JSON.

    FastAPI documents it, and finds the arguments of the endpoint: keys in the path, a body. FastAPI's own way to collect
    them costs more than many endpoints, because it handles dependencies, forms and response models, which no endpoint
    here has. So the route collects them itself.

    `query_fields` names the parameters of the query, which the endpoint parses itself (see `parse_query`). An endpoint
    that `reads_rows` gets the chunks of its body. `openapi_options` gives the options of FastAPI that only document the route.
    `policy` says who may call it. Customers may leave the field `owner` of the body out: it is their client.
    """

    reads_rows = False
    request_type: type[StrictRequest] = StrictRequest
    # Whether bodies have what nobody may guess from what is kept of them.
    has_secrets = False

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        policy: Policy,
        openapi_options: Callable[[], dict[str, Any]],
        query_fields: Set[str] = frozenset(),
        owner: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, endpoint, **options)
        self._options, self._openapi_options, self._query_fields = options, openapi_options, query_fields
        self.owner = owner
        self.app = self._serve
        guard(self, policy)

    def documented(self) -> APIRoute:
        """The route with its OpenAPI options. They are made at the first use, so that a start does not wait for them."""
        return APIRoute(self.path, self.endpoint, **self._options, **self._openapi_options())

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self.request_type(scope, receive)
        if scope["query_string"]:
            refuse_unknown(request, self._query_fields)
        if scope["method"] in ("POST", "PUT", "PATCH"):
            await request.read(parse=not self.reads_rows)
        if self.body_field is None:
            await refuse_body(request)
        if self.owner is not None:
            _fill_in(self.owner, request)
        response = await self.endpoint(request, **self._arguments(request))
        await response(scope, receive, send)

    def _arguments(self, request: StrictRequest) -> dict[str, Any]:
        """The arguments of the endpoint beside the request. Raises 422 with all their errors."""
        arguments: dict[str, Any] = {}
        errors: list[dict[str, Any]] = []
        for field, place, value in self._inputs(request):
            if value is not MISSING:
                arguments[field.name], problems = field.validate(value, loc=place)
                errors += problems
            elif field.field_info.is_required():
                errors.append({"type": "missing", "loc": place, "msg": "Field required"})
            else:
                arguments[field.name] = field.default
        errors = with_cut_off(errors, request.cut_off)
        if errors:
            raise RequestValidationError(errors)
        return arguments

    def _inputs(self, request: StrictRequest) -> Iterator[tuple[Any, tuple[str, ...], Any]]:
        """Each field that the endpoint takes, its location in the request, and its value."""
        for field in self.dependant.path_params:
            yield field, ("path", field.alias), request.path_params[field.alias]
        if self.body_field is not None:
            yield self.body_field, ("body",), request.sent


def only_reads(routes: Iterable[APIRoute]) -> list[APIRoute]:
    """Those of the routes that read: the routes of rows that no request writes."""
    return [route for route in routes if "GET" in (route.methods or ())]


def _fill_in(owner: str, request: StrictRequest) -> None:
    """Add the client of a customer to a body without one. Raises `EmailNotVerified` where that is not known."""
    principal = principal_of(request)
    if principal.is_customer and isinstance(request.sent, dict):
        request.sent = {owner: client_of(principal), **request.sent}


def refuse_unknown(request: Request, known: Set[str]) -> None:
    """Raise 422 for a query parameter outside `known`; `_` and `utm_*`, which libraries and campaigns add, are ignored.

    Also for more than `MAX_PARAMETERS`, of which only the first are checked.
    """
    query = request.scope["query_string"]
    is_long = query.count(b"&") >= MAX_PARAMETERS
    if is_long:
        first = b"&".join(query.split(b"&", MAX_PARAMETERS)[:MAX_PARAMETERS])
        request = Request({**request.scope, "query_string": first})
    unknown = first_errors(
        name for name in request.query_params if name not in known and name != "_" and not name.startswith("utm_")
    )
    errors = [{"type": "extra_forbidden", "loc": ("query", name), "msg": "Unknown query parameter"} for name in unknown]
    if is_long:
        message = f"A query has at most {MAX_PARAMETERS} parameters"
        errors.append({"type": "too_long", "loc": ("query",), "msg": message})
    if errors:
        raise RequestValidationError(errors)


async def refuse_body(request: StrictRequest) -> None:
    """Raise 422 for a body that is not empty: the route takes none."""
    body = await request.json()
    if body is not None and body != {}:
        raise RequestValidationError(
            [{"type": "extra_forbidden", "loc": ("body",), "msg": "This request takes no body"}]
        )


def parse_query(request: Request, schema: type[Parameters]) -> Any:
    """The query of a request as an object of `schema`. Raises 422 with its errors."""
    if not request.scope["query_string"]:
        return _empty_query(schema)
    params: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name in schema.model_fields:
            params.setdefault(name, []).append(value)
    try:
        return schema.model_validate(params)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise RequestValidationError([{**one, "loc": ("query", *one["loc"])} for one in problems]) from None


@cache
def _empty_query(schema: type[Parameters]) -> Parameters:
    return schema()
