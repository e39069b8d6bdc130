"""Accounts as tests make them: by the calls of clients, and what only a mail or the database has by SQL."""

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt

from models.account_token import TokenPurpose
from security.account_token import account_token, token_hash
from security.secret_keys import KeyRing, key_id
from tests.builders import unique
from tests.race.databases import rows_of

SECRET = "only-for-tests-0123456789abcdef0123456789"
KEYS = KeyRing([SECRET])
PASSWORD = "correct horse battery"


def a_name() -> str:
    """A user name that nobody has."""
    return unique("user").replace(" ", "-").lower()


def registration(**given: Any) -> dict[str, Any]:
    """The body of a registration."""
    username = a_name()
    return {
        "username": username,
        "email": f"{username}@example.com",
        "password": PASSWORD,
        "name": "Ada",
        "lastname": "Lovelace",
        **given,
    }


@dataclass
class LoggedIn:
    """A user with a session, through a client without credentials of its own."""

    http: httpx.Client
    database_url: str
    user: dict[str, Any]
    password: str = PASSWORD
    tokens: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def new(cls, http: httpx.Client, database_url: str, **given: Any) -> "LoggedIn":
        """Somebody who has registered and logged in."""
        body = registration(**given)
        response = http.post("/auth/register", json=body)
        assert response.status_code == 201, response.text
        made = cls(http, database_url, response.json(), body["password"])
        made.log_in()
        return made

    def log_in(self, **given: Any) -> httpx.Response:
        """A new session, whose tokens are kept."""
        body = {"username": self.user["username"], "password": self.password, **given}
        response = self.http.post("/auth/login", json=body)
        assert response.status_code == 200, response.text
        self.tokens = response.json()
        return response

    @property
    def id(self) -> int:
        return int(self.user["id_key"])

    @property
    def username(self) -> str:
        return str(self.user["username"])

    @property
    def email(self) -> str:
        return str(self.user["email"])

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.tokens["access_token"])

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The response to a call with the access token."""
        return self.http.request(method, path, headers={**self.headers, **more.pop("headers", {})}, **more)

    def refresh(self, token: str | None = None) -> httpx.Response:
        """The response to the refresh token; the one that is kept, if not another."""
        return self.http.post("/auth/refresh", json={"refresh_token": token or self.tokens["refresh_token"]})

    def set(self, columns: str) -> None:
        """Change the row of the user by SQL, as somebody beside the shop would."""
        rows_of(self.database_url, f"UPDATE users SET {columns} WHERE id_key = %s RETURNING id_key", self.id)

    def mailed(self, purpose: str, email: str | None = None) -> str:
        """The token of a mail, which nobody has sent."""
        insertion = (
            "INSERT INTO account_tokens (user_id, purpose, email, secret_hash, expires_at)"
            " VALUES (%s, %s, %s, sha256(gen_random_uuid()::text::bytea), now() + interval '30 minutes')"
        )
        purpose = TokenPurpose(purpose).value
        ((key,),) = rows_of(self.database_url, f"{insertion} RETURNING id_key", self.id, purpose, email or self.email)
        return self.found_token(key, purpose)

    def found_token(self, key: int, purpose: str) -> str:
        """The token of a row that is there, as its mail has it."""
        token = account_token(KEYS, purpose, key)
        change = "UPDATE account_tokens SET secret_hash = %s WHERE id_key = %s RETURNING id_key"
        rows_of(self.database_url, change, token_hash(token), key)
        return token

    def api_key(self) -> str:
        """A key without scopes."""
        secret = f"shop_{a_name()[-10:]}_{'x' * 43}"
        insertion = "INSERT INTO api_keys (name, prefix, secret_hash, scopes) VALUES ('test', %s, %s, '{}')"
        digest = hashlib.sha256(secret.encode()).digest()
        rows_of(self.database_url, f"{insertion} RETURNING id_key", secret.split("_")[1][-12:], digest)
        return secret

    def expired_token(self) -> str:
        """An access token of yesterday."""
        claims = jwt.decode(self.tokens["access_token"], options={"verify_signature": False})
        key = KEYS.signing("access token")
        claims |= {"iat": int(time.time()) - 90_000, "exp": int(time.time()) - 86_400}
        return jwt.encode(claims, key, "HS256", headers={"kid": key_id(key)})

    def with_another_mac(self, token: str) -> str:
        """A refresh token of the same session and generation, whose proof somebody has guessed."""
        head = "_".join(token.split("_")[:3])
        guess = base64.urlsafe_b64encode(hmac.digest(b"guess", head.encode(), "sha256")).decode().rstrip("=")
        return f"{head}_{guess}"


def bearer(token: str) -> dict[str, str]:
    """The header that a token is sent in."""
    return {"Authorization": f"Bearer {token}"}
