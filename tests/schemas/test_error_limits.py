"""Of what is wrong with a request as much is looked for as is told, and one more."""

from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from schemas.base import Body
from schemas.error_limits import MAX_ERRORS, InChunks

pytestmark = pytest.mark.unit


class Line(Body):
    """A line with two fields."""

    name: str
    count: int = 0


LINES: TypeAdapter[list[Line]] = TypeAdapter(Annotated[list[Line], Field(min_length=1, max_length=500), InChunks(500)])


def problems(value: Any) -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as refusal:
        LINES.validate_python(value)
    return [dict(error) for error in refusal.value.errors()]


def test_good_lines_stay_in_their_order() -> None:
    lines = [{"name": str(n), "count": n} for n in range(500)]
    assert [line.sent() for line in LINES.validate_python(lines)] == lines


@pytest.mark.parametrize("place", [0, 19, 20, 57, 99])
def test_an_error_is_published_with_its_place_and_words(place: int) -> None:
    lines: list[Any] = [{"name": "x"}] * 100
    lines[place] = {"name": "x", "count": "{many}", "{odd}": 1}
    assert [(one["loc"], one["type"]) for one in problems(lines)] == [
        ((place, "count"), "int_parsing"),
        ((place, "{odd}"), "extra_forbidden"),
    ]
    assert problems(lines)[1]["msg"] == "Extra inputs are not permitted"


@pytest.mark.parametrize(("count", "kind"), [(0, "too_short"), (501, "too_long"), (100_000, "too_long")])
def test_the_length_of_a_list_is_published_before_its_items_are_looked_at(count: int, kind: str) -> None:
    assert [(one["loc"], one["type"]) for one in problems([{}] * count)] == [((), kind)]


def test_nobody_looks_at_the_lines_behind_enough_errors() -> None:
    seen = 0

    class Watched(dict[str, Any]):
        def items(self) -> Any:
            nonlocal seen
            seen += 1
            return super().items()

    found = problems([Watched() for _ in range(500)])
    assert len(found) > MAX_ERRORS
    assert seen < 150


@pytest.mark.parametrize("count", [1, MAX_ERRORS, MAX_ERRORS + 1, 50_000])
def test_of_unknown_fields_so_many_are_told_and_one_more(count: int) -> None:
    fields = {f"field {n}": n for n in range(count)} | {"count": "x"}
    with pytest.raises(ValidationError) as refusal:
        Line.model_validate(fields)
    kinds = [error["type"] for error in refusal.value.errors()]
    assert kinds.count("missing") == kinds.count("int_parsing") == 1
    assert kinds.count("extra_forbidden") == min(count, MAX_ERRORS + 1)


def test_what_is_not_a_list_is_none() -> None:
    assert [one["type"] for one in problems({"name": "x"})] == ["list_type"]
