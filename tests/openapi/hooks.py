"""What schemathesis cannot know from the OpenAPI document; each exception says why it is one."""

import itertools
import re
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from hypothesis.configuration import set_hypothesis_home_dir
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure

from config.settings import PROJECT_ROOT
from models.text_key import is_blank

# Where the tests have Hypothesis keep its tables of Unicode: making them takes seconds.
set_hypothesis_home_dir(PROJECT_ROOT / ".hypothesis")

_KEY = re.compile(r"[!-~]{1,255}")
# Rows of every kind that the test makes before it starts.
_ROWS = 5
_RUN = secrets.token_hex(4)
_numbers = itertools.count()
_URL_OR_NOTHING = r"^(https?://[a-z]{1,20}\.example(/[a-z]{0,100})?)?$"
_SECURE_URL = r"^https://[a-z]{1,20}\.example(/[a-z]{0,100})?$"
_DECIMALS = ("price", "total", "discount", "expected_total", "rating")
_BEYOND_OPENAPI = (
    b"after cannot be combined with skip or sort",
    b"numbers of this form are given by the server alone",
    b"The same id_key stands twice in this request",
    b"nothing of it can be seen",
    b"A query has at most 1000 parameters",
    b"is one of the most common passwords",
    b"must not be the name, the e-mail address or the shop's name",
    b"is the customer who writes the review, and stays",
    b"of which the rate must be",
    b"has two rates of",
)


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Take from the document what it says for people and the makers of clients alone.

    Read-only fields are sent too, with anything in them: the shop ignores them, so nothing may come of it. The schemas
    promise whole rows, and cannot say that only some `fields` were asked for, or none by `Prefer: return=minimal`.
    """
    for schema in raw_schema["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if field.get("readOnly"):
                schema["properties"][name] = {}
    for name in ("AddressCreate", "Checkout"):
        # Customers may leave it out; with AUTH=off nobody is one.
        raw_schema["components"]["schemas"][name]["required"].append("client_id")
    # Each request would wait as long as it asks for.
    reading = raw_schema["paths"]["/events"]["get"]
    reading["parameters"] = [one for one in reading["parameters"] if one.get("name") != "wait"]
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            parameters = operation.get("parameters", [])
            parameters[:] = [parameter for parameter in parameters if parameter["name"] not in ("fields", "Prefer")]
            # It stands for what comes from elsewhere; the shop itself says nothing that is not declared.
            del operation["responses"]["default"]
    _understand_more(raw_schema)


def _understand_more(value: Any) -> None:
    """Put patterns and numbers in the place of formats beyond which the shop understands something.

    A number of more than 64 bits is the key of no row. An optional URL may be empty.
    """
    if isinstance(value, dict):
        # The same scope twice is once.
        value.pop("uniqueItems", None)
        if value.get("format") == "int64":
            del value["format"]
        if value.get("format") == "uri":
            del value["format"]
            # Where one has to be, it is that of a webhook.
            value["pattern"] = _SECURE_URL if value.get("minLength") else _URL_OR_NOTHING
        for item in value.values():
            _understand_more(item)
    elif isinstance(value, list):
        for item in value:
            _understand_more(item)


@schemathesis.hook
def map_path_parameters(context: HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any]:
    """Ask for rows that are there: of keys drawn from 64 bits none would ever meet one."""
    return {name: _low_key(key) for name, key in (path_parameters or {}).items()}


@schemathesis.hook
def map_body(context: HookContext, body: Any) -> Any:
    """The same for the rows that a body refers to. And two decimals: the documents say so only in words."""
    if isinstance(body, list):
        return [map_body(context, item) for item in body]
    if not isinstance(body, dict):
        return body
    return {
        name: _low_key(item)
        if name.endswith(("id_key", "_id"))
        else round(item, 2)
        if isinstance(item, float) and name in _DECIMALS
        else map_body(context, item)
        for name, item in body.items()
    }


def _low_key(value: Any) -> Any:
    # Odd ones stay what they are, so that keys of no row are asked for too.
    return value % _ROWS + 1 if type(value) is int and value % 2 == 0 else value


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Replace the headers that would make almost every request end the same way.

    The few keys that are drawn would soon belong to other requests (422), and a tag that is drawn is never the row's
    (412): most requests accept any.
    """
    headers = {} if case.headers is None else case.headers
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and _KEY.fullmatch(key):
        headers["Idempotency-Key"] = f"{_RUN}-{next(_numbers)}"
    if isinstance(headers.get("If-Match"), str) and next(_numbers) % 5:
        headers["If-Match"] = "*"


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Let pass the refusals (422) of what OpenAPI has no words for.

    It cannot say of parameters that `after` does not go with `skip` or `sort`. And that a bill's number must not look
    like one of the server's would take a lookahead in a pattern, which not every reader of patterns has. Nor can it say that
    an author must be who asks, or which rates of a tax class go together.
    """
    if isinstance(failure, AcceptedNegativeData):
        return not _has_a_blank(case.body) and not _has_an_empty_value(response)
    return not any(reason in response.content for reason in _BEYOND_OPENAPI)


def _has_an_empty_value(response: Response) -> bool:
    """Whether a parameter of the query is empty, and therefore as if left out."""
    query = urlsplit(str(response.request.url)).query
    return any(is_blank(value) for _, value in parse_qsl(query, keep_blank_values=True))


def _has_a_blank(value: Any) -> bool:
    """Whether some text in it is blank, and therefore null; of which characters, no pattern can say."""
    if isinstance(value, str):
        return is_blank(value)
    if isinstance(value, dict):
        return any(_has_a_blank(item) for item in value.values())
    return isinstance(value, list) and any(_has_a_blank(item) for item in value)


@schemathesis.check
def headers_of_every_answer(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """The headers that the document tells of once, on top, are on every answer."""
    for name in ("x-request-id", "x-response-time", "x-content-type-options", "content-security-policy"):
        assert len(response.headers.get(name, ())) == 1, f"{name} is missing, or there twice"
