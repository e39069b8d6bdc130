"""Routes of logins: tokens, and the own profile, with the short forms of some of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from controllers.auth_examples import (
    ACCESS_TOKEN,
    ME,
    PASSWORD,
    REFRESH_TOKEN,
    TOKEN_PAIR,
    TOKEN_STATE,
)
from controllers.auth_routes import account_route
from controllers.openapi.headers import USER_AGENT
from controllers.policies import principal_of, signed_in
from controllers.preconditions import preconditions_of
from controllers.refresh_cookie import RefreshCookie
from controllers.responses import as_dict, as_response, json_response, rendered_fields, reply
from middleware.conditional_response import conditional_response
from schemas.auth import (
    Login,
    MeRead,
    MeUpdate,
    Refresh,
    TokenBody,
    TokenPairRead,
    TokenState,
)
from schemas.user import UserRead
from security.policy import OPEN, SIGNED_IN
from security.scopes import SCOPES_OF, Role
from services.declared_errors import refusals_of
from services.identity.context import AccountContext, Visitor
from services.identity.errors import Forbidden, TokenInvalid, Unauthorized
from services.identity.login import LoginService, TokenPair
from services.identity.profile import ProfileService

PROFILE_FIELDS = tuple(UserRead.model_fields)


class AuthController:
    """The calls below /auth about who is logged in."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._path = f"{prefix}/auth"
        self._cookie = RefreshCookie(prefix)

    def routes(self) -> list[APIRoute]:
        forms = ((self._path, ""), (self._prefix, "_short_form"))
        return [*(route for form in forms for route in self._long_and_short(*form)), *self._long()]

    def _long_and_short(self, path: str, suffix: str) -> Sequence[APIRoute]:
        return [self._login(path, suffix), *self._profile(path, suffix), self._validation(path, suffix)]

    def _login(self, path: str, suffix: str) -> APIRoute:
        return account_route(
            "POST",
            f"{path}/login",
            self.login,
            f"login{suffix}",
            "Log in with a name or an e-mail address, and a password",
            policy=OPEN,
            body=Login,
            body_example={"username": "ada", "password": PASSWORD},
            response_schema=TokenPairRead,
            example=TOKEN_PAIR,
            refusals=refusals_of(LoginService.login),
            headers=["Set-Cookie"],
            takes_form=True,
            parameters=[USER_AGENT],
        )

    def _profile(self, path: str, suffix: str) -> Sequence[APIRoute]:
        shown: Any = {"policy": SIGNED_IN, "response_schema": MeRead, "example": ME}
        return [
            account_route("GET", f"{path}/me", self.me, f"get_me{suffix}", "Get the own profile", **shown),
            account_route(
                "PATCH",
                f"{path}/me",
                self.change_me,
                f"patch_me{suffix}",
                "Change the own profile",
                **shown,
                body=MeUpdate,
                body_example={"full_name": "Ada Lovelace"},
                refusals=refusals_of(ProfileService.change),
                headers=["ETag"],
            ),
        ]

    def _validation(self, path: str, suffix: str) -> APIRoute:
        return account_route(
            "POST",
            f"{path}/validate-token",
            self.validate_token,
            f"validate_token{suffix}",
            "Whether an access token is valid, and whose it is",
            policy=OPEN,
            body=TokenBody,
            body_example={"token": ACCESS_TOKEN},
            response_schema=TokenState,
            example=TOKEN_STATE,
        )

    def _long(self) -> Sequence[APIRoute]:
        return [
            account_route(
                "POST",
                f"{self._path}/refresh",
                self.refresh,
                "refresh",
                "Get the next tokens of a session",
                policy=OPEN,
                body=Refresh,
                body_example={"refresh_token": REFRESH_TOKEN},
                response_schema=TokenPairRead,
                example=TOKEN_PAIR,
                refusals=refusals_of(LoginService.refresh),
                headers=["Set-Cookie"],
            ),
            account_route(
                "POST",
                f"{self._path}/logout",
                self.logout,
                "logout",
                "End this session",
                policy=OPEN,
                status=204,
                refusals=refusals_of(signed_in),
                headers=["Set-Cookie"],
            ),
        ]

    # -- endpoints ---------------------------------------------------------------------------------

    async def login(self, request: Request, body: Any) -> Response:
        """Takes JSON, or the form of the password flow of OAuth 2.0."""
        pair = await LoginService(context_of(request)).login(body.username, body.password, visitor_of(request))
        return self._tokens(request, pair, in_cookie=body.cookie)

    async def refresh(self, request: Request, body: Any = None) -> Response:
        """The token that is replaced works for 30 seconds more, and leads to the same one. After that it ends the session."""
        sent: str | None = None if body is None else body.refresh_token
        token = sent or self._cookie.of(request)
        if token is None:
            raise TokenInvalid
        pair = await LoginService(context_of(request)).refresh(token, visitor_of(request).address)
        return self._tokens(request, pair, in_cookie=sent is None)

    async def logout(self, request: Request) -> Response:
        """By the access token, or by the refresh token in the cookie. On every worker at once."""
        service, cookie = LoginService(context_of(request)), self._cookie.of(request)
        try:
            principal = await signed_in(request)
        except (Unauthorized, Forbidden):
            # The cookie is enough, whatever has become of the access token.
            if cookie is None or not await service.end_by_token(cookie):
                raise
        else:
            await service.end(principal)
            if cookie is not None:
                await service.end_by_token(cookie)
        response = Response(status_code=204)
        if cookie is not None:
            self._cookie.clear(request, response)
        return response

    async def me(self, request: Request) -> Response:
        """As it is stored now, with the scopes of the role."""
        row = await ProfileService(context_of(request), principal_of(request)).row(PROFILE_FIELDS)
        return await conditional_response(request.scope, rendered_fields(with_scopes(row)))

    async def change_me(self, request: Request, body: Any) -> Response:
        """A new address is used once its mail was answered; a new password ends all other sessions."""
        service = ProfileService(context_of(request), principal_of(request))
        user = await service.change(body.sent(), preconditions_of(request), visitor_of(request))
        return as_response(reply(200, rendered_fields(with_scopes(as_dict(user, PROFILE_FIELDS)))))

    async def validate_token(self, request: Request, body: Any) -> Response:
        """For other services. Of a token that is not valid now nothing else is told."""
        found = await LoginService(context_of(request)).validate(body.token)
        if found is None:
            return json_response({"valid": False})
        principal, expires_at = found
        return json_response(
            {
                "valid": True,
                "user_id": principal.id,
                "username": principal.username,
                "role": principal.role,
                "scopes": sorted(principal.scopes),
                "expires_at": datetime.fromtimestamp(expires_at, UTC),
            }
        )

    def _tokens(self, request: Request, pair: TokenPair, *, in_cookie: bool) -> Response:
        tokens = {"access_token": pair.access_token, "token_type": "bearer", "expires_in": pair.expires_in}
        if not in_cookie:
            return json_response(tokens | {"refresh_token": pair.refresh_token})
        response = json_response(tokens)
        self._cookie.set(request, response, pair.refresh_token, pair.session_expires_at)
        return response


def with_scopes(user: dict[str, Any]) -> dict[str, Any]:
    """The profile of a user, with what the role opens."""
    return user | {"scopes": sorted(SCOPES_OF[Role(user["role"])])}


def context_of(request: Request) -> AccountContext:
    """What the services of accounts share in this worker."""
    context: AccountContext = request.app.state.accounts
    return context


def visitor_of(request: Request) -> Visitor:
    """Where the request comes from."""
    return Visitor(request.scope["shop.client"], request.headers.get("user-agent"))
