"""Answers as they are kept in Redis: a seal, a line about the answer with the tokens it is good with, and its body.

The seal is looked at once, when a worker takes the answer from Redis, and tells the answer from every other.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from infrastructure.cache.entries import Entry
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.seal import Seal
from infrastructure.cache.tags import STAMP_BYTES, CurrentTagValues, TagValues, size_tag, tag_key

# What may be said of an answer. Were the secret of the seal known, still nothing else could be sent in its name.
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_HEADERS = {
    "X-Total-Count": re.compile(r"[0-9]{1,19}"),
    "X-Total-Count-Estimated": re.compile("true"),
    "Link": _PRINTABLE,
}


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """An answer as Redis holds it: what it begins with there, and the tokens with which it is good."""

    stamp: bytes
    tokens: tuple[tuple[str, bytes], ...]
    answer: RenderedResponse

    def is_good(self, entry: Entry, found: TagValues) -> bool:
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
    spared = tag_key(size_tag(entry.resource))
    return tuple(key for key in entry.tokens if key != spared)


def encoded(answer: RenderedResponse, tokens: CurrentTagValues, entry: Entry, seal: Seal) -> bytes:
    """What is kept of `answer` under the key of `entry`, good with these tokens."""
    about = {
        "tokens": {key: token.decode("latin-1") for key, token in tokens.items()},
        "etag": answer.etag,
        "headers": answer.headers,
        "complete_to": answer.complete_to,
    }
    return seal.put_on(entry.key, orjson.dumps(about) + b"\n" + answer.body)


def decoded(stored: bytes, entry: Entry, seal: Seal) -> StoredResponse | None:
    """What `encoded` made for `entry`; None for anything else."""
    content = seal.opened(entry.key, stored)
    if content is None:
        return None
    line, _, body = content.partition(b"\n")
    try:
        about = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(about, dict):
        return None
    etag, complete_to = about.get("etag"), about.get("complete_to")
    if not isinstance(etag, str) or not _PRINTABLE.fullmatch(etag) or not isinstance(complete_to, int | None):
        return None
    tokens, headers = _texts(about.get("tokens")), _texts(about.get("headers"))
    if tokens is None or headers is None or {*tokens} != {*needed(entry, complete_to)} or not _are_known(headers):
        return None
    good_with = tuple((key, token.encode("latin-1", "replace")) for key, token in tokens.items())
    return StoredResponse(stored[:STAMP_BYTES], good_with, RenderedResponse(body, etag, headers, complete_to))


def _texts(value: Any) -> dict[str, str] | None:
    """`value`, if it is an object of texts."""
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return value
    return None


def _are_known(headers: dict[str, str]) -> bool:
    return all(name in _HEADERS and _HEADERS[name].fullmatch(value) for name, value in headers.items())
