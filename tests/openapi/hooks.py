"""What schemathesis cannot know from the OpenAPI document; each exception says why it is one."""

import itertools
import re
import secrets
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure

_KEY = re.compile(r"[!-~]{1,255}")
_RUN = secrets.token_hex(4)
_numbers = itertools.count()


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Have read-only fields sent too, with anything in them: the shop ignores them, so nothing may come of it."""
    for schema in raw_schema["components"]["schemas"].values():
        for field in schema.get("properties", {}).values():
            field.pop("readOnly", None)


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Give every request a key of its own: the few that are drawn would soon belong to other requests (422)."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and _KEY.fullmatch(key):
        case.headers["Idempotency-Key"] = f"{_RUN}-{next(_numbers)}"


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Let pass that `after` does not go with `skip` or `sort`: OpenAPI cannot say it of parameters."""
    return b"after cannot be combined with skip or sort" not in response.content


@schemathesis.check
def headers_of_every_answer(ctx: CheckContext, response: Response, case: Case) -> None:
    """The headers that the document tells of once, on top, are on every answer."""
    for name in ("x-request-id", "x-response-time", "x-content-type-options", "content-security-policy"):
        assert len(response.headers.get(name, ())) == 1, f"{name} is missing, or there twice"
