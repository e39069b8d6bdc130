"""Routes as the contract wants them: strict JSON, no unknown query parameter, ids that are plain digits."""

import re
from collections.abc import Callable, Coroutine, Sequence, Set
from email.message import Message
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ValidationError, WithJsonSchema
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import Response

from schemas.base import ListQuery
from schemas.json_codec import MalformedJson, from_json

_DIGITS = re.compile(r"-?(0|[1-9][0-9]{0,3999})", re.ASCII)


def _plain_digits(value: Any) -> Any:
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise ValueError("must be an integer")
    return int(value)


class _RowConvertor(StringConvertor):
    # `bulk` is a path of its own, with methods of its own, and never the key of a row.
    regex = "(?!bulk(?:/|$))[^/]+"


register_url_convertor("row", _RowConvertor())

# The part of a route's path that holds the key of a row.
ROW = "{id_key:row}"
RowId = Annotated[
    int,
    BeforeValidator(_plain_digits),
    WithJsonSchema({"type": "integer", "format": "int64"}),
    Path(description="The key of the row", examples=[1]),
]


class StrictRequest(Request):
    """A request whose JSON is read by `schemas.json_codec`, before FastAPI looks at it."""

    _json: Any = None

    async def json(self) -> Any:
        return self._json

    async def read_json(self) -> None:
        """Read and parse the body. Raises 415 for another media type and 422 for what is not JSON."""
        body = await self.body()
        if not body:
            return
        if not _is_json(self.headers.get("content-type", "")):
            raise HTTPException(415, "The body must be JSON: send Content-Type: application/json")
        try:
            self._json = from_json(body)
        except MalformedJson as error:
            raise RequestValidationError(
                [{"type": "json_invalid", "loc": ("body",), "msg": f"The body is not valid JSON: {error}"}]
            ) from None


def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


class ShopRoute(APIRoute):
    """A route that refuses query parameters it does not know, and bodies that are not strict JSON.

    `query_fields` names the parameters of a list route, which parses them itself.
    """

    query_fields: frozenset[str] = frozenset()

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        declared = {parameter.alias for parameter in self.dependant.query_params}

        async def strictly(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            if request.scope["query_string"]:
                refuse_unknown(request, declared | self.query_fields)
            if request.method in ("POST", "PUT", "PATCH"):
                await request.read_json()
            if self.body_field is None:
                await refuse_body(request)
            return await handle(request)

        return strictly


def refuse_unknown(request: Request, known: Set[str]) -> None:
    """Raise 422 for a query parameter outside `known`; `_` and `utm_*`, which others add, are let through."""
    unknown = [
        name for name in request.query_params if name not in known and name != "_" and not name.startswith("utm_")
    ]
    if unknown:
        raise RequestValidationError(
            [{"type": "extra_forbidden", "loc": ("query", name), "msg": "Unknown query parameter"} for name in unknown]
        )


async def refuse_body(request: StrictRequest) -> None:
    """Raise 422 for a body with anything in it: the route takes none."""
    body = await request.json()
    if body is not None and body != {}:
        raise RequestValidationError(
            [{"type": "extra_forbidden", "loc": ("body",), "msg": "This request takes no body"}]
        )


def parse_query(request: Request, schema: type[ListQuery]) -> Any:
    """The query of a list as an object of `schema`. Raises 422 that names what is wrong."""
    given = {name: value for name, value in request.query_params.items() if name in schema.model_fields}
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise malformed_query(error) from None


def malformed_query(error: ValidationError, *parameter: str) -> RequestValidationError:
    """The 422 that says what is wrong with the query, or with one parameter of it."""
    return RequestValidationError(
        [{**problem, "loc": ("query", *parameter, *problem["loc"])} for problem in error.errors(include_url=False)]
    )


def query_parameters(query: type[BaseModel], sortable: Sequence[str]) -> list[dict[str, Any]]:
    """The OpenAPI parameters of a list with this query, which can be ordered by the columns `sortable`."""
    parameters = []
    for name, property_ in query.model_json_schema()["properties"].items():
        schema = _parameter_schema(property_)
        description = schema.pop("description", "Only rows with this value")
        if name == "sort":
            column = f"-?({'|'.join(sortable)})"
            schema = {
                "type": "string",
                "pattern": f"^{column}(,{column}){{0,9}}$",
                "examples": [f"-{sortable[-1]},id_key"],
            }
        parameters.append(
            {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
        )
    return parameters


def _parameter_schema(property_: dict[str, Any]) -> dict[str, Any]:
    # A query cannot say null: an optional parameter is one that may be left out.
    options = [option for option in property_.pop("anyOf", [{}]) if option.get("type") != "null"]
    schema: dict[str, Any] = options[0] | property_
    schema.pop("title")
    if schema.get("default") in (None, []):
        schema.pop("default", None)
    return schema
