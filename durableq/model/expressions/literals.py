"""Numbers and quoted text as written in an expression, to values."""

from __future__ import annotations

import math

from durableq.model.expressions.values import INT_MAX, INT_MIN, UINT_MAX, Uint
from durableq.words.errors import ExpressionError

_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "?": "?",
    "`": "`",
}
_HEX_ESCAPES = {"x": 2, "X": 2, "u": 4, "U": 8}
_DIGITS = {8: frozenset("01234567"), 16: frozenset("0123456789abcdefABCDEF")}


def read_number(source: str, position: int, text: str) -> int | float:
    """The value of a number. An int may be one too large, as the negative of the lowest is: `in_range` decides.

    Raises:
        ExpressionError: a double or uint that is too large.
    """
    if text[-1] in "uU":
        number = int(text[:-1], 0) if text[1:2] in "xX" else int(text[:-1])
        if number > UINT_MAX:
            raise ExpressionError(f"{text} is more than a uint holds, which is {UINT_MAX}", source, position)
        return Uint(number)
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    if text.isdigit():
        return int(text)
    double = float(text)
    if math.isinf(double):
        raise ExpressionError(f"{text} is more than a double holds", source, position)
    return double


def in_range(number: object) -> bool:
    """Whether a constant fits its type: false for an int outside 64 bits."""
    return type(number) is not int or INT_MIN <= number <= INT_MAX


def read_quoted(source: str, position: int, opening: str) -> tuple[str | bytes, int]:
    """The value of a quoted text that begins with `opening` (prefix and quotes) at `position`, and where it ends.

    Raises:
        ExpressionError: it never ends, or has an escape that does not exist.
    """
    prefix = opening.rstrip("'\"").lower()
    quote = opening[len(prefix) :]
    reader = _Reader(source, position, as_bytes="b" in prefix)
    cursor = position + len(opening)
    while not source.startswith(quote, cursor):
        if cursor >= len(source) or source[cursor:] == "\\" or (len(quote) == 1 and source[cursor] in "\r\n"):
            raise ExpressionError(f"this text has no closing {quote}", source, position)
        if source[cursor] == "\\" and "r" not in prefix:
            cursor = reader.escape(cursor)
        else:
            reader.plain(cursor)
            cursor += 1
    return reader.value(), cursor + len(quote)


class _Reader:
    """Gathers the characters of a string, or the bytes of a bytes literal."""

    def __init__(self, source: str, position: int, *, as_bytes: bool) -> None:
        self._source = source
        self._position = position
        self._text: list[str] = []
        self._bytes: bytearray | None = bytearray() if as_bytes else None

    def value(self) -> str | bytes:
        return "".join(self._text) if self._bytes is None else bytes(self._bytes)

    def plain(self, cursor: int) -> None:
        character = self._source[cursor]
        if "\ud800" <= character <= "\udfff":
            raise ExpressionError("half of a surrogate pair is not a character", self._source, cursor)
        if self._bytes is None:
            self._text.append(character)
        else:
            self._bytes += character.encode()

    def escape(self, cursor: int) -> int:
        """Read the escape whose backslash is at `cursor`; say where it ends."""
        letter = self._source[cursor + 1 : cursor + 2]
        if letter in _SIMPLE_ESCAPES:
            self._add(cursor, ord(_SIMPLE_ESCAPES[letter]))
            return cursor + 2
        if letter in _HEX_ESCAPES:
            if self._bytes is not None and letter in "uU":
                raise ExpressionError(f"\\{letter} has no meaning in bytes; write \\x", self._source, cursor)
            return self._code(cursor, cursor + 2, _HEX_ESCAPES[letter], 16)
        if letter and letter in "0123":
            return self._code(cursor, cursor + 1, 3, 8)
        raise ExpressionError(
            f"there is no escape \\{letter}; for a backslash write \\\\, or r'...' for a text without escapes",
            self._source,
            cursor,
        )

    def _code(self, cursor: int, start: int, length: int, base: int) -> int:
        digits = self._source[start : start + length]
        if len(digits) < length or not _DIGITS[base].issuperset(digits):
            word = "hexadecimal" if base == 16 else "octal"
            raise ExpressionError(f"this escape needs {length} {word} digits", self._source, cursor)
        self._add(cursor, int(digits, base))
        return start + length

    def _add(self, cursor: int, code: int) -> None:
        if self._bytes is not None:
            self._bytes.append(code)
        elif code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ExpressionError("this escape is no Unicode character", self._source, cursor)
        else:
            self._text.append(chr(code))
