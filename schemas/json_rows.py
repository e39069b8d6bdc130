"""Streaming parser for the rows of a bulk request: a body of 16 MiB is never parsed as a whole.

To parse it at once would block all other requests, in any thread, because the parser holds the interpreter lock; and it
could take thirty times the memory of the body.
"""

import codecs
from collections import deque
from collections.abc import Iterator
from typing import Any

from schemas.json_codec import (
    CutOff,
    MalformedJson,
    TooManyValues,
    count_values,
    first_members,
    parse_value,
    skip_spaces,
)

# The limits of a row: its characters, with the spaces around it, and its values (see `json_codec.MAX_VALUES`).
MAX_ROW = 1024 * 1024
MAX_ROW_VALUES = 10_000
# Bytes that are decoded at a time.
_PIECE = 16 * 1024
# When a row is cut off, this multiple of its length is decoded next.
_GROWTH = 4

_AFTER_A_ROW = frozenset((",", "]", " ", "\t", "\n", "\r"))


class NotAnArray(ValueError):
    """The body is something else than a JSON array."""


class JsonRows:
    """Iterates once over the elements of a JSON array, a few at a time, without parsing the rest of it.

    `chunks` are its bytes as received. They are removed one by one, so that memory holds them or the rows, and not both.
    Raises `NotAnArray`, `TooManyValues` at a row that is too large, and `MalformedJson` where `from_json` would.
    """

    def __init__(self, chunks: deque[bytes]) -> None:
        self._chunks = chunks
        # The chunk that is being decoded, and the number of its decoded bytes.
        self._chunk, self._decoded = b"", 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        # The decoded text that is not parsed yet begins at `_place`. `_offset` is the number of characters before `_text`.
        self._text, self._place, self._offset = "", 0, 0
        # Whether the decoded text may be parsed in one step, up to the end of its last row.
        self._ends_with_a_row = False

    def __iter__(self) -> Iterator[list[Any]]:
        if self._next_char() != "[":
            raise NotAnArray
        self._place += 1
        char = self._next_char()
        while char != "]":
            yield self._whole_rows() or [self._row()]
            char = self._next_char()
            if char == ",":
                self._place += 1
            elif char != "]":
                raise CutOff(f"Expecting ',' delimiter at position {self._offset + self._place}")
        self._place += 1
        if self._next_char():
            raise MalformedJson(f"Extra data at position {self._offset + self._place}")

    def _next_char(self) -> str:
        """The next character that is no space, to which `_place` moves; empty at the end of the body."""
        for _ in range(MAX_ROW // _PIECE):
            self._place = skip_spaces(self._text, self._place)
            if self._place < len(self._text) or not self._decode(_PIECE):
                return self._text[self._place : self._place + 1]
        raise MalformedJson(f"more than {MAX_ROW} spaces follow each other")

    def _whole_rows(self) -> list[Any]:
        """All complete rows of the decoded text; none if one attempt does not find them."""
        end = self._text.rfind("},", self._place, self._place + _PIECE) + 1
        if not end or not self._ends_with_a_row:
            return []
        try:
            # If this parses as an array, no row or text continues after it.
            rows: list[Any] = parse_value(f"[{self._text[self._place : end]}]", 0)[0]
        except MalformedJson:
            self._ends_with_a_row = False
            return []
        self._place = end
        return rows

    def _row(self) -> Any:
        while True:
            try:
                value, end = parse_value(self._text, skip_spaces(self._text, self._place), self._offset)
            except CutOff:
                if not self._decode_more_of_the_row():
                    raise
                continue
            # A number may continue after the decoded text.
            if self._text[end : end + 1] in _AFTER_A_ROW or not self._decode_more_of_the_row():
                self._place = end
                return value

    def _decode_more_of_the_row(self) -> bool:
        """Decode more of the incomplete row at `_place`; False at the end of the body. Raises `TooManyValues`."""
        row = self._text[self._place :]
        if len(row) > MAX_ROW:
            raise TooManyValues(f"a row has more than {MAX_ROW} characters", first_members(row[:MAX_ROW_VALUES]))
        if count_values(row) > MAX_ROW_VALUES:
            raise TooManyValues(f"a row has more than {MAX_ROW_VALUES} values", first_members(row[:MAX_ROW_VALUES]))
        return self._decode(min(max(_GROWTH * len(row), _PIECE), MAX_ROW + 1))

    def _decode(self, wanted: int) -> bool:
        """Decode until `wanted` characters, or too many values for a row, are after `_place`; False at the end of the body."""
        pieces = [self._text[self._place :]]
        length, values = len(pieces[0]), count_values(pieces[0])
        while length < wanted and values <= MAX_ROW_VALUES and (piece := self._next_text()):
            pieces.append(piece)
            length += len(piece)
            values += count_values(piece)
        if len(pieces) == 1:
            return False
        self._offset += self._place
        self._text, self._place = "".join(pieces), 0
        self._ends_with_a_row = True
        return True

    def _next_text(self) -> str:
        """The next piece of the text; empty at its end."""
        piece, is_end = "", False
        while not piece and not is_end:
            part = self._next_bytes()
            is_end = not part
            try:
                piece = self._decoder.decode(part, is_end)
            except UnicodeError:
                raise MalformedJson("the text is not valid Unicode") from None
        return piece

    def _next_bytes(self) -> bytes:
        """The next bytes, at most `_PIECE`; empty at the end."""
        if self._decoded >= len(self._chunk):
            self._chunk, self._decoded = self._chunks.popleft() if self._chunks else b"", 0
        start, self._decoded = self._decoded, self._decoded + _PIECE
        return self._chunk[start : self._decoded]
