"""Entity tags, links between pages, and what a conditional request gets."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Scope

from controllers.responses import (
    Params,
    list_answer,
    rendered_content,
    rendered_page,
    row_answer,
    row_reply,
    versions_in,
)
from infrastructure.cache.rendered_response import RenderedResponse
from middleware.conditional_response import ConditionalResponse, conditional_response
from models.base import version
from schemas.base import ListQuery, Page
from schemas.order import OrderQuery

pytestmark = pytest.mark.unit

CHANGED = dt.datetime(2026, 11, 16, 10, 0, 0, 123456, tzinfo=dt.UTC)
ROW = SimpleNamespace(id_key=7, name="Lamp", updated_at=CHANGED)
TAG = f'"{version(7, CHANGED)}"'


def links(page: Page, keys: Sequence[int], given: Params = (), **query: Any) -> dict[str, str]:
    """The targets in the Link header, by relation."""
    content = [{"id_key": key} for key in keys]
    header = list_answer(content, page, ListQuery(**query), "/things", given).headers["Link"]
    targets = {}
    for link in header.split(", "):
        target, relation = link.split("; ")
        targets[relation.removeprefix('rel="').removesuffix('"')] = target.strip("<>")
    return targets


def request(**headers: str) -> Request:
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": encoded})


def response_to(scope: Scope, answer: RenderedResponse, hit: bool | None = None) -> ConditionalResponse:
    return asyncio.run(conditional_response(scope, answer, hit))


# -- Tags ------------------------------------------------------------------------------------------


def test_a_row_is_tagged_with_its_version() -> None:
    answer = row_answer(ROW, ("id_key", "name", "updated_at"))
    assert answer.body == b'{"id_key":7,"name":"Lamp","updated_at":"2026-11-16T10:00:00.123456Z"}\n'
    assert answer.etag == TAG


def test_two_versions_within_a_microsecond_of_each_other_differ() -> None:
    assert version(7, CHANGED) != version(7, CHANGED + dt.timedelta(microseconds=1))
    assert version(7, CHANGED) != version(8, CHANGED)


def test_an_expanded_row_is_tagged_with_what_is_inside_too() -> None:
    row = {"id_key": 7, "updated_at": CHANGED}
    query = OrderQuery.model_validate({"expand": "bill"})
    one, other = (rendered_content(row | {"bill": {"total": total}}, query).etag for total in (1, 2))
    assert one != other
    # And still with the version of the row: what was read expanded can be changed under If-Match.
    assert versions_in([one]) == versions_in([other]) == versions_in([TAG])


def test_some_fields_of_a_row_are_an_answer_with_a_tag_of_its_own() -> None:
    row = {"id_key": 7, "total": 5, "status": 1, "updated_at": CHANGED}
    answers = [rendered_content(row, OrderQuery.model_validate({"fields": name})) for name in ("total", "status")]
    assert [answer.body for answer in answers] == [b'{"id_key":7,"total":5}\n', b'{"id_key":7,"status":1}\n']
    assert len({TAG, *(answer.etag for answer in answers)}) == 3
    assert versions_in([answers[0].etag]) == versions_in([TAG])
    assert rendered_content(row, OrderQuery()).etag == TAG


def test_a_list_is_tagged_with_its_rows_and_links() -> None:
    query = ListQuery()
    tags = {
        list_answer([{"id_key": 1}], Page([], 1), query, "/things", ()).etag,
        list_answer([{"id_key": 2}], Page([], 1), query, "/things", ()).etag,
        list_answer([{"id_key": 1}], Page([], 500), query, "/things", ()).etag,
    }
    assert len(tags) == 3


@pytest.mark.parametrize(
    ("lines", "versions"),
    [
        ([], None),
        (["*"], None),
        ([" * "], None),
        (['"a"'], {"a"}),
        (['"a", "b"'], {"a", "b"}),
        (['"a"', '"b"'], {"a", "b"}),
        (['"a.digest"'], {"a"}),
        (['"a-gzip"', '"b-zstd"', '"c.digest-gzip"'], {"a", "b", "c"}),
        (['"a-brotli"'], {"a-brotli"}),
        (['W/"a"'], set()),
        (['W/"a", "b"'], {"b"}),
        ([""], {""}),
    ],
)
def test_if_match_names_versions(lines: list[str], versions: set[str] | None) -> None:
    assert versions_in(lines) == versions


@pytest.mark.parametrize("header", ['"a"', 'W/"a"', '"x", "a"', '"x",W/"a"', '"a-gzip"', 'W/"a-zstd"', "*"])
def test_a_client_that_has_the_answer_gets_304(header: str) -> None:
    response = response_to(request(if_none_match=header).scope, RenderedResponse(b"{}", '"a"', {"Link": "x"}), hit=True)
    assert response.status_code == 304
    assert response.body == b""
    assert response.headers["etag"] == '"a"'
    assert response.headers["x-cache-hit"] == "true"


def test_several_lines_of_tags_are_one_list() -> None:
    scope = request().scope
    scope["headers"] = [(b"if-none-match", b'"x"'), (b"if-none-match", b'"a"')]
    assert response_to(scope, RenderedResponse(b"{}", '"a"')).status_code == 304


@pytest.mark.parametrize("headers", [{}, {"if_none_match": '"b"'}, {"if_none_match": "a"}, {"if_none_match": ""}])
def test_any_other_gets_the_whole_answer(headers: dict[str, str]) -> None:
    response = response_to(request(**headers).scope, RenderedResponse(b"{}", '"a"'))
    assert response.status_code == 200
    assert response.body == b"{}"
    assert response.headers["content-type"] == "application/json"
    assert "x-cache-hit" not in response.headers


def test_a_reply_says_where_the_new_row_is() -> None:
    made = row_reply(201, ROW, ("id_key", "updated_at"), "/things/7")
    assert (made.status, made.body) == (201, b'{"id_key":7,"updated_at":"2026-11-16T10:00:00.123456Z"}\n')
    assert made.headers == {"Content-Type": "application/json", "ETag": TAG, "Location": "/things/7"}
    assert "Location" not in row_reply(200, ROW, ("id_key", "updated_at")).headers


# -- Pages -----------------------------------------------------------------------------------------


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
    assert list_answer([], page, ListQuery(), "/things", ()).headers["X-Total-Count-Estimated"] == "true"


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
