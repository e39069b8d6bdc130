"""What "Try it out" of Swagger UI sends when nothing of its form was changed, in a shop with one row of each kind."""

from typing import Any

import pytest

from tests.guarded_shop import Caller, GuardedShop
from tests.identity.matrix_requests import Rows
from tests.identity.shelf import Shelf

pytestmark = pytest.mark.integration

_NONE = object()
# A stream does not end, ids of events are never known before, and jobs come and go.
_OTHERS = {"/events/stream", "/events/{id}", "/jobs", "/jobs/{id_key}"}


def prefilled(parameter: dict[str, Any]) -> Any:
    """What Swagger UI puts into the field of a parameter; _NONE for an empty field."""
    for example in parameter.get("examples", {}).values():
        return example["value"]
    for source in (parameter, parameter["schema"]):
        if "example" in source:
            return source["example"]
    if parameter["required"] and "enum" in parameter["schema"]:
        return parameter["schema"]["enum"][0]
    return parameter["schema"].get("default", _NONE)


def request_of(path: str, operation: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path, and the other arguments of the request."""
    parts: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation.get("parameters", ()):
        if (value := prefilled(parameter)) is not _NONE:
            parts[parameter["in"]][parameter["name"]] = value
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    more = {} if body is None else {"json": body["example"]}
    return path.format(**parts["path"]), {"params": parts["query"], "headers": parts["header"], **more}


@pytest.fixture(scope="module")
def caller(shop: GuardedShop) -> Caller:
    """An administrator, beside rows of each kind. The first customer has all that a path about the first row can show."""
    shelf = Shelf(shop)
    shelf.take_back(shelf.a_customer())
    Rows(shop, shelf, shelf.a_customer())
    return shop.user("admin")


@pytest.fixture(scope="module")
def operations(shop: GuardedShop) -> list[tuple[str, str, dict[str, Any]]]:
    paths = shop.http.get("/openapi.json").json()["paths"]
    return [(method, path, operation) for path, methods in paths.items() for method, operation in methods.items()]


def test_every_read_succeeds_as_it_is_prefilled(
    shop: GuardedShop, caller: Caller, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    reads = [(path, operation) for method, path, operation in operations if method == "get"]
    assert len(reads) > 30
    for path, operation in reads:
        if path in _OTHERS:
            continue
        target, more = request_of(path, operation)
        response = shop(caller, "GET", target, **more)
        assert response.status_code == 200, (path, response.text)
        if isinstance(response.json() if "json" in response.headers["content-type"] else None, list):
            assert response.json(), f"{path} shows nothing"


def test_no_write_is_refused_for_its_form(
    shop: GuardedShop, caller: Caller, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    """The row may be another than in the example, but the request is one of the contract."""
    for method, path, operation in operations:
        if method == "get" or path in ("/auth/logout", "/auth/sessions"):
            continue
        target, more = request_of(path, operation)
        response = shop(caller, method.upper(), target, **more)
        assert response.status_code not in (412, 422), (method, path, response.text)
