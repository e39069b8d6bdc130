"""Routes of accounts that a mail goes with: registration, forgotten passwords, and e-mail addresses."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from controllers.auth import PROFILE_FIELDS, context_of, visitor_of, with_scopes
from controllers.auth_examples import ACCOUNT_TOKEN, PASSWORD, REGISTERED, REGISTRATION
from controllers.auth_routes import account_route
from controllers.openapi import operation
from controllers.responses import as_dict, json_response
from schemas.auth import Accepted, GivenEmail, NewPassword, Register, RegisteredRead, TokenBody
from schemas.client import ClientRead
from security.policy import OPEN
from services.declared_errors import refusals_of
from services.identity.recovery import RecoveryService
from services.identity.registration import RegistrationService

_CLIENT_FIELDS = tuple(ClientRead.model_fields)
_REGISTERED = {"message": "A mail to this address says how it goes on"}
_FORGOTTEN = {"message": "If somebody has this address, a mail with a link is on its way"}
_RESENT = {"message": "If this address waits to be verified, a mail with a link is on its way"}


def _mailed(response: Mapping[str, str]) -> dict[str, Any]:
    """What is documented of a route that takes an address, and always has this response."""
    return {
        "policy": OPEN,
        "status": 202,
        "body": GivenEmail,
        "body_example": {"email": "ada@example.com"},
        "response_schema": Accepted,
        "example": response,
    }


class AuthMailsController:
    """The calls below /auth by which accounts begin, and are found again."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._path = f"{prefix}/auth"

    def routes(self) -> list[APIRoute]:
        registrations = (self._registration(self._path, ""), self._registration(self._prefix, "_short_form"))
        return [*registrations, *self._passwords(), *self._addresses()]

    def _passwords(self) -> Sequence[APIRoute]:
        path = f"{self._path}/password"
        return [
            account_route(
                "POST",
                f"{path}/forgot",
                self.forgot_password,
                "forgot_password",
                "Ask for a mail by which to set a new password",
                **_mailed(_FORGOTTEN),
            ),
            account_route(
                "POST",
                f"{path}/reset",
                self.reset_password,
                "reset_password",
                "Set a new password by the token of a mail",
                policy=OPEN,
                status=204,
                body=NewPassword,
                body_example={"token": ACCOUNT_TOKEN, "password": PASSWORD},
                refusals=refusals_of(RecoveryService.reset_password),
            ),
        ]

    def _addresses(self) -> Sequence[APIRoute]:
        path = f"{self._path}/email"
        return [
            account_route(
                "POST",
                f"{path}/verify",
                self.verify_email,
                "verify_email",
                "Verify an e-mail address by the token of a mail",
                policy=OPEN,
                status=204,
                body=TokenBody,
                body_example={"token": ACCOUNT_TOKEN},
                refusals=refusals_of(RecoveryService.verify_email),
            ),
            account_route(
                "POST",
                f"{path}/resend",
                self.resend_verification,
                "resend_verification",
                "Ask for another mail by which to verify an e-mail address",
                **_mailed(_RESENT),
            ),
        ]

    def _registration(self, path: str, suffix: str) -> APIRoute:
        return account_route(
            "POST",
            f"{path}/register",
            self.register,
            f"register{suffix}",
            "Register as a customer",
            policy=OPEN,
            status=201,
            body=Register,
            body_example=REGISTRATION,
            response_schema=RegisteredRead,
            example=REGISTERED,
            refusals=refusals_of(RegistrationService.register),
            headers=["Location"],
            others={202: operation.accepted(Accepted, _REGISTERED)},
        )

    # -- endpoints ---------------------------------------------------------------------------------

    async def register(self, request: Request, body: Any) -> Response:
        """A mail goes to the address, with a link to verify it. With `REGISTRATION=verify` only the mail says what is taken."""
        registered = await RegistrationService(context_of(request)).register(body.sent(), visitor_of(request))
        if registered is None:
            return json_response(_REGISTERED, 202)
        user, client = registered
        shown = with_scopes(as_dict(user, PROFILE_FIELDS)) | {
            "client": None if client is None else as_dict(client, _CLIENT_FIELDS)
        }
        return json_response(shown, 201, {"Location": f"{self._prefix}/users/{user.id_key}"})

    async def forgot_password(self, request: Request, body: Any) -> Response:
        """The same response in the same time, whether somebody has the address or not."""
        await RecoveryService(context_of(request)).forgot_password(body.email, visitor_of(request))
        return json_response(_FORGOTTEN, 202)

    async def reset_password(self, request: Request, body: Any) -> Response:
        """The token works once, and for half an hour. All sessions of the user end."""
        await RecoveryService(context_of(request)).reset_password(body.token, body.password)
        return Response(status_code=204)

    async def verify_email(self, request: Request, body: Any) -> Response:
        """The client with this address, if there was one before the user, is linked to the user now."""
        await RecoveryService(context_of(request)).verify_email(body.token)
        return Response(status_code=204)

    async def resend_verification(self, request: Request, body: Any) -> Response:
        """The same response in the same time, whether an account waits for it or not. Older links work on until they expire."""
        await RecoveryService(context_of(request)).resend_verification(body.email, visitor_of(request))
        return json_response(_RESENT, 202)
