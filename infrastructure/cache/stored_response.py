"""Responses as they are stored in Redis: a seal, a line of JSON about the response and its tag values, and its body.

The seal is checked once, when a worker reads the response from Redis, and is its stamp: it differs from all others.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from infrastructure.cache.entries import Entry
from infrastructure.cache.growing_count import TOTAL, grown
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.seal import Seal
from infrastructure.cache.tags import (
    STAMP_BYTES,
    TAG_VALUE_BYTES,
    CurrentTagValues,
    TagValues,
    size_tag,
    tag_key,
)

# What is allowed in the line. If the secret of the seal were known, no other header could be sent all the same.
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_SNAPSHOT = re.compile(r"[0-9]{1,20}:[0-9]{1,20}:[0-9,]*")
_HEADERS = {
    TOTAL: re.compile(r"[0-9]{1,19}"),
    "X-Total-Count-Estimated": re.compile("true"),
    "Link": _PRINTABLE,
}


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as Redis holds it: its first bytes there, and the tag values with which it is fresh."""

    stamp: bytes
    tag_values: tuple[tuple[str, bytes], ...]
    response: RenderedResponse
    # A count by the last log of new rows.
    _grown: dict[bytes, RenderedResponse] = field(default_factory=dict, compare=False)

    def is_fresh(self, entry: Entry, current: TagValues) -> bool:
        """Whether Redis still holds it under the key of `entry`, and its tags still have their values."""
        if current.get(entry.key) != self.stamp:
            return False
        # A loop, because this runs for every cached response and a generator costs three times as much.
        for key, value in self.tag_values:
            if current.get(key) != value and not (self.response.snapshot and _value(current.get(key)) == value):
                return False
        return True

    def response_now(self, current: TagValues) -> RenderedResponse:
        """The response, if it is fresh: a count with the rows that were added since."""
        if self.response.snapshot is None:
            return self.response
        log = b"".join([(current.get(key) or b"")[TAG_VALUE_BYTES:] for key, _ in self.tag_values])
        found = self._grown.get(log)
        if found is None:
            self._grown.clear()
            found = self._grown[log] = grown(self.response, log)
        return found


def _value(seen: bytes | None) -> bytes | None:
    """A tag value without its log."""
    return seen and seen[:TAG_VALUE_BYTES]


def deciding_values(entry: Entry, response: RenderedResponse, tag_values: CurrentTagValues) -> dict[str, bytes]:
    """The tag values with which `response` is fresh, of those that were there before it was loaded."""
    logged = None if response.snapshot is None else TAG_VALUE_BYTES
    return {key: tag_values[key][:logged] for key in deciding_tags(entry, response.complete_to)}


def deciding_tags(entry: Entry, complete_to: int | None) -> tuple[str, ...]:
    """The keys of the tags that decide whether the response of `entry` is fresh."""
    if entry.resource is None or complete_to is None:
        return entry.tag_keys
    size = tag_key(size_tag(entry.resource))
    return tuple(key for key in entry.tag_keys if key != size)


def encoded(response: RenderedResponse, tag_values: CurrentTagValues, entry: Entry, seal: Seal) -> bytes:
    """What is stored of `response` under the key of `entry`, fresh with these tag values."""
    line = {
        "tag_values": {key: value.decode("latin-1") for key, value in tag_values.items()},
        "etag": response.etag,
        "headers": response.headers,
        "complete_to": response.complete_to,
        "snapshot": response.snapshot,
    }
    return seal.put_on(entry.key, orjson.dumps(line) + b"\n" + response.body)


def decoded(stored: bytes, entry: Entry, seal: Seal) -> StoredResponse | None:
    """What `encoded` made for `entry`; None for anything else."""
    content = seal.opened(entry.key, stored)
    if content is None:
        return None
    line, _, body = content.partition(b"\n")
    try:
        members = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(members, dict):
        return None
    etag, complete_to, snapshot = (members.get(name) for name in ("etag", "complete_to", "snapshot"))
    if not isinstance(etag, str) or not _PRINTABLE.fullmatch(etag) or not isinstance(complete_to, int | None):
        return None
    if snapshot is not None and not (isinstance(snapshot, str) and _SNAPSHOT.fullmatch(snapshot)):
        return None
    values, headers = _texts(members.get("tag_values")), _texts(members.get("headers"))
    if (
        values is None
        or headers is None
        or {*values} != {*deciding_tags(entry, complete_to)}
        or not _are_known(headers)
        or (snapshot is not None and TOTAL not in headers)
    ):
        return None
    tag_values = tuple((key, value.encode("latin-1", "replace")) for key, value in values.items())
    return StoredResponse(
        stored[:STAMP_BYTES], tag_values, RenderedResponse(body, etag, headers, complete_to, snapshot)
    )


def _texts(value: Any) -> dict[str, str] | None:
    """`value`, if it is an object of texts."""
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return value
    return None


def _are_known(headers: dict[str, str]) -> bool:
    return all(name in _HEADERS and _HEADERS[name].fullmatch(value) for name, value in headers.items())
