"""Keys in paths, parameters of lists, and how both are documented."""

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.routing import compile_path

from controllers.routing import MAX_PARAMETERS, ROW, RowId, parse_query, refuse_unknown
from schemas.base import ListQuery
from schemas.error_limits import MAX_ERRORS
from schemas.query_types import QueryNumber, QueryReferences, QueryText

pytestmark = pytest.mark.unit


class ThingQuery(ListQuery):
    """Filters of the list of things."""

    name: QueryText | None = None
    min_size: QueryNumber | None = None
    kind_id: QueryReferences = ()


def request(query: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/things", "headers": [], "query_string": query.encode()})


@pytest.mark.parametrize(("text", "key"), [("1", 1), ("0", 0), ("-1", -1), (str(10**30), 10**30)])
def test_a_key_is_plain_digits(text: str, key: int) -> None:
    assert TypeAdapter(RowId).validate_python(text) == key


@pytest.mark.parametrize("text", ["", "+1", "1_0", "1.0", " 1", "1 ", "01", "--1", "١", "1e3", "x", "9" * 5000])
def test_anything_else_is_no_key(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RowId).validate_python(text)


@pytest.mark.parametrize(
    ("path", "is_row"),
    [("/x/1", True), ("/x/bulky", True), ("/x/bulk", False), ("/x/bulk_delete", False), ("/x/1/2", False)],
)
def test_bulk_is_never_the_key_of_a_row(path: str, is_row: bool) -> None:
    assert bool(compile_path(f"/x/{ROW}")[0].match(path)) is is_row


def test_unknown_parameters_are_named() -> None:
    with pytest.raises(RequestValidationError) as refusal:
        refuse_unknown(request("name=a&nmae=b&limt=1"), {"name", "limit"})
    assert [error["loc"] for error in refusal.value.errors()] == [("query", "nmae"), ("query", "limt")]


@pytest.mark.parametrize("part", ["n{}=1", "", "skip=1", "utm_x=1"])
def test_of_a_query_full_of_parameters_only_the_first_are_looked_at(part: str) -> None:
    full = [part.format(n) for n in range(MAX_PARAMETERS)]
    known = {"skip", "", *(f"n{n}" for n in range(MAX_PARAMETERS))}
    refuse_unknown(request("&".join(full)), known)
    with pytest.raises(RequestValidationError) as refusal:
        refuse_unknown(request("&".join([*full, "unknown=1"])), known)
    assert [error["loc"] for error in refusal.value.errors()] == [("query",)]


def test_of_unknown_parameters_no_more_are_named_than_are_told() -> None:
    with pytest.raises(RequestValidationError) as refusal:
        refuse_unknown(request("&".join(f"n{n}=1" for n in range(900))), set())
    assert len(refusal.value.errors()) == MAX_ERRORS + 1


def test_what_others_add_to_a_url_is_let_through() -> None:
    refuse_unknown(request("_=1&utm_source=x&utm_campaign=y"), set())


def test_a_query_is_parsed_without_what_is_not_of_the_list() -> None:
    query = parse_query(request("name=%20Lamp&limit=5&_=1"), ThingQuery)
    assert (query.limit, query.filters()) == (5, {"name": "Lamp"})
    assert parse_query(request("kind_id=2&kind_id=1&_=1&_=2"), ThingQuery).filters() == {"kind_id_in": (1, 2)}
    assert parse_query(request(""), ThingQuery) == ThingQuery()


@pytest.mark.parametrize(
    ("query", "loc"),
    [
        ("limit=0", ("query", "limit")),
        ("min_size=big", ("query", "min_size")),
        ("after=1&skip=1", ("query",)),
        ("name=a&name=b", ("query", "name")),
    ],
)
def test_a_malformed_query_says_what_is_wrong(query: str, loc: tuple[str, ...]) -> None:
    with pytest.raises(RequestValidationError) as refusal:
        parse_query(request(query), ThingQuery)
    assert [error["loc"] for error in refusal.value.errors()] == [loc]
