"""Rendered answers, and where they are cached."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from config.http_protocol import header_lines
from services.versions import EVERYTHING, rows_tag, size_tag, version_key


@dataclass(frozen=True)
class Answer:
    """A rendered answer: the bytes of its body, its entity tag, and the headers that belong to them.

    `complete_to` is the key of its last row when rows with larger keys cannot change it.
    """

    body: bytes
    etag: str
    headers: dict[str, str] = field(default_factory=dict)
    complete_to: int | None = None

    @cached_property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that belong to the answer whoever asks, as they are sent."""
        named = {"Content-Type": "application/json", "ETag": self.etag, **self.headers}
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()]

    @cached_property
    def lines_of_200(self) -> bytes:
        """The same as lines, with the length of the body."""
        return header_lines([*self.raw_headers, (b"content-length", b"%d" % len(self.body))])

    @cached_property
    def lines_of_304(self) -> bytes:
        """The same for a client that has the body already."""
        return header_lines(header for header in self.raw_headers if header[0] != b"content-type")


@dataclass(frozen=True)
class Entry:
    """A place in the cache: the key, the tags that its answer depends on, and the seconds it may stay.

    `resource` is set for pages of a resource's rows: they may be such that new rows leave them alone.
    """

    key: str
    tags: Sequence[str]
    ttl: float | None = None
    resource: str | None = None
    # The tokens of these keys in Redis decide whether the answer is good.
    tokens: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", (EVERYTHING, *self.tags))
        object.__setattr__(self, "tokens", tuple(map(version_key, self.tags)))


def page_entry(key: str, resource: str, ttl: float | None) -> Entry:
    """The place of a page of a resource's rows."""
    return Entry(key, (rows_tag(resource), size_tag(resource)), ttl, resource)
