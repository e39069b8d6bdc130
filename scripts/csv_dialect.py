"""CSV dialect: the encoding, the separator and the decimal point of a CSV file.

Spreadsheets depend on the country: Excel separates cells by semicolons or tabs, uses Windows-1252 or UTF-16, and decimal
commas. The dialect is detected from the first bytes and the header.
"""

import codecs
import csv
import re
from dataclasses import dataclass

SAMPLE_BYTES = 1024 * 1024

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NAMES = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "UTF-8 or Windows-1252"}
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?\r?\n")
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """The dialect of a file. `names_separator`: its first line is Excel's `sep=;`, and no row."""

    encoding: str = "utf-8-sig"
    delimiter: str = ","
    names_separator: bool = False

    @property
    def encoding_name(self) -> str:
        """The name of the encoding for messages."""
        return _NAMES[self.encoding]

    @property
    def has_decimal_comma(self) -> bool:
        """Whether a comma in a number may be its decimal point: unless commas separate cells."""
        return self.delimiter != ","

    def __str__(self) -> str:
        """The differences from RFC 4180 in words; empty if there are none."""
        parts = []
        if self.encoding != "utf-8-sig":
            parts.append("Windows-1252 text" if self.encoding == "cp1252" else "UTF-16 text")
        if self.delimiter != ",":
            separator = {";": "semicolons", "\t": "tabs"}.get(self.delimiter, repr(self.delimiter))
            parts.append(f"cells separated by {separator}, a decimal comma in numbers")
        return "; ".join(parts)


def dialect_of(sample: bytes) -> CsvDialect:
    """The dialect of the file with these first bytes."""
    encoding = _encoding_of(sample)
    text = sample.decode(encoding, "ignore")
    named = _SEPARATOR_LINE.match(text)
    if named:
        return CsvDialect(encoding, named[1], names_separator=True)
    return CsvDialect(encoding, _delimiter_of(text))


def _encoding_of(sample: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            return encoding
    try:
        # A character may be cut at the end of the sample.
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


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
