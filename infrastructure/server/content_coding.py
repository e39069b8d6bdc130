"""Content codings (RFC 9110, section 8.4): which one a client takes, how it is made, and the entity tag of each form.

Measured on lists of products (docs/performance.md): zstd makes smaller answers than gzip in a fraction of the time, so
whoever takes both gets zstd. Both let other threads run meanwhile.
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

# What is larger is compressed in a thread. The event loop does the rest by itself, in less than a millisecond.
QUICK_BYTES = 64 * 1024

_GZIP_LEVEL, _ZSTD_LEVEL = 4, 3
_GZIP_FRAMES = 16 + zlib.MAX_WBITS

_TEXTUAL = re.compile(r"text/|application/(?:[\w.-]+\+)?(?:json|xml|javascript)\b|image/svg\+xml", re.ASCII)


class Compressor(Protocol):
    """Compresses a body that comes in pieces."""

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
    return _TEXTUAL.match(content_type) is not None


def compressed_now(body: bytes, coding: str) -> bytes:
    """The body in this coding. For the event loop only up to `QUICK_BYTES`."""
    return _CODINGS[coding].compress(body)


async def compressed(body: bytes, coding: str) -> bytes:
    """The body in this coding."""
    if len(body) <= QUICK_BYTES:
        return compressed_now(body, coding)
    return await asyncio.to_thread(compressed_now, body, coding)


async def compressed_piece(compressor: Compressor, piece: bytes, is_last: bool) -> bytes:
    """What there is to send for one more piece of a body."""

    def step() -> bytes:
        data = compressor.compress(piece)
        return data + compressor.flush() if is_last else data

    return step() if len(piece) <= QUICK_BYTES else await asyncio.to_thread(step)


def compressor(coding: str) -> Compressor:
    """What compresses a body that comes in pieces."""
    return _CODINGS[coding].compressor()


def accepted_coding(values: Sequence[str]) -> str | None:
    """The coding to send to a client with these lines of Accept-Encoding; None for none.

    The one it likes best, and of those it likes equally the smallest; none where it likes the plain form more, or says
    nothing. An answer is never refused for its coding: who takes neither gets the plain form. `*` is taken for gzip,
    which everybody knows. An offer that is malformed is no offer.
    """
    if not values:
        return None
    offers = dict(weighted_items(",".join(values)))
    any_other = offers.get("*", 0.0)
    liked = {"zstd": offers.get("zstd", 0.0), "gzip": offers.get("gzip", offers.get("x-gzip", any_other))}
    best = max(_CODINGS, key=lambda coding: liked[coding])
    return best if liked[best] > 0 and liked[best] >= offers.get("identity", any_other) else None


def tag_in(coding: str, etag: str) -> str:
    """The entity tag of an answer in this coding, of the tag `etag` of its plain form."""
    return f'{etag[:-1]}-{coding}"'


def plain_tag(etag: str) -> str:
    """The entity tag of the plain form, of the tag of any form."""
    return _FORM.sub('"', etag)


def plain_tags(lines: Iterable[str]) -> list[str]:
    """The tags that the lines of a header name, which are one list; `*` is there as it is.

    A W/ in front does not matter. The shop has no weak tags: a proxy that compresses makes them weak, and what they name is
    still one version.
    """
    return [plain_tag(tag.strip().removeprefix("W/")) for tag in ",".join(lines).split(",")]
