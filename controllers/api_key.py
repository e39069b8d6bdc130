"""Routes of API keys, for administrators."""

from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import BaseController, executor_of
from controllers.idempotency import keyed_request
from controllers.policies import principal_of
from controllers.responses import as_response, secret_reply
from schemas.api_key import ApiKeyCreate, ApiKeyQuery, ApiKeyRead, ApiKeyUpdate, NewApiKeyRead
from security.policy import needs
from services.api_key import ApiKeyService
from services.declared_errors import creation
from services.idempotency import Reply
from services.identity.errors import Forbidden, SecretShownOnce


class ApiKeyController(BaseController):
    reads = writes = needs("keys:admin")
    service = ApiKeyService
    create_schema, update_schema = ApiKeyCreate, ApiKeyUpdate
    read_schema, query_schema = ApiKeyRead, ApiKeyQuery
    example = {
        "name": "Reports",
        "prefix": "5f0c2b9e",
        "scopes": ["orders:read", "reports:read"],
        "expires_at": None,
        "last_used_at": None,
    }

    def routes(self) -> list[APIRoute]:
        creates = "POST"
        others = [route for route in super().routes() if creates not in (route.methods or ())]
        secret = f"shop_{self.example['prefix']}_{'k' * 43}"
        return [
            *others,
            self.route(
                creates,
                self.path,
                self.create_row,
                "create_api_key",
                body=ApiKeyCreate,
                response_schema=NewApiKeyRead,
                example=self.row_example() | {"secret": secret},
                refusals=creation(ApiKeyService) | {Forbidden, SecretShownOnce},
            ),
        ]

    async def create_row(self, request: Request, body: Any) -> Response:
        """The response shows the secret, which nothing shows again. A repeat by its `Idempotency-Key` is 409."""
        principal = principal_of(request)

        def work(session: Session) -> Reply:
            row, secret = ApiKeyService(session, principal).issue(body.sent())
            return secret_reply(201, row, self.fields, secret, self.location(row.id_key))

        # Whatever the client prefers: without the body the secret would be lost.
        return as_response(await executor_of(request).write(work, await keyed_request(request)))
