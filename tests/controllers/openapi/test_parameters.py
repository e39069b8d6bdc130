"""How the parameters of lists and rows are documented."""

from typing import Any

import pytest
from pydantic import Field

from controllers.openapi.parameters import list_parameters, row_parameters
from schemas.base import ListQuery
from schemas.query_types import QueryFrom, QueryNumber, QueryReferences, QueryText

pytestmark = pytest.mark.unit


class ThingQuery(ListQuery):
    """Filters of the list of things."""

    name: QueryText | None = None
    min_size: QueryNumber | None = None
    kind_id: QueryReferences = ()
    date_from: QueryFrom | None = Field(default=None, description="Not before")


@pytest.fixture
def parameters() -> dict[str, Any]:
    return {
        it["name"]: it
        for it in list_parameters(ThingQuery, ["id_key", "name"], {"id_key": 7, "name": "Lamp", "kind_id": 1})
    }


def test_each_has_a_description_and_an_example_and_may_be_left_out(parameters: dict[str, Any]) -> None:
    paging = ["skip", "limit", "after", "sort", "fields"]
    assert list(parameters) == [*paging, "id_key", "name", "min_size", "kind_id", "date_from"]
    for parameter in parameters.values():
        assert parameter["in"] == "query"
        assert not parameter["required"]
        assert parameter["description"]
        # Not beside the schema, from where Swagger UI would put it into its form.
        assert parameter["schema"]["examples"]
        assert "example" not in parameter
    assert parameters["id_key"]["schema"]["examples"] == [[7]]
    assert parameters["name"]["schema"]["examples"] == ["Lamp"]
    assert parameters["date_from"]["description"] == "Not before"
    assert parameters["name"]["description"] == "Only rows with this text, in whatever case and Unicode form"


def test_numbers_have_their_kind_and_bounds(parameters: dict[str, Any]) -> None:
    assert parameters["skip"]["schema"] == {"type": "integer", "minimum": 0, "default": 0, "examples": [0]}
    assert parameters["after"]["schema"]["format"] == "int64"
    assert parameters["min_size"]["schema"]["type"] == "number"
    assert parameters["min_size"]["schema"]["format"] == "decimal"


def test_a_time_may_be_a_plain_date(parameters: dict[str, Any]) -> None:
    kinds = [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]
    assert parameters["date_from"]["schema"]["anyOf"] == kinds


def test_several_values_are_an_array(parameters: dict[str, Any]) -> None:
    for name in ("id_key", "kind_id"):
        assert parameters[name]["schema"]["items"] == {"type": "integer", "format": "int64"}
        assert (parameters[name]["style"], parameters[name]["explode"]) == ("form", True)
    assert parameters["fields"]["schema"]["items"]["enum"] == ["id_key", "created_at", "updated_at"]
    assert parameters["fields"]["explode"] is False


def test_an_order_names_columns(parameters: dict[str, Any]) -> None:
    assert parameters["sort"]["schema"]["pattern"] == "^(-?(id_key|name)(,-?(id_key|name)){0,9})?$"


def test_of_a_single_row_only_what_is_shown_can_be_chosen() -> None:
    assert [it["name"] for it in row_parameters(ThingQuery)] == ["fields"]
