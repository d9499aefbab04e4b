"""The syntax of regular expressions for `matches()`: RE2's, less Unicode scripts and `\\C`.

RE2 leaves out what cannot be matched in linear time (back-references, look-around), and so does this. `automaton.py`
runs the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from durableq.model.expressions.charsets import ANY, CATEGORIES, NOT_NEWLINE, PERL, POSIX, CharSet, Range, complement

_REPEAT_MAX = 1_000
_DEPTH_MAX = 50
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}


class PatternError(Exception):
    """A pattern is not RE2 syntax, or uses a part of it that is not supported. The text says which."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """Parts one after another."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several parts."""

    options: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part `low` to `high` times; any number of times above `low` where `high` is None."""

    part: Part
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Check:
    """A place between characters: text_start, text_end, line_start, line_end, boundary or inside."""

    place: str


Part = CharSet | Sequence | Choice | Repeat | Check


def parse_pattern(pattern: str) -> Part:
    """The structure of a pattern.

    Raises:
        PatternError: it cannot be read.
    """
    return _PatternParser(pattern).whole()


class _PatternParser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._flags: Mapping[str, bool] = {}
        self._depth = 0

    def whole(self) -> Part:
        part = self._choice()
        if self._at < len(self._pattern):
            raise PatternError("it has a ')' too many")
        return part

    def _choice(self) -> Part:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Part:
        parts: list[Part] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Part) -> Part:
        bounds = self._bounds()
        if bounds is None:
            return part
        self._take("?")  # a lazy repetition matches the same texts
        if self._bounds() is not None:
            raise PatternError("it repeats a repetition; put the inner one in (?:...)")
        return Repeat(part, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        return self._counted()

    def _counted(self) -> tuple[int, int | None] | None:
        end = self._pattern.find("}", self._at)
        if end < 0 or not self._pattern.startswith("{", self._at):
            return None
        low, comma, high = self._pattern[self._at + 1 : end].partition(",")
        if not _is_count(low) or (high and not _is_count(high)):
            return None
        self._at = end + 1
        lowest = int(low)
        highest = lowest if not comma else int(high) if high else None
        if max(lowest, highest or 0) > _REPEAT_MAX or (highest is not None and highest < lowest):
            raise PatternError(f"its repetition {{{low}{comma}{high}}} is not within 0 to {_REPEAT_MAX:,}")
        return lowest, highest

    def _atom(self) -> Part:
        start = self._at
        if self._bounds() is not None:
            raise PatternError(f"its {self._pattern[start : self._at]!r} has nothing to repeat")
        character = self._letter()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._bracket()
            case ".":
                return ANY if self._flag("s") else NOT_NEWLINE
            case "^":
                return Check("line_start" if self._flag("m") else "text_start")
            case "$":
                return Check("line_end" if self._flag("m") else "text_end")
            case "\\":
                return self._escape()
            case _:
                return self._character(ord(character))

    # Groups.

    def _group(self) -> Part:
        outer = self._flags
        if self._take("?"):
            if self._pattern.startswith(("P<", "<"), self._at) and not self._pattern.startswith(("<=", "<!"), self._at):
                self._group_name()
            elif not self._set_flags():
                if self._bounds() is not None:
                    raise PatternError("it repeats flags")
                return Sequence(())  # `(?i)` holds until the group around it ends
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise PatternError(f"its groups are nested more than {_DEPTH_MAX} deep")
        part = self._choice()
        self._depth -= 1
        if not self._take(")"):
            raise PatternError("it has a '(' without ')'")
        self._flags = outer
        return part

    def _group_name(self) -> None:
        end = self._pattern.find(">", self._at)
        name = self._pattern[self._pattern.index("<", self._at) + 1 : max(end, 0)]
        if not (name.isascii() and name.isidentifier()):
            raise PatternError("it has a group name that is not a word")
        self._at = end + 1

    def _set_flags(self) -> bool:
        """Read `flags:` or `flags)`; true where a group follows, false where the flags stand alone."""
        flags = dict(self._flags)
        wanted = True
        while self._at < len(self._pattern):
            character = self._pattern[self._at]
            self._at += 1
            if character in ":)":
                self._flags = flags
                return character == ":"
            if character == "-" and wanted:
                wanted = False
            elif character in "imsU":
                flags[character] = wanted
            else:
                break
        raise PatternError("it uses '(?' for something other than a group; look-around is not supported")

    def _flag(self, name: str) -> bool:
        return self._flags.get(name, False)

    # Characters.

    def _character(self, code: int) -> CharSet:
        return CharSet(ranges=((code, code),), folded=self._flag("i"))

    def _escape(self) -> Part:
        letter = self._letter()
        match letter:
            case "A":
                return Check("text_start")
            case "z":
                return Check("text_end")
            case "b":
                return Check("boundary")
            case "B":
                return Check("inside")
            case "Q":
                return self._quoted()
        named = self._named_set(letter)
        if named is not None:
            return replace(named, folded=self._flag("i"))
        return self._character(self._code(letter))

    def _quoted(self) -> Part:
        end = self._pattern.find("\\E", self._at)
        stop = len(self._pattern) if end < 0 else end
        text = self._pattern[self._at : stop]
        self._at = stop if end < 0 else end + 2
        parts: list[Part] = [self._character(ord(character)) for character in text]
        if parts:
            parts[-1] = self._repeated(parts[-1])  # what follows \E repeats its last character
        return Sequence(tuple(parts))

    def _letter(self) -> str:
        if self._at >= len(self._pattern):
            raise PatternError("it ends with a backslash")
        self._at += 1
        return self._pattern[self._at - 1]

    def _named_set(self, letter: str) -> CharSet | None:
        """The set that `\\d`, `\\pL` and the like stand for; None for any other escape."""
        if letter.lower() in PERL:
            ranges = PERL[letter.lower()]
            return CharSet(ranges=ranges if letter.islower() else complement(ranges))
        if letter not in "pP":
            return None
        name = self._letter()
        if name == "{":
            end = self._pattern.find("}", self._at)
            name = self._pattern[self._at : max(end, 0)]
            self._at = end + 1
        wanted = (letter == "p") is not name.startswith("^")
        name = name.removeprefix("^")
        if name == "Any":
            return ANY if wanted else CharSet()
        if name not in CATEGORIES:
            raise PatternError("it names a Unicode class other than a general category such as \\p{Lu}")
        return CharSet(categories=((name, wanted),))

    def _code(self, letter: str) -> int:
        """The code of the character that an escape stands for."""
        if letter in _CONTROL:
            return _CONTROL[letter]
        if letter == "x":
            return self._hexadecimal()
        if letter in "01234567":
            return self._octal(letter)
        if letter.isascii() and not letter.isalnum():
            return ord(letter)
        raise PatternError(f"it has the escape \\{letter}, which does not exist")

    def _hexadecimal(self) -> int:
        digits = self._pattern[self._at : self._at + 2]
        if digits[:1] == "{":
            end = self._pattern.find("}", self._at)
            digits = self._pattern[self._at + 1 : max(end, 0)]
            self._at = end + 1
        else:
            self._at += 2
        if not (1 <= len(digits) <= 6) or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise PatternError("its escape \\x is without hexadecimal digits")
        code = int(digits, 16)
        if code > 0x10FFFF:
            raise PatternError("its escape \\x is no Unicode character")
        return code

    def _octal(self, first: str) -> int:
        digits = first
        while len(digits) < 3 and self._at < len(self._pattern) and self._pattern[self._at] in "01234567":
            digits += self._pattern[self._at]
            self._at += 1
        if first != "0" and len(digits) == 1:
            raise PatternError("back-references are not supported")
        return int(digits, 8)

    # Brackets.

    def _bracket(self) -> CharSet:
        negated = self._take("^")
        ranges: list[Range] = []
        categories: list[tuple[str, bool]] = []
        first = True
        while first or not self._take("]"):
            first = False
            named = self._bracket_name()
            if named is not None:
                ranges.extend(complement(()) if named is ANY else named.ranges)
                categories.extend(named.categories)
            else:
                ranges.append(self._range())
        return CharSet(tuple(ranges), tuple(categories), negated, folded=self._flag("i"))

    def _bracket_name(self) -> CharSet | None:
        if self._pattern.startswith("[:", self._at):
            end = self._pattern.find(":]", self._at)
            name = self._pattern[self._at + 2 : max(end, 0)]
            if name.removeprefix("^") not in POSIX:
                raise PatternError("it names a class between [: and :] that does not exist")
            self._at = end + 2
            ranges = POSIX[name.removeprefix("^")]
            return CharSet(ranges=complement(ranges) if name.startswith("^") else ranges)
        if self._pattern.startswith("\\", self._at):
            start = self._at
            self._at += 1
            named = self._named_set(self._letter())
            if named is None:
                self._at = start
            return named
        return None

    def _range(self) -> Range:
        low = self._bracket_code()
        if not self._pattern.startswith("-", self._at) or self._pattern.startswith("-]", self._at):
            return low, low
        self._at += 1
        high = self._bracket_code()
        if high < low:
            raise PatternError("it has a range that ends before it begins")
        return low, high

    def _bracket_code(self) -> int:
        if self._at >= len(self._pattern):
            raise PatternError("it has a '[' without ']'")
        character = self._letter()
        return self._code(self._letter()) if character == "\\" else ord(character)

    def _take(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._at):
            return False
        self._at += len(text)
        return True


def _is_count(text: str) -> bool:
    return len(text) <= 6 and text.isascii() and text.isdigit()
