"""What shared and private caches may do with a response (RFC 9111)."""

from functools import lru_cache

from infrastructure.server.header_lines import HeaderBlock

# For all clients, revalidated each time, which an entity tag makes cheap.
SHARED = b"no-cache"
# The same for one client only. The default of every response.
PRIVATE = b"private, no-cache"
# For callers with credentials: kept nowhere.
NO_STORE = b"private, no-store"
# For a path that contains a digest of the content: other content has another path.
IMMUTABLE = b"public, max-age=31536000, immutable"


@lru_cache(maxsize=16)
def about_caches(cache_control: bytes, hit: bool | None) -> HeaderBlock:
    """Cache-Control, and X-Cache-Hit for a response that the shop caches (`hit` is not None)."""
    hits = [] if hit is None else [(b"x-cache-hit", b"true" if hit else b"false")]
    return HeaderBlock([(b"cache-control", cache_control), *hits])
