"""What caches on the way may do with an answer (RFC 9111)."""

from functools import lru_cache

from infrastructure.server.header_lines import HeaderBlock

# For everybody, and to be asked for anew each time, which an entity tag makes cheap.
PUBLIC = b"no-cache"
# The same for nobody but who asked. This is said of everything that nobody has said anything else of.
PRIVATE = b"private, no-cache"
# For what has a digest of its content in its path: another content is another path.
IMMUTABLE = b"public, max-age=31536000, immutable"


@lru_cache(maxsize=16)
def about_caches(cache_control: bytes, hit: bool | None) -> HeaderBlock:
    """What a read says about caches: those on the way, and the shop's own, where it was asked (`hit` is not None)."""
    hits = [] if hit is None else [(b"x-cache-hit", b"true" if hit else b"false")]
    return HeaderBlock([(b"cache-control", cache_control), *hits])
