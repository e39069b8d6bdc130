"""CSV dialect: how a CSV file is written: its encoding, and the sign that separates its cells.

Spreadsheets depend on the country: Excel separates cells by semicolons or tabs, and uses Windows-1252 or UTF-16. Who
calls may say one or the other; the rest is seen from the bytes and the first line. The decimal mark is seen from the
numbers: `services.csv.numbers`.
"""

import argparse
import codecs
import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

AUTO = "auto"
# The header is sought within so many bytes.
SAMPLE_BYTES = 1024 * 1024

_UTF_8 = "utf-8-sig"
# The longer ones first: one begins with another.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, _UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings that take a byte order mark for text, with those that do not.
_MARKED = {f"utf-{bits}-{end}": f"utf-{bits}" for bits in (16, 32) for end in ("le", "be")}
_NAMES = {
    _UTF_8: "UTF-8",
    "utf-16": "UTF-16",
    "utf-32": "UTF-32",
    "utf-16-le": "UTF-16 (little endian)",
    "utf-16-be": "UTF-16 (big endian)",
    "cp1252": "Windows-1252",
}
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?\r?\n")
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NO_DELIMITERS = '"\r\n \ufeff'


class NoDialect(ValueError):
    """The file is in none of the dialects; the message is part of a line."""


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """The dialect of a file. `names_separator`: its first line is Excel's `sep=;`, and no row."""

    encoding: str = _UTF_8
    delimiter: str = ","
    names_separator: bool = False

    @property
    def encoding_name(self) -> str:
        """The name of the encoding for messages."""
        return _NAMES.get(self.encoding, self.encoding)

    def __str__(self) -> str:
        separator = _DELIMITERS.get(self.delimiter, repr(self.delimiter))
        return f"{self.encoding_name}, cells separated by {separator}"


def dialect_of(
    sample: bytes, rest: Iterable[bytes], encoding: str | None = None, delimiter: str | None = None
) -> CsvDialect:
    """The dialect of the file that begins with `sample` and goes on with `rest`. What is given is not sought.

    Raises `NoDialect`.
    """
    encoding = _encoding_of(sample, rest) if encoding is None else _with_mark(encoding, sample)
    text = sample.decode(encoding, "ignore")
    named = _SEPARATOR_LINE.match(text)
    if delimiter is None:
        delimiter = named[1] if named else _delimiter_of(text)
        if delimiter in _NO_DELIMITERS:
            raise NoDialect(f"cells cannot be separated by {delimiter!r}")
    return CsvDialect(encoding, delimiter, names_separator=named is not None)


def encoding_option(text: str) -> str | None:
    """The encoding that an option names; None for `auto`."""
    if text == AUTO:
        return None
    try:
        name = codecs.lookup(text).name
        "".encode(name)
    except (LookupError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no encoding; examples: utf-8, utf-16, cp1252") from None
    return _UTF_8 if name == "utf-8" else name


def delimiter_option(text: str) -> str | None:
    """The separator that an option names; None for `auto`."""
    if text == AUTO:
        return None
    delimiter = "\t" if text in ("tab", "\\t") else text
    if len(delimiter) != 1 or delimiter in _NO_DELIMITERS:
        raise argparse.ArgumentTypeError(f"{text!r} separates no cells; examples: , or ; or tab")
    return delimiter


def _encoding_of(sample: bytes, rest: Iterable[bytes]) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            return encoding
    # The header is ASCII: in UTF-16 every other byte is 0.
    first = sample[:4]
    if len(first) == 4 and 0 in first:
        if not any(first[1::2]) and all(first[::2]):
            return "utf-16-le"
        if not any(first[::2]) and all(first[1::2]):
            return "utf-16-be"
    return _UTF_8 if _is_utf_8(chain((sample,), rest)) else "cp1252"


def _is_utf_8(pieces: Iterable[bytes]) -> bool:
    """Whether it is UTF-8, be it with an error: letters of other encodings hardly ever make a sequence of UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return any(not decoder.decode(piece).isascii() for piece in pieces) or not decoder.getstate()[0]
    except UnicodeDecodeError as error:
        return not error.object[: error.start].isascii()


def _with_mark(encoding: str, sample: bytes) -> str:
    """The encoding, in the form that takes the byte order mark for one, if the file begins with it."""
    marked = _MARKED.get(encoding)
    has_mark = any(sample.startswith(mark) and name == marked for mark, name in _BYTE_ORDER_MARKS)
    if has_mark and marked is not None:
        return marked
    # Without a mark, UTF-16 is in the order that its zeros show.
    found = _encoding_of(sample, ()) if encoding == "utf-16" else encoding
    return found if found.startswith("utf-16") else encoding


def _delimiter_of(text: str) -> str:
    """The delimiter that gives the most columns in the header; names of columns contain no delimiter."""
    header = text.lstrip("\ufeff").partition("\n")[0]
    widths = {delimiter: _width(header, delimiter) for delimiter in _DELIMITERS}
    return max(_DELIMITERS, key=lambda delimiter: widths[delimiter])


def _width(header: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([header], delimiter=delimiter), ()))
    except csv.Error:
        return 0
