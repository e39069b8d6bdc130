"""Content codings: what is sent to whom, that it is the same text, and that each form has a tag of its own."""

import asyncio
import gzip
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.server.content_coding import (
    accepted_coding,
    compressed,
    compressed_piece,
    compressor,
    is_text,
    plain_tag,
    tag_in,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.unit

PLAIN = {"gzip": gzip.decompress, "zstd": zstd.decompress}
CODINGS = pytest.mark.parametrize("coding", PLAIN)


@pytest.mark.parametrize(
    ("lines", "coding"),
    [
        ([], None),
        ([""], None),
        (["gzip"], "gzip"),
        (["GZip"], "gzip"),
        (["x-gzip"], "gzip"),
        (["zstd"], "zstd"),
        (["br"], None),
        (["deflate"], None),
        (["gzip, deflate, br, zstd"], "zstd"),
        (["gzip, deflate, br"], "gzip"),
        (["gzip", "zstd"], "zstd"),
        (["br;q=1, gzip;q=0.8"], "gzip"),
        (["zstd;q=0.5, gzip;q=0.8"], "gzip"),
        (["zstd;q=0, gzip"], "gzip"),
        (["gzip;q=0"], None),
        (["gzip;q=0.000, *"], None),
        (["gzip;q=0.001"], "gzip"),
        (["*"], "gzip"),
        (["*;q=0"], None),
        (["*;q=0, gzip"], "gzip"),
        (["identity"], None),
        (["identity, gzip"], "gzip"),
        (["identity;q=0.5, gzip;q=0.4"], None),
        (["identity;q=0"], None),
        (["identity;q=0, gzip;q=0.1"], "gzip"),
        (["identity, *;q=0"], None),
        (["gzip;q=0.5, *;q=1"], None),
        (["\tgzip ;\tq=1.000 ,"], "gzip"),
        (["gzip;Q=0"], None),
        ([",,,gzip,,"], "gzip"),
        (["gzip;q=2"], None),
        (["gzip;q=1.001"], None),
        (["gzip;q=-1"], None),
        (["gzip;q="], None),
        (["gzip;q=nan"], None),
        (["gzip;level=9"], None),
        (["gzip zstd"], None),
        (["gzip;q=0.1234, zstd;q=0.1"], "zstd"),
        (["\xff\x00gzip"], None),
        (["a," * 60_000 + "gzip"], None),
    ],
)
def test_the_client_says_what_it_takes(lines: list[str], coding: str | None) -> None:
    assert accepted_coding(lines) == coding


@given(st.lists(st.text(st.sampled_from("gzipstdqx*;=,. \t10"), max_size=40), max_size=3))
def test_no_offer_is_an_error(lines: list[str]) -> None:
    assert accepted_coding(lines) in (None, "gzip", "zstd")


@CODINGS
@given(body=st.binary(max_size=3000), times=st.sampled_from((1, 100)))
def test_a_body_is_the_same_in_every_coding(coding: str, body: bytes, times: int) -> None:
    assert PLAIN[coding](asyncio.run(compressed(body * times, coding))) == body * times


@CODINGS
@pytest.mark.parametrize("pieces", [[b""], [b"abc" * 1000, b"", b"x" * 200_000, b"end"]])
def test_a_body_in_pieces_is_the_same_in_every_coding(coding: str, pieces: list[bytes]) -> None:
    async def sent() -> bytes:
        compresses = compressor(coding)
        last = len(pieces) - 1
        return b"".join([await compressed_piece(compresses, piece, n == last) for n, piece in enumerate(pieces)])

    assert PLAIN[coding](asyncio.run(sent())) == b"".join(pieces)


@CODINGS
def test_a_large_body_does_not_hold_up_the_event_loop(coding: str) -> None:
    """It is compressed while others are served: a turn of the loop comes before the end."""
    body = zlib.compress(bytes(1000)) * 20_000

    async def turns_before_the_end() -> int:
        compressing = asyncio.ensure_future(compressed(body, coding))
        turns = 0
        while not compressing.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(turns_before_the_end()) > 2


@CODINGS
def test_each_form_has_a_tag_that_leads_back_to_the_plain_one(coding: str) -> None:
    for tag in ('"1-2f"', '"1-2f.0123"', '"ab"', 'W/"ab"'):
        assert tag_in(coding, tag) != tag
        assert plain_tag(tag_in(coding, tag)) == plain_tag(tag) == tag


@pytest.mark.parametrize(
    ("media_type", "is_worth_it"),
    [
        ("application/json", True),
        ("application/problem+json", True),
        ("application/vnd.api+json; charset=utf-8", True),
        ("text/html; charset=utf-8", True),
        ("text/plain; version=0.0.4; charset=utf-8", True),
        ("text/javascript", True),
        ("application/javascript", True),
        ("image/svg+xml", True),
        ("image/png", False),
        ("application/zip", False),
        ("application/jsonp", False),
        ("", False),
    ],
)
def test_only_text_is_compressed(media_type: str, is_worth_it: bool) -> None:
    assert is_text(media_type) is is_worth_it
