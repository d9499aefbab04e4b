"""Sets of characters in patterns: ranges, Unicode categories, and the names for the usual ones."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

_TOP = 0x10FFFF
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CharSet:
    """Which characters an atom of a pattern takes."""

    ranges: tuple[Range, ...] = ()
    categories: tuple[tuple[str, bool], ...] = ()
    """Prefixes of Unicode general categories, each with whether it is wanted or excluded."""
    negated: bool = False
    folded: bool = False
    """Whether the case of letters does not matter."""

    def takes(self, character: str) -> bool:
        """Whether the set holds this character."""
        if not self.folded:
            return self._holds(character) is not self.negated
        # A character whose other case is longer than one character ("ß") has no other case here, as in RE2.
        cases = {character, character.lower(), character.upper()}
        return any(len(case) == 1 and self._holds(case) for case in cases) is not self.negated

    def _holds(self, character: str) -> bool:
        code = ord(character)
        if any(low <= code <= high for low, high in self.ranges):
            return True
        if not self.categories:
            return False
        category = unicodedata.category(character)
        return any(category.startswith(prefix) is wanted for prefix, wanted in self.categories)


def complement(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges of all other characters."""
    gaps: list[Range] = []
    start = 0
    for low, high in sorted(ranges):
        if start < low:
            gaps.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _TOP:
        gaps.append((start, _TOP))
    return tuple(gaps)


_DIGIT: tuple[Range, ...] = ((0x30, 0x39),)
_UPPER: tuple[Range, ...] = ((0x41, 0x5A),)
_LOWER: tuple[Range, ...] = ((0x61, 0x7A),)
_WORD = (*_DIGIT, *_UPPER, (0x5F, 0x5F), *_LOWER)
_PUNCTUATION = ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E))

PERL: Mapping[str, tuple[Range, ...]] = {
    "d": _DIGIT,
    "w": _WORD,
    "s": ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20)),
}
"""`\\d`, `\\w` and `\\s`: ASCII, as in RE2."""

POSIX: Mapping[str, tuple[Range, ...]] = {
    "alnum": (*_DIGIT, *_UPPER, *_LOWER),
    "alpha": (*_UPPER, *_LOWER),
    "ascii": ((0x00, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGIT,
    "graph": ((0x21, 0x7E),),
    "lower": _LOWER,
    "print": ((0x20, 0x7E),),
    "punct": _PUNCTUATION,
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": _UPPER,
    "word": _WORD,
    "xdigit": (*_DIGIT, (0x41, 0x46), (0x61, 0x66)),
}
"""`[[:alpha:]]` and so on."""

CATEGORIES = frozenset(
    major + minor
    for major, minors in {
        "L": "ultmo",
        "M": "nce",
        "N": "dlo",
        "P": "cdseifo",
        "S": "mcko",
        "Z": "slp",
        "C": "cfson",
    }.items()
    for minor in ("", *minors)
)
"""`\\pL`, `\\p{Lu}` and so on."""

NEWLINE = CharSet(ranges=((0x0A, 0x0A),))
NOT_NEWLINE = CharSet(ranges=NEWLINE.ranges, negated=True)
ANY = CharSet(negated=True)


def is_word(character: str) -> bool:
    """Whether `\\b` counts the character to a word."""
    return character.isascii() and (character.isalnum() or character == "_")
