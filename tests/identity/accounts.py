"""Accounts as tests make them: by the calls of clients, and what only a mail or the database has by SQL."""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import jwt

from models.account_token import TokenPurpose
from models.text_key import email_key
from security.account_token import account_token, token_hash
from security.secret_keys import KeyRing, key_id
from services.identity.sessions import REPLACED_SECONDS
from tests.builders import unique
from tests.mail_server import text_of
from tests.race.databases import execute, rows_of
from tests.shop import environment_of, shop_in_thread, shop_processes

SECRET = "only-for-tests-0123456789abcdef0123456789"
KEYS = KeyRing([SECRET])
PASSWORD = "correct horse battery"
_MAIL_SECONDS = 30


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


@dataclass
class AccountShop:
    """A shop at `http`, on its own database, whose mails are files in `mails`."""

    http: httpx.Client
    database_url: str
    mails: Path

    def user(self, **given: Any) -> LoggedIn:
        """Somebody who has registered and logged in."""
        return LoggedIn.new(self.http, self.database_url, **given)

    def mail(self, recipient: str, subject: str) -> EmailMessage:
        """The newest mail to the recipient with this in its subject, once it is there."""
        deadline = time.monotonic() + _MAIL_SECONDS
        while not (found := self.mails_to(recipient, subject)):
            assert time.monotonic() < deadline, f"no mail to {recipient} about {subject}"
            time.sleep(0.05)
        return found[-1]

    def token(self, recipient: str, subject: str) -> str:
        """The token of that mail."""
        match = re.search(r"\?token=([\w-]+)", text_of(self.mail(recipient, subject)))
        assert match is not None
        return match[1]

    def mails_to(self, recipient: str, subject: str = "") -> list[EmailMessage]:
        """Those that are there already."""
        paths = sorted(self.mails.glob("shop-*.eml"), key=lambda path: int(path.stem.split("-")[1]))
        found = [message_from_bytes(path.read_bytes(), policy=default) for path in paths]
        mails = [mail for mail in found if isinstance(mail, EmailMessage) and recipient in mail["To"]]
        return [mail for mail in mails if subject in mail["Subject"]]

    def a_client(self, email: str) -> int:
        """The key of a client with this address, whom staff has made."""
        insertion = "INSERT INTO clients (name, lastname, email, email_key) VALUES ('Ada', 'Byron', %s, %s)"
        ((key,),) = rows_of(self.database_url, f"{insertion} RETURNING id_key", email, email_key(email))
        return int(key)


@contextmanager
def account_shop(
    database_url: str, redis_url: str | None, folder: Path, *, workers: int = 0, **settings: str
) -> Iterator[AccountShop]:
    """A shop with AUTH=on: in a thread of this process, or of so many worker processes."""
    given = {"AUTH": "on", "DATA_DIR": str(folder / "data"), "SECRET_KEYS": SECRET, **settings}
    environment = environment_of(database_url, redis_url, folder, **given)
    with ExitStack() as stack:
        if workers:
            url, _ = stack.enter_context(shop_processes(environment, workers))
        else:
            url = stack.enter_context(shop_in_thread(environment))
        # A connection for each request: any worker may answer it.
        limits = httpx.Limits(max_keepalive_connections=0 if workers else 20)
        http = stack.enter_context(httpx.Client(base_url=url, timeout=60, limits=limits))
        yield AccountShop(http, database_url, folder / "data" / "mail")


def replaced_long_ago(user: LoggedIn, session_id: int) -> None:
    """As if all replacements of the session's tokens were longer ago than their old ones work."""
    execute(
        user.database_url,
        "UPDATE user_sessions SET replaced_at = array(SELECT t - make_interval(secs => %s) FROM unnest(replaced_at) t)"
        " WHERE id_key = %s",
        REPLACED_SECONDS + 1,
        session_id,
    )


def current_session(user: LoggedIn) -> int:
    (key,) = (row["id_key"] for row in user("GET", "/auth/sessions").json() if row["is_current"])
    return int(key)


def is_void(response: httpx.Response) -> bool:
    return (response.status_code, response.json()["code"]) == (401, "token_invalid")
