"""Holds the answers of a running shop against its OpenAPI document."""

import re
from typing import Any

import httpx
import jsonschema_rs

# The headers that the document tells of once, on top.
OF_EVERY_ANSWER = ("X-Request-ID", "X-Response-Time", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


class Document:
    """The OpenAPI document, and which of its operations have been seen to succeed."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.succeeded: set[str] = set()
        self._operations = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), method, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ]

    @property
    def operation_ids(self) -> set[str]:
        return {operation["operationId"] for _, _, operation in self._operations}

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The operation that serves the request; a path without placeholders goes first."""
        found = [
            (pattern.pattern.count("[^/]+"), operation)
            for pattern, its_method, operation in self._operations
            if its_method == method.lower() and pattern.fullmatch(path)
        ]
        assert found, f"{method} {path} is not documented"
        operation: dict[str, Any] = min(found, key=lambda pair: pair[0])[1]
        return operation

    def validator(self, schema: dict[str, Any]) -> Any:
        """The validator of a schema, whose references lead into the document."""
        return jsonschema_rs.Draft202012Validator(
            {**schema, "components": self.document["components"]}, validate_formats=True
        )

    def check(self, response: httpx.Response) -> None:
        """Assert that the answer is documented: its status, headers, media type and every member of its body."""
        response.read()
        operation = self.operation(response.request.method, response.request.url.path)
        what = f"{response.request.method} {response.request.url} {response.status_code}: {response.text[:500]}"
        assert str(response.status_code) in operation["responses"], what
        answer = operation["responses"][str(response.status_code)]
        self._check_headers(response, answer, what)
        if "content" not in answer:
            assert not response.content, what
        else:
            self._check_body(response, answer["content"], what)
        if response.is_client_error or response.is_server_error:
            assert f"`{response.json()['code']}`" in answer["description"], f"the code is not documented: {what}"
        if response.is_success:
            self.succeeded.add(operation["operationId"])

    def _check_headers(self, response: httpx.Response, answer: dict[str, Any], what: str) -> None:
        assert all(name in response.headers for name in OF_EVERY_ANSWER), what
        for name, reference in answer.get("headers", {}).items():
            header = self.resolved(reference)
            assert name in response.headers or not header["required"], f"{name} is missing: {what}"
            if name in response.headers:
                text = response.headers[name]
                value = int(text) if header["schema"].get("type") == "integer" else text
                self.validator(header["schema"]).validate(value)

    def _check_body(self, response: httpx.Response, content: dict[str, Any], what: str) -> None:
        media_type = response.headers["content-type"]
        assert media_type in content, what
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
