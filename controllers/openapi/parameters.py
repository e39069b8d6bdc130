"""Query parameters in OpenAPI."""

from collections.abc import Mapping, Sequence
from typing import Any

from controllers.openapi.headers import left_out
from schemas.base import ListQuery, Parameters
from schemas.enumerations import VARNAMES
from schemas.query_types import names_schema


def list_parameters(query: type[ListQuery], sortable: Sequence[str], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of a list with this query, which can be sorted by the columns `sortable`; `row` is an example."""
    column = f"-?({'|'.join(sortable)})"
    sort = {"type": "string", "pattern": f"^({column}(,{column}){{0,9}})?$"}
    parameters = _parameters(query, row)
    parameters["sort"]["schema"] = sort | left_out(f"-{sortable[-1]},id_key")
    return list(parameters.values())


def plain_parameters(query: type[Parameters]) -> list[dict[str, Any]]:
    """The parameters of a query that is no list's."""
    properties = query.model_json_schema()["properties"]
    return [_parameter(name, schema, None) for name, schema in properties.items()]


def row_parameters(query: type[Parameters]) -> list[dict[str, Any]]:
    """The parameters of the query that hold for a single row."""
    return [parameter for name, parameter in _parameters(query, {}).items() if name in query.single_row_parameters]


def _parameters(query: type[Parameters], row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    properties = query.model_json_schema()["properties"]
    if issubclass(query, ListQuery):
        properties["fields"] |= names_schema(list(query.row.model_fields))
    return {name: _parameter(name, schema, row.get(name)) for name, schema in properties.items()}


def _parameter(name: str, property_: dict[str, Any], value: Any) -> dict[str, Any]:
    """The parameter, with `value` as its example if the type has none."""
    schema = _schema(property_)
    is_array = schema.get("type") == "array"
    (example,) = schema.pop("examples", [[value] if is_array else value])
    parameter = {
        "name": name,
        "in": "query",
        "required": False,
        "description": schema.pop("description", "Only rows with this value"),
        "schema": schema | left_out(example),
    }
    # Several values may be repeated parameters or separated by commas; filters are documented as the first, names as the
    # second.
    return parameter | {"style": "form", "explode": "maxItems" in schema} if is_array else parameter


def _schema(property_: dict[str, Any]) -> dict[str, Any]:
    # A query has no null: an optional parameter may be left out.
    options = [option for option in property_.get("anyOf", ()) if option.get("type") != "null"]
    # The title of an enumeration is the name of its component.
    dropped = ("anyOf",) if VARNAMES in property_ else ("anyOf", "title")
    schema = {name: value for name, value in property_.items() if name not in dropped}
    if len(options) == 1:
        schema = options[0] | schema
    elif options:
        schema["anyOf"] = options
    if schema.get("default") in (None, []):
        schema.pop("default", None)
    return schema
