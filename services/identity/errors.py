"""Refusals of callers: the branch of the error tree (`services.errors`) that is about who may do what.

ShopError
├── BothCredentials             400  a token and an API key at once
├── Unauthorized                401  WWW-Authenticate names the scheme (RFC 6750)
│   ├── NotAuthenticated             no credentials
│   ├── TokenExpired                 credentials that were valid once
│   └── TokenInvalid                 any others
├── InvalidCredentials          401  a login with a wrong name or password, or of a disabled user
├── AccountTokenInvalid         400  a token of a mail that was used, has expired, or was never sent
├── Forbidden                   403  a known caller without the scope, or beyond what is theirs
├── EmailNotVerified            409  a customer whose client is not known before their address is verified
├── LastAdministrator           409  there would be no active administrator left
├── UserHasOrders               409  a user who has bought something is disabled, not deleted
└── SecretShownOnce             409  a repeat of a request whose response showed a secret, which is not kept
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from security.scopes import Scope
from services.errors import Conflict, ShopError


class BothCredentials(ShopError):
    status, code = 400, "both_credentials"

    def __init__(self) -> None:
        super().__init__("Send either Authorization or X-API-Key, not both")


class Unauthorized(ShopError):
    status, code = 401, "not_authenticated"
    problem: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__(self.explanation)

    explanation: ClassVar[str] = ""

    @property
    def headers(self) -> Mapping[str, str]:
        parts = ['Bearer realm="shop"']
        if self.problem is not None:
            parts += [f'error="{self.problem}"', f'error_description="{self.explanation}"']
        return {"WWW-Authenticate": ", ".join(parts)}


class NotAuthenticated(Unauthorized):
    explanation = "This needs a token (Authorization: Bearer) or an API key (X-API-Key)"


class TokenExpired(Unauthorized):
    code, problem = "token_expired", "invalid_token"
    explanation = "The token or key has expired"


class TokenInvalid(Unauthorized):
    code, problem = "token_invalid", "invalid_token"
    explanation = "The token or key is not valid"


class InvalidCredentials(ShopError):
    """One text for a name that nobody has, a wrong password and a disabled user."""

    status, code = 401, "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("The user name or the password is not right")

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="shop"'}


class AccountTokenInvalid(ShopError):
    status, code = 400, "account_token_invalid"

    def __init__(self) -> None:
        super().__init__("The token of the mail is not valid: it was used, it has expired, or it is another one")


class Forbidden(ShopError):
    """`scope` is what the caller lacks; None where no scope would help."""

    status, code = 403, "forbidden"

    def __init__(self, scope: Scope | None = None, text: str = "") -> None:
        super().__init__(text or (f"This needs the scope {scope}" if scope else "This is not yours to do"))
        self.scope = scope

    @property
    def body(self) -> Mapping[str, Any]:
        return {} if self.scope is None else {"scope": str(self.scope)}

    @property
    def headers(self) -> Mapping[str, str]:
        if self.scope is None:
            return {}
        return {"WWW-Authenticate": f'Bearer realm="shop", error="insufficient_scope", scope="{self.scope}"'}


class EmailNotVerified(Conflict):
    code = "email_not_verified"

    def __init__(self) -> None:
        super().__init__("The e-mail address has to be verified first, by the link that was sent to it")


class LastAdministrator(Conflict):
    code = "last_administrator"

    def __init__(self) -> None:
        super().__init__("The last active administrator can be neither disabled, demoted nor deleted")


class UserHasOrders(Conflict):
    code = "user_has_orders"
    text = "User {user_id} has orders and cannot be deleted: disable the user instead"

    def __init__(self, user_id: int) -> None:
        super().__init__(user_id)
        self.user_id = user_id


class SecretShownOnce(Conflict):
    code = "secret_shown_once"

    def __init__(self) -> None:
        super().__init__(
            "This request was done, and its response showed a secret that is not kept: it cannot be repeated"
        )


# What a route that is for users may answer to others.
REFUSED_CALLERS: tuple[type[ShopError], ...] = (
    BothCredentials,
    NotAuthenticated,
    TokenExpired,
    TokenInvalid,
    Forbidden,
)
