"""Examples for the documentation of accounts. Nothing in them is, or looks like, a secret of somebody."""

from typing import Any

from controllers.openapi.operation import STORED_FIELDS

PASSWORD = "correct horse battery staple"  # noqa: S105 (an example)
ACCESS_TOKEN = "(the access token)"  # noqa: S105
REFRESH_TOKEN = "(the refresh token)"  # noqa: S105
ACCOUNT_TOKEN = "(the token of the mail)"  # noqa: S105

ME: dict[str, Any] = {
    **STORED_FIELDS,
    "username": "ada",
    "email": "ada@example.com",
    "full_name": "Ada Lovelace",
    "role": "customer",
    "is_active": True,
    "client_id": 1,
    "email_verified_at": "2026-11-16T10:05:00.123456Z",
    "last_login_at": "2026-11-16T10:06:00.123456Z",
    "scopes": [],
}
REGISTRATION = {
    "username": "ada",
    "email": "ada@example.com",
    "password": PASSWORD,
    "name": "Ada",
    "lastname": "Lovelace",
    "telephone": "+442071234567",
}
REGISTERED = {
    **ME,
    "email_verified_at": None,
    "last_login_at": None,
    "client": {
        **STORED_FIELDS,
        "name": "Ada",
        "lastname": "Lovelace",
        "email": "ada@example.com",
        "telephone": "+442071234567",
        "language": "en",
        "notify": {"sms": True, "mail": True, "push": True},
    },
}
TOKEN_PAIR = {
    "access_token": ACCESS_TOKEN,
    "token_type": "bearer",
    "expires_in": 900,
    "refresh_token": REFRESH_TOKEN,
}
TOKEN_STATE = {
    "valid": True,
    "user_id": 1,
    "username": "ada",
    "role": "customer",
    "scopes": [],
    "expires_at": "2026-11-16T10:21:00Z",
}
SESSION = {
    **STORED_FIELDS,
    "device": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "address": "192.0.2.7",
    "expires_at": "2026-12-16T10:00:00.123456Z",
    "is_current": True,
}
