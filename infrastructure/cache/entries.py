"""Cache entries: the key that a response is cached under, and its tags."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from infrastructure.cache.tags import EVERYTHING, rows_tag, size_tag, tag_key


@dataclass(frozen=True)
class Entry:
    """A place in the cache: its key, the tags of its response, and the seconds the response may stay.

    `resource` is set for pages of a resource's rows, some of which new rows do not change.
    """

    key: str
    tags: Sequence[str]
    ttl: float | None = None
    resource: str | None = None
    # The keys in Redis of the tags' values, which decide whether the response is fresh.
    tag_keys: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", (EVERYTHING, *self.tags))
        object.__setattr__(self, "tag_keys", tuple(map(tag_key, self.tags)))


def page_entry(key: str, resource: str, ttl: float | None) -> Entry:
    """The entry of a page of a resource's rows."""
    return Entry(key, (rows_tag(resource), size_tag(resource)), ttl, resource)
