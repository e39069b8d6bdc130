"""Holds the answers of a running shop against its OpenAPI document."""

import json
import re
from copy import copy
from typing import Any

import httpx
import jsonschema_rs

PROBLEM = "application/problem+json"
# Not marked as required, because a shop may limit nobody.
RATE_LIMIT_HEADERS = (
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit",
    "RateLimit-Policy",
)
# The refusals of callers, which a shop with AUTH=off never gives.
CODES_OF_CALLERS = {
    "both_credentials",
    "not_authenticated",
    "token_expired",
    "token_invalid",
    "forbidden",
    "email_not_verified",
}
# The kinds of numbers that headers are.
_NUMBERS = {"integer": int, "number": float}

# An operation, a status, and a code.
Refusal = tuple[str, int, str]


class Document:
    """The OpenAPI document, and which of its operations have been seen to succeed."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.succeeded: set[str] = set()
        self.refused: set[Refusal] = set()
        self._operations = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), method, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ]
        # By their schemas in JSON. Each takes milliseconds to make, and is asked for with every answer.
        self._validators: dict[str, Any] = {}

    def unseen(self) -> "Document":
        """The same document, of whose operations nothing has been seen."""
        document = copy(self)
        document.succeeded, document.refused = set(), set()
        return document

    @property
    def operation_ids(self) -> set[str]:
        return {operation["operationId"] for _, _, operation in self._operations}

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The operation that serves the request."""
        operation = self.find(method, path)
        assert operation is not None, f"{method} {path} is not documented"
        return operation

    def find(self, method: str, path: str) -> dict[str, Any] | None:
        """The operation that serves the request, if one does; a path without placeholders goes first."""
        method = "get" if method == "HEAD" else method.lower()
        found = [
            (pattern.pattern.count("[^/]+"), operation)
            for pattern, its_method, operation in self._operations
            if its_method == method and pattern.fullmatch(path)
        ]
        return min(found, key=lambda pair: pair[0])[1] if found else None

    def declared(self) -> set[Refusal]:
        """Every code that some operation declares for some status."""
        return {
            (operation["operationId"], int(status), code)
            for _, _, operation in self._operations
            for status, answer in operation["responses"].items()
            if status >= "400" and status != "default" and PROBLEM in answer["content"]
            for code in self.codes(answer)
        }

    def codes(self, answer: dict[str, Any]) -> list[str]:
        """The codes that the documented answer may have."""
        codes: list[str] = self.resolved(answer["content"][PROBLEM]["schema"])["properties"]["code"]["enum"]
        return codes

    def check_code(self, response: httpx.Response) -> None:
        """Assert that the operation declares the code of this answer for its status; what is no operation may say any."""
        request = response.request
        operation = self.find(request.method, request.url.path.removesuffix("/") or "/")
        if response.headers.get("content-type") != PROBLEM or request.method == "HEAD" or operation is None:
            return
        response.read()
        refusal = (operation["operationId"], response.status_code, response.json()["code"])
        self.refused.add(refusal)
        answer = operation["responses"].get(str(response.status_code))
        assert answer is not None, f"the status is not declared: {refusal}"
        assert refusal[2] in self.codes(answer), f"the code is not declared: {refusal}"

    def validator(self, schema: dict[str, Any]) -> Any:
        """The validator of a schema, whose references lead into the document."""
        key = json.dumps(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.Draft202012Validator(
                {**schema, "components": self.document["components"]}, validate_formats=True
            )
        return self._validators[key]

    def check(self, response: httpx.Response) -> None:
        """Assert that the answer is documented: its status, headers, media type and every member of its body."""
        response.read()
        operation = self.operation(response.request.method, response.request.url.path)
        what = f"{response.request.method} {response.request.url} {response.status_code}: {response.text[:500]}"
        if response.status_code == 204 and "preference-applied" in response.headers:
            # Told in words only, so that clients which never ask for it have one kind of success.
            assert any(parameter["name"] == "Prefer" for parameter in operation["parameters"]), what
            return
        assert str(response.status_code) in operation["responses"], what
        answer = operation["responses"][str(response.status_code)]
        self._check_headers(response, answer, what)
        if "content" not in answer or "return=minimal" in response.headers.get("preference-applied", ""):
            assert not response.content, what
        else:
            self._check_body(response, answer["content"], what)
        self.check_code(response)
        if response.is_success:
            self.succeeded.add(operation["operationId"])

    def _check_headers(self, response: httpx.Response, answer: dict[str, Any], what: str) -> None:
        assert response.request.url.path.startswith(("/health", "/version")) or all(
            name in response.headers for name in RATE_LIMIT_HEADERS
        ), what
        for name, reference in answer.get("headers", {}).items():
            header = self.resolved(reference)
            assert name in response.headers or not header["required"], f"{name} is missing: {what}"
            if name in response.headers:
                text = response.headers[name]
                value = _NUMBERS.get(header["schema"]["type"], str)(text)
                self.validator(header["schema"]).validate(value)

    def _check_body(self, response: httpx.Response, content: dict[str, Any], what: str) -> None:
        media_type = response.headers["content-type"]
        assert media_type in content, what
        if media_type.startswith("text/"):
            return
        schema = content[media_type]["schema"]
        self.validator(schema).validate(response.json())
        self._check_members(schema, response.json(), what)

    def _check_members(self, schema: dict[str, Any], value: Any, what: str) -> None:
        """A member that is not documented is a fault, though clients must be prepared for it."""
        schema = self.resolved(schema)
        if isinstance(value, list) and "items" in schema:
            for item in value:
                self._check_members(schema["items"], item, what)
        if isinstance(value, dict) and "properties" in schema:
            assert not set(value) - set(schema["properties"]), what
            for name, item in value.items():
                self._check_members(schema["properties"][name], item, what)

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema, or what it refers to."""
        while "$ref" in schema:
            part: Any = self.document
            for name in schema["$ref"].removeprefix("#/").split("/"):
                part = part[name]
            schema = part
        return schema
