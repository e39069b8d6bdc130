"""Entity tags, replies to writes, and what a conditional request gets."""

import asyncio
import datetime as dt
from types import SimpleNamespace

import pytest
from starlette.requests import Request
from starlette.types import Scope

from controllers.preconditions import versions_in
from controllers.responses import rendered_fields, rendered_row, row_reply
from infrastructure.cache.rendered_response import RenderedResponse
from middleware.conditional_response import ConditionalResponse, conditional_response
from models.base import version
from schemas.order import OrderQuery

pytestmark = pytest.mark.unit

CHANGED = dt.datetime(2026, 11, 16, 10, 0, 0, 123456, tzinfo=dt.UTC)
ROW = SimpleNamespace(id_key=7, name="Lamp", updated_at=CHANGED)
TAG = f'"{version(7, CHANGED)}"'


def request(**headers: str) -> Request:
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": encoded})


def response_to(scope: Scope, answer: RenderedResponse, hit: bool | None = None) -> ConditionalResponse:
    return asyncio.run(conditional_response(scope, answer, hit))


# -- Tags ------------------------------------------------------------------------------------------


def test_a_row_is_tagged_with_its_version() -> None:
    answer = rendered_row(ROW, ("id_key", "name", "updated_at"))
    assert answer.body == b'{"id_key":7,"name":"Lamp","updated_at":"2026-11-16T10:00:00.123456Z"}\n'
    assert answer.etag == TAG


def test_two_versions_within_a_microsecond_of_each_other_differ() -> None:
    assert version(7, CHANGED) != version(7, CHANGED + dt.timedelta(microseconds=1))
    assert version(7, CHANGED) != version(8, CHANGED)


def test_an_expanded_row_is_tagged_with_what_is_inside_too() -> None:
    row = {"id_key": 7, "updated_at": CHANGED}
    query = OrderQuery.model_validate({"expand": "bill"})
    one, other = (rendered_fields(row | {"bill": {"total": total}}, query).etag for total in (1, 2))
    assert one != other
    # And still with the version of the row: what was read expanded can be changed under If-Match.
    assert versions_in([one]) == versions_in([other]) == versions_in([TAG])


def test_some_fields_of_a_row_are_an_answer_with_a_tag_of_its_own() -> None:
    row = {"id_key": 7, "total": 5, "status": 1, "updated_at": CHANGED}
    answers = [rendered_fields(row, OrderQuery.model_validate({"fields": name})) for name in ("total", "status")]
    assert [answer.body for answer in answers] == [b'{"id_key":7,"total":5}\n', b'{"id_key":7,"status":1}\n']
    assert len({TAG, *(answer.etag for answer in answers)}) == 3
    assert versions_in([answers[0].etag]) == versions_in([TAG])
    assert rendered_fields(row, OrderQuery()).etag == TAG


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
