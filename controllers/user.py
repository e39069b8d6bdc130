"""Routes of users, for administrators."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute

from controllers.bulk import BulkController
from controllers.routing import ShopRoute
from schemas.user import UserCreate, UserQuery, UserRead, UserUpdate
from security.policy import needs
from services.identity.new_passwords import NewPasswords
from services.user import UserService


class UserController(BulkController):
    reads = writes = needs("users:admin")
    service = UserService
    create_schema, update_schema = UserCreate, UserUpdate
    read_schema, query_schema = UserRead, UserQuery
    example = {
        "username": "ada",
        "email": "ada@example.com",
        "full_name": "Ada Lovelace",
        "role": "customer",
        "is_active": True,
        "client_id": 1,
        "email_verified_at": None,
        "last_login_at": None,
    }

    def routes(self) -> list[APIRoute]:
        routes = super().routes()
        for route in routes:
            assert isinstance(route, ShopRoute)
            # Passwords: a plain digest of them could be guessed.
            route.has_secrets = True
        return routes

    async def prepare(
        self, request: Request, rows: Sequence[dict[str, Any]], row_ids: Sequence[int | None], *, in_bulk: bool = False
    ) -> None:
        passwords: NewPasswords = request.app.state.new_passwords
        await passwords.replace(rows, row_ids, in_bulk)
