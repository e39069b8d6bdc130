"""Content codings (RFC 9110, section 8.4): which one a client gets, how it is made, and the entity tag of each form.

Measured on lists of products (docs/performance.md): zstd makes smaller bodies than gzip in a fraction of the time, so
clients that accept both get zstd. Both let other threads run meanwhile.
"""

import asyncio
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from infrastructure.server.quality_values import weighted_items

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Smaller bodies are sent as they are: they fit into a packet anyway.
SMALL_BYTES = 1024

# Larger bodies are compressed in a thread; the event loop takes less than a millisecond for these.
QUICK_BYTES = 64 * 1024

_GZIP_LEVEL, _ZSTD_LEVEL = 4, 3
_GZIP_FRAMES = 16 + zlib.MAX_WBITS

_TEXTUAL = re.compile(r"text/|application/(?:[\w.-]+\+)?(?:json|xml|javascript)\b|image/svg\+xml", re.ASCII)


class Compressor(Protocol):
    """Compresses a body in pieces."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Coding(NamedTuple):
    compress: Callable[[bytes], bytes]
    compressor: Callable[[], Compressor]


def _gzip() -> Compressor:
    return zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_FRAMES)


def _zstd() -> Compressor:
    return zstd.ZstdCompressor(_ZSTD_LEVEL)


# By preference.
_CODINGS = {
    "zstd": _Coding(lambda body: zstd.compress(body, _ZSTD_LEVEL), _zstd),
    "gzip": _Coding(lambda body: zlib.compress(body, _GZIP_LEVEL, wbits=_GZIP_FRAMES), _gzip),
}
_FORM = re.compile(rf'-(?:{"|".join(_CODINGS)})"$')


def is_text(content_type: str) -> bool:
    """Whether a body of this media type becomes smaller by compressing: images and archives are compressed already."""
    # An event that waits in a compressor for others does not reach its reader.
    return _TEXTUAL.match(content_type) is not None and not content_type.startswith("text/event-stream")


def compressed_now(body: bytes, coding: str) -> bytes:
    """The body in this coding. For the event loop only up to `QUICK_BYTES`."""
    return _CODINGS[coding].compress(body)


async def compressed(body: bytes, coding: str) -> bytes:
    """The body in this coding."""
    if len(body) <= QUICK_BYTES:
        return compressed_now(body, coding)
    return await asyncio.to_thread(compressed_now, body, coding)


async def compressed_piece(compressor: Compressor, piece: bytes, is_last: bool) -> bytes:
    """The compressed bytes to send for one more piece of a body."""

    def step() -> bytes:
        data = compressor.compress(piece)
        return data + compressor.flush() if is_last else data

    return step() if len(piece) <= QUICK_BYTES else await asyncio.to_thread(step)


def compressor(coding: str) -> Compressor:
    """A compressor for a body in pieces."""
    return _CODINGS[coding].compressor()


def accepted_coding(values: Sequence[str]) -> str | None:
    """The coding for a client with these lines of Accept-Encoding; None for none.

    The coding with the highest weight, of equal ones the smallest; none if the plain form has a higher weight, or without
    the header. No response is refused for its coding: a client that accepts neither gets the plain form. `*` means gzip,
    which every client knows. A malformed item is ignored.
    """
    if not values:
        return None
    weights = dict(weighted_items(",".join(values)))
    any_other = weights.get("*", 0.0)
    accepted = {"zstd": weights.get("zstd", 0.0), "gzip": weights.get("gzip", weights.get("x-gzip", any_other))}
    best = max(_CODINGS, key=lambda coding: accepted[coding])
    return best if accepted[best] > 0 and accepted[best] >= weights.get("identity", any_other) else None


def tag_in(coding: str, etag: str) -> str:
    """The entity tag of a form in this coding; `etag` is that of the plain form."""
    return f'{etag[:-1]}-{coding}"'


def plain_tag(etag: str) -> str:
    """The entity tag of the plain form, of the tag of any form."""
    return _FORM.sub('"', etag)


def plain_tags(lines: Iterable[str]) -> list[str]:
    """The tags in the lines of If-Match or If-None-Match, which are one list, as tags of the plain forms; `*` stays `*`.

    A W/ in front is ignored. The shop has no weak tags: a proxy that compresses makes them weak, and they still name one
    version.
    """
    return [plain_tag(tag.strip().removeprefix("W/")) for tag in ",".join(lines).split(",")]
