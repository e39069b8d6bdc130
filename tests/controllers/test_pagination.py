"""Pages of lists: their rows, counts and entity tags, and the links between them."""

from collections.abc import Sequence
from typing import Any

import pytest

from controllers.pagination import Params, rendered_list, rendered_page
from schemas.base import ListQuery, Page

pytestmark = pytest.mark.unit


def links(page: Page, keys: Sequence[int], given: Params = (), **query: Any) -> dict[str, str]:
    """The targets in the Link header, by relation."""
    content = [{"id_key": key} for key in keys]
    header = rendered_list(content, page, ListQuery(**query), "/things", given).headers["Link"]
    targets = {}
    for link in header.split(", "):
        target, relation = link.split("; ")
        targets[relation.removeprefix('rel="').removesuffix('"')] = target.strip("<>")
    return targets


def test_a_list_is_tagged_with_its_rows_and_links() -> None:
    query = ListQuery()
    tags = {
        rendered_list([{"id_key": 1}], Page([], 1), query, "/things", ()).etag,
        rendered_list([{"id_key": 2}], Page([], 1), query, "/things", ()).etag,
        rendered_list([{"id_key": 1}], Page([], 500), query, "/things", ()).etag,
    }
    assert len(tags) == 3


def test_a_page_has_its_rows_without_the_count_beside_them() -> None:
    answer = rendered_page(Page([(1, "a", 42)], 42), ("id_key", "name"), ListQuery(limit=1), "/things", ())
    assert answer.body == b'[{"id_key":1,"name":"a"}]\n'
    assert answer.headers["X-Total-Count"] == "42"
    assert "X-Total-Count-Estimated" not in answer.headers


def test_links_by_offset() -> None:
    assert links(Page([], 25), [1], skip=10, limit=10) == {
        "first": "/things?skip=0&limit=10",
        "prev": "/things?skip=0&limit=10",
        "next": "/things?skip=20&limit=10",
        "last": "/things?skip=20&limit=10",
    }


def test_the_first_page_has_no_previous_one_and_the_last_no_next() -> None:
    assert set(links(Page([], 25), [1], skip=0, limit=10)) == {"first", "next", "last"}
    assert set(links(Page([], 25), [1], skip=20, limit=10)) == {"first", "prev", "last"}
    assert links(Page([], 20), [1], skip=10, limit=10)["last"] == "/things?skip=10&limit=10"


def test_an_empty_list_is_its_own_first_and_last_page() -> None:
    assert links(Page([], 0), [], limit=10) == {"first": "/things?skip=0&limit=10", "last": "/things?skip=0&limit=10"}


def test_from_behind_the_end_the_previous_page_is_the_last_with_rows() -> None:
    assert links(Page([], 25), [], skip=1000, limit=10)["prev"] == "/things?skip=15&limit=10"


def test_an_estimate_is_marked_and_has_no_last_page() -> None:
    page = Page([], 20_000, estimated=True)
    assert "last" not in links(page, [1], skip=0, limit=10)
    assert rendered_list([], page, ListQuery(), "/things", ()).headers["X-Total-Count-Estimated"] == "true"


def test_an_estimate_that_is_too_low_does_not_end_the_way_through_the_links() -> None:
    page = Page([], 20_000, estimated=True)
    full, rest = [1] * 10, [1] * 3
    assert links(page, full, skip=19_990, limit=10)["next"] == "/things?skip=20000&limit=10"
    behind = links(page, full, skip=25_000, limit=10)
    assert behind["next"] == "/things?skip=25010&limit=10"
    assert behind["prev"] == "/things?skip=24990&limit=10"
    last = links(page, rest, skip=30_000, limit=10)
    assert (last["prev"], "next" in last) == ("/things?skip=29990&limit=10", False)
    assert links(page, [], skip=40_000, limit=10)["prev"] == "/things?skip=19990&limit=10"


def test_links_by_key_go_on_from_the_last_row() -> None:
    assert links(Page([], 25), [8, 9], after=7, limit=2) == {
        "first": "/things?after=0&limit=2",
        "next": "/things?after=9&limit=2",
    }
    # A page that is not full is the last one.
    assert set(links(Page([], 25), [8], after=7, limit=2)) == {"first"}


def test_links_keep_the_other_parameters_encoded() -> None:
    given = [("name", 'a&b "c"; ü'), ("skip", "10"), ("limit", "10"), ("sort", "-name")]
    following = links(Page([], 99), [1], given, skip=10, limit=10, sort="-name")["next"]
    assert following == "/things?name=a%26b+%22c%22%3B+%C3%BC&sort=-name&skip=20&limit=10"
