"""What all bodies, answers and queries share: partial changes, read-only fields, and the two ways of paging."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from schemas.base import LEFT_OUT, READ_ONLY, Body, Create, ListQuery, update_of
from schemas.field_types import Name100, OrNull, Price, Text20
from schemas.query_types import QueryReferences, QueryText

pytestmark = pytest.mark.unit


class ThingCreate(Create):
    """A new thing."""

    read_only: ClassVar[Mapping[str, Any]] = {**READ_ONLY, "kind": str}

    name: Name100 = Field(description="What it is called")
    note: OrNull[Text20] = None
    price: Price = LEFT_OUT


ThingUpdate = update_of(ThingCreate)


class ThingQuery(ListQuery):
    """Filters of the list of things."""

    name: QueryText | None = None
    kind_id: QueryReferences = ()


def errors_of(schema: type[Body], data: Any) -> list[tuple[Any, ...]]:
    with pytest.raises(ValidationError) as refusal:
        schema.model_validate(data)
    return [error["loc"] for error in refusal.value.errors()]


def test_only_what_was_sent_is_published() -> None:
    assert ThingCreate.model_validate({"name": "Lamp"}).sent() == {"name": "Lamp"}
    assert ThingCreate.model_validate({"name": "Lamp", "note": None}).sent() == {"name": "Lamp", "note": None}
    assert ThingUpdate.model_validate({}).sent() == {}
    assert ThingUpdate.model_validate({"note": "a"}).sent() == {"note": "a"}


def test_read_only_fields_are_ignored_whatever_they_hold() -> None:
    sent = {"name": "Lamp", "id_key": "x", "created_at": [], "updated_at": {}, "kind": 7}
    assert ThingCreate.model_validate(sent).sent() == {"name": "Lamp"}


def test_unknown_fields_are_refused() -> None:
    assert errors_of(ThingCreate, {"name": "Lamp", "nmae": "x"}) == [("nmae",)]
    assert errors_of(ThingUpdate, {"nmae": "x"}) == [("nmae",)]


def test_a_body_that_is_no_row_has_no_read_only_fields() -> None:
    class Order(Body):
        quantity: int

    assert errors_of(Order, {"quantity": 1, "id_key": 1}) == [("id_key",)]


@pytest.mark.parametrize("data", [None, [], "x", 7, [{"name": "Lamp"}]])
def test_a_body_is_an_object(data: Any) -> None:
    assert errors_of(ThingCreate, data) == [()]


def test_a_change_keeps_the_bounds_of_its_fields() -> None:
    assert errors_of(ThingUpdate, {"name": " ", "note": "x" * 21, "price": 0}) == [("name",), ("note",), ("price",)]


def test_null_is_for_fields_that_may_be_empty() -> None:
    assert errors_of(ThingUpdate, {"name": None}) == [("name",)]
    assert errors_of(ThingUpdate, {"price": None}) == [("price",)]
    assert ThingUpdate.model_validate({"note": None}).sent() == {"note": None}


def test_a_change_may_say_which_version_was_read() -> None:
    sent = ThingUpdate.model_validate({"updated_at": "2026-11-16T10:00:00Z", "id_key": 7, "kind": 7}).sent()
    assert list(sent) == ["updated_at"]
    assert errors_of(ThingUpdate, {"updated_at": "yesterday"}) == [("updated_at",)]
    assert errors_of(ThingUpdate, {"updated_at": None}) == [("updated_at",)]


def test_a_change_documents_its_fields_as_the_new_row_does() -> None:
    create, update = ThingCreate.model_json_schema(), ThingUpdate.model_json_schema()
    assert update["title"] == "ThingUpdate"
    assert "Thing" in update["description"]
    assert "required" not in update
    assert update["properties"]["name"] == create["properties"]["name"]
    assert update["properties"]["name"]["description"] == "What it is called"
    assert not any("default" in field for name, field in update["properties"].items() if name != "note")


def test_read_only_fields_are_documented_as_such() -> None:
    create, update = ThingCreate.model_json_schema(), ThingUpdate.model_json_schema()
    for schema, names in ((create, READ_ONLY.keys() | {"kind"}), (update, {"id_key", "created_at", "kind"})):
        assert {name for name, field in schema["properties"].items() if field.get("readOnly")} == names


def test_a_page_is_asked_for_by_offset_or_by_key() -> None:
    assert ThingQuery.model_validate({}).limit == 100
    assert ThingQuery.model_validate({"after": "7", "limit": "5"}).after == 7
    # What clients send that name every parameter.
    assert ThingQuery.model_validate({"after": "7", "skip": "0", "sort": ""}).after == 7
    for other in ({"skip": "1"}, {"sort": "name"}):
        with pytest.raises(ValidationError, match="after cannot be combined with skip or sort"):
            ThingQuery.model_validate({"after": "7", **other})


@pytest.mark.parametrize(
    "query", [{"skip": "-1"}, {"limit": "0"}, {"limit": "1001"}, {"limit": "ten"}, {"sort": "x" * 201}]
)
def test_paging_has_bounds(query: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ThingQuery.model_validate(query)


def test_no_offset_is_too_large_for_the_database() -> None:
    assert ThingQuery.model_validate({"skip": "1" + "0" * 30}).skip == 2**63 - 1


def test_filters_are_what_was_asked_for_and_chooses_rows() -> None:
    assert ThingQuery.model_validate({"skip": "1", "sort": "name", "name": " a "}).filters() == {"name": "a"}
    assert ThingQuery.model_validate({}).filters() == {}


def test_several_values_are_a_filter_of_their_own_in_whatever_writing() -> None:
    for given in (["2", "1"], ["1,2"], ["2", "1, 2"], ["", "2,1"]):
        assert ThingQuery.model_validate({"kind_id": given}).filters() == {"kind_id_in": (1, 2)}
    assert ThingQuery.model_validate({"kind_id": ["7", "7"]}).filters() == {"kind_id": 7}


def test_keys_of_no_row_are_left_out_and_alone_find_nothing() -> None:
    assert ThingQuery.model_validate({"id_key": f"1,{2**63},-5,0"}).filters() == {"id_key": 1}
    assert ThingQuery.model_validate({"id_key": f"{2**63},{10**99}"}).filters() == {"id_key": 0}


def test_where_one_value_is_meant_none_is_chosen_of_several() -> None:
    for name in ("skip", "limit", "after", "sort", "name"):
        with pytest.raises(ValidationError, match="must be given once"):
            ThingQuery.model_validate({name: ["1", "1"]})


def test_what_is_blank_is_as_if_left_out() -> None:
    blank = {name: [" ", "\u200b"] for name in ("after", "sort", "fields", "id_key", "name", "kind_id")}
    assert ThingQuery.model_validate(blank) == ThingQuery()
    for name in ("skip", "limit"):
        with pytest.raises(ValidationError, match="must be an integer"):
            ThingQuery.model_validate({name: [""]})


def test_fields_are_those_of_the_row_and_always_have_the_key() -> None:
    query = ThingQuery.model_validate({"fields": ["updated_at"]})
    assert query.fields == ("id_key", "updated_at")
    row = {"id_key": 1, "created_at": "c", "updated_at": "u", "inside": {}}
    assert query.shown(row) == {"id_key": 1, "updated_at": "u", "inside": {}}
    assert ThingQuery.model_validate({"fields": "created_at,id_key,updated_at"}).fields == ()
    with pytest.raises(ValidationError, match="must name some of id_key, created_at, updated_at"):
        ThingQuery.model_validate({"fields": "id_key,colour"})


def test_a_blank_optional_text_is_null() -> None:
    for schema in (ThingCreate, ThingUpdate):
        for blank in ("", " \n", "\u200b", "\u3164\u2800"):
            assert schema.model_validate({"name": "Lamp", "note": blank}).sent() == {"name": "Lamp", "note": None}


def test_columns_to_sort_by_may_descend() -> None:
    assert ThingQuery.model_validate({"sort": "-price,name"}).sort_keys() == (("price", True), ("name", False))
    assert ThingQuery.model_validate({}).sort_keys() == ()
