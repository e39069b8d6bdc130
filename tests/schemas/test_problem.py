"""The error body: always valid JSON, whatever the request put into it."""

import json

import pytest

from schemas.error_limits import MAX_ERRORS
from schemas.problem import Problem, listed_errors, problem_json

pytestmark = pytest.mark.unit


def test_has_the_members_of_rfc_9457_and_ours() -> None:
    body = json.loads(problem_json(404, "Not Found", instance="/things/7", request_id="abc", extra={"message": "x"}))
    assert body == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Not Found",
        "instance": "/things/7",
        "code": "not_found",
        "request_id": "abc",
        "message": "x",
    }
    Problem.model_validate(body)


def test_a_code_of_its_own_wins() -> None:
    body = json.loads(problem_json(409, "taken", instance="/", request_id=None, code="already_exists"))
    assert body["code"] == "already_exists"
    assert body["request_id"] is None


def test_what_cannot_be_said_in_unicode_is_said_escaped() -> None:
    detail = [{"loc": ["body", "\ud800"], "msg": "\udfff", "type": "x"}]
    body = json.loads(problem_json(422, detail, instance="/", request_id=None, extra={"\ud800": 7}))
    assert body["detail"] == [{"loc": ["body", "\\ud800"], "msg": "\\udfff", "type": "x"}]
    assert "\\ud800" in body


# -- what is malformed -----------------------------------------------------------------------------


def errors(count: int, name: str = "field", message: str = "wrong") -> list[dict[str, object]]:
    return [{"loc": ("body", n, name), "msg": message, "type": "value_error", "input": "secret"} for n in range(count)]


@pytest.mark.parametrize(("count", "has_more"), [(1, False), (MAX_ERRORS, False), (MAX_ERRORS + 1, True), (9999, True)])
def test_so_many_errors_are_told_and_whether_there_are_more(count: int, has_more: bool) -> None:
    listed, more = listed_errors(errors(count))
    assert listed[0] == {"loc": ["body", 0, "field"], "msg": "wrong", "type": "value_error"}
    assert (len(listed), more) == (min(count, MAX_ERRORS), has_more)


@pytest.mark.parametrize("sign", ["x", "\x01", "\N{CJK UNIFIED IDEOGRAPH-4E00}", "\N{GRINNING FACE}", "\ud800", '"'])
def test_an_answer_stays_small_whatever_is_in_it(sign: str) -> None:
    listed, more = listed_errors(errors(MAX_ERRORS + 1, sign * 100_000, sign * 100_000))
    assert more
    assert len(listed) > 5
    body = problem_json(422, listed, instance="/%20" * 30_000, request_id="x" * 128, extra={"more_errors": True})
    assert len(body) < 64 * 1024
    json.loads(body)


def test_a_long_path_is_cut_between_its_escapes() -> None:
    for before in range(4):
        path = "/" + "a" * before + "%41" * 20_000
        shown = json.loads(problem_json(404, "Not Found", instance=path, request_id=None))["instance"]
        assert path.startswith(shown)
        assert 1990 < len(shown) <= 2000
        assert shown.endswith("%41")
