"""Answers as they are kept in Redis: a line about the answer, with the tokens it is good with, and then its body."""

import secrets
from dataclasses import dataclass
from typing import Any

import orjson

from services.answer import Answer, Entry
from services.versions import STAMP_BYTES, Found, Tokens, size_tag, version_key


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as Redis holds it: what it begins with there, and the tokens with which it is good."""

    stamp: bytes
    tokens: tuple[tuple[str, bytes], ...]
    answer: Answer

    def is_good(self, entry: Entry, found: Found) -> bool:
        if found.get(entry.key) != self.stamp:
            return False
        # A loop, because this runs for every cached answer and a generator costs three times as much.
        for key, token in self.tokens:  # noqa: SIM110
            if found.get(key) != token:
                return False
        return True


def needed(entry: Entry, complete_to: int | None) -> tuple[str, ...]:
    """The keys of the tokens that decide whether the entry's answer is good."""
    if entry.resource is None or complete_to is None:
        return entry.tokens
    spared = version_key(size_tag(entry.resource))
    return tuple(key for key in entry.tokens if key != spared)


def encoded(answer: Answer, tokens: Tokens) -> bytes:
    """The stored form: one line of JSON about the answer, then its body. No two begin with the same bytes."""
    about = {
        "stamp": secrets.token_hex(12),
        "tokens": {key: token.decode("latin-1") for key, token in tokens.items()},
        "etag": answer.etag,
        "headers": answer.headers,
        "complete_to": answer.complete_to,
    }
    return orjson.dumps(about) + b"\n" + answer.body


def decoded(stored: bytes, entry: Entry) -> StoredAnswer | None:
    """What `encoded` made for `entry`; None for anything else."""
    line, _, body = stored.partition(b"\n")
    try:
        about = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(about, dict):
        return None
    etag, complete_to = about.get("etag"), about.get("complete_to")
    if not isinstance(etag, str) or not isinstance(complete_to, int | None):
        return None
    tokens, headers = _texts(about.get("tokens")), _texts(about.get("headers"))
    if tokens is None or headers is None or {*tokens} != {*needed(entry, complete_to)}:
        return None
    good_with = tuple((key, token.encode("latin-1", "replace")) for key, token in tokens.items())
    return StoredAnswer(stored[:STAMP_BYTES], good_with, Answer(body, etag, headers, complete_to))


def _texts(value: Any) -> dict[str, str] | None:
    """`value`, if it is an object of texts."""
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return value
    return None
