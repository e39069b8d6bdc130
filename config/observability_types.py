"""The types of settings that name where errors and traces are sent."""

import re
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BeforeValidator


def _parts(text: str) -> SplitResult | None:
    """The parts of a URL by HTTP with a host; None for anything else."""
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable and not re.search(r"\s", text) else None


def _sentry_dsn(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = _parts(value.strip())
    if parts is None or not parts.username or not parts.path.rpartition("/")[2].isdigit():
        raise ValueError("a DSN such as https://key@sentry.example.com/7")
    return value.strip()


def _collector(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = _parts(value.strip())
    if parts is None or parts.query or parts.fragment:
        raise ValueError("the URL of an OpenTelemetry collector that takes OTLP by HTTP, such as http://127.0.0.1:4318")
    return value.strip()


def _headers(value: object) -> object:
    """`name=value,other=value`, the values percent-encoded, as OpenTelemetry has it."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if any(not name.strip() or not separator for name, separator, _ in pairs):
        raise ValueError("headers such as authorization=Bearer%20abc,x-tenant=shop")
    return tuple((name.strip().lower(), unquote(text.strip())) for name, _, text in pairs)


SentryDsn = Annotated[str, BeforeValidator(_sentry_dsn)]
Collector = Annotated[str, BeforeValidator(_collector)]
HeaderPairs = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_headers)]
