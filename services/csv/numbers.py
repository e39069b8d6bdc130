"""Numbers in the cells of a file: with a decimal point or a decimal comma, and with groups of three or without.

`1.234,50` can only be one number. `1,234` may be two: it is read by the decimal mark of its file, which is given or seen
from the other numbers, and is refused where the file does not show its mark. Amounts of money are not guessed.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

DecimalMark = Literal[".", ","]
Number = int | Decimal

# What programs write. Other signs for digits than 0 to 9 are no numbers.
_PLAIN = re.compile(r"-?[0-9]{1,100}([eE][+-]?[0-9]{1,3})?", re.ASCII)
# Between groups of three: the other mark, an apostrophe, or a space, always the same one.
_APART = "'\u2019 \u00a0\u202f"
_WRITTEN = r"(-?)(?:([1-9][0-9]{{0,2}})((?:([{apart}])[0-9]{{3}})(?:\4[0-9]{{3}}){{0,8}})|([0-9]{{1,100}}))(?:{mark}([0-9]{{1,100}}))?([eE][+-]?[0-9]{{1,3}})?"
_PATTERNS: dict[DecimalMark, re.Pattern[str]] = {
    ".": re.compile(_WRITTEN.format(apart="," + _APART, mark=r"\."), re.ASCII),
    ",": re.compile(_WRITTEN.format(apart="." + _APART, mark=","), re.ASCII),
}
_NAMES: dict[DecimalMark, str] = {".": "point", ",": "comma"}


def number_of(text: str, mark: DecimalMark | None) -> Any:
    """The number of a text in a file with this decimal mark; the text itself if it is none, or not known to be one."""
    text = text.strip()
    if mark is not None:
        number = _read(text, mark)
        return text if number is None else number
    readings = _readings(text)
    return readings.pop() if len(readings) == 1 else text


def decimal_mark_of(texts: Iterable[str], delimiter: str) -> DecimalMark | None:
    """The decimal mark of a file with these numbers; None if it cannot be seen, or both are used.

    Where commas separate cells, and none is in a number, it is the point, as the standard has it.
    """
    texts = [text.strip() for text in texts]
    shown = {mark for mark in map(_shown_mark, texts) if mark is not None}
    if not shown and delimiter == "," and not any("," in text for text in texts):
        return "."
    return shown.pop() if len(shown) == 1 else None


def misread(text: str, mark: DecimalMark | None) -> str | None:
    """Why a number with another or an unknown decimal mark was not read; None for what is no number."""
    text = text.strip()
    if mark is not None:
        other: DecimalMark = "," if mark == "." else "."
        if _read(text, mark) is None and _read(text, other) is not None:
            return f"has a decimal {_NAMES[other]}, where the file has a decimal {_NAMES[mark]}"
        return None
    readings = sorted(_readings(text))
    if len(readings) > 1:
        return f"may be {' or '.join(map(str, readings))}: say with --decimal which sign is the decimal mark"
    return None


def _read(text: str, mark: DecimalMark) -> Number | None:
    """The number where the decimal mark is `mark`; None if there is none."""
    found = _PATTERNS[mark].fullmatch(text)
    if found is None:
        return None
    sign, first, groups, apart, whole, fraction, exponent = found.groups()
    whole = whole or first + groups.replace(apart, "")
    if fraction is None and exponent is None:
        return int(sign + whole)
    return Decimal(f"{sign}{whole}.{fraction or 0}{exponent or ''}")


def _readings(text: str) -> set[Number]:
    """The numbers that the text may be."""
    return {number for number in (_read(text, "."), _read(text, ",")) if number is not None}


def _shown_mark(text: str) -> DecimalMark | None:
    """The decimal mark of a text that can only be one number, and this by its mark or its groups."""
    if _PLAIN.fullmatch(text):
        return None
    point, comma = _read(text, "."), _read(text, ",")
    if (point is None) == (comma is None):
        return None
    return "." if comma is None else ","
