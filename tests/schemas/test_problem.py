"""The error body: always valid JSON, whatever the request put into it."""

import json

import pytest

from schemas.problem import Problem, problem_json

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
