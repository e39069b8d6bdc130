"""Types of settings that are URLs: of the servers that the shop uses, and its own."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator


def _database_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    match = re.match(r"(postgres|postgresql|postgresql\+psycopg2)://", text)
    if match is None:
        raise ValueError("a PostgreSQL URL such as postgresql://user:password@host:5432/name")
    return "postgresql+psycopg2://" + text[match.end() :]


def _redis_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not re.match(r"(redis|rediss|unix)://", value.strip()):
        raise ValueError("a URL such as redis://host:6379/0, rediss://… or unix:///path")
    return value.strip()


def _smtp_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value.strip())
        is_usable = (
            parts.scheme in ("smtp", "smtps")
            and bool(parts.hostname)
            and parts.port != 0
            and parts.path in ("", "/")
            and parts.query in ("", "starttls=optional")
            and not (parts.fragment or (parts.password and not parts.username))
            and not re.search(r"\s", value.strip())
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError("a URL such as smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465")
    return value.strip()


def _rabbitmq_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        parts = urlsplit(text)
        is_usable = (
            parts.scheme in ("amqp", "amqps")
            and bool(parts.hostname)
            and parts.port != 0
            and not (parts.fragment or (parts.password and not parts.username))
            and not re.search(r"\s", text)
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError("a URL such as amqp://user:password@host:5672/vhost, or amqps://…")
    return text


def _shop_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip().rstrip("/")
    parts = urlsplit(text)
    if not (parts.scheme in ("http", "https") and parts.hostname) or parts.query or parts.fragment or "@" in text:
        raise ValueError("the address of the shop as its customers have it, such as https://shop.example.com")
    return text


def _apprise_url(value: object) -> object:
    """A URL of Apprise. Which services there are is known by it alone, which takes long to load."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/][^\s]*", text):
        raise ValueError("a URL of Apprise, such as twilio://sid:token@+15550100/{recipient}")
    return text


DatabaseUrl = Annotated[str, BeforeValidator(_database_url)]
RedisUrl = Annotated[str, BeforeValidator(_redis_url)]
RabbitUrl = Annotated[str, BeforeValidator(_rabbitmq_url)]
SmtpUrl = Annotated[str, BeforeValidator(_smtp_url)]
ShopUrl = Annotated[str, BeforeValidator(_shop_url)]
AppriseUrl = Annotated[str, BeforeValidator(_apprise_url)]
