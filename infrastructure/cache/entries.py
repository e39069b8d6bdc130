"""Where answers are cached: the key of each, and the tags that it depends on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from infrastructure.cache.tags import EVERYTHING, rows_tag, size_tag, tag_key


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
        object.__setattr__(self, "tokens", tuple(map(tag_key, self.tags)))


def page_entry(key: str, resource: str, ttl: float | None) -> Entry:
    """The place of a page of a resource's rows."""
    return Entry(key, (rows_tag(resource), size_tag(resource)), ttl, resource)
