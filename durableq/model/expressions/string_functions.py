"""Functions on strings: CEL's `contains`, `startsWith`, `endsWith` and `matches`; Inngest's `lowercase` and its kin."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Never, cast

from durableq.model.expressions.automaton import Pattern, compile_pattern
from durableq.model.expressions.frame import BudgetExceeded, Frame
from durableq.model.expressions.functions import Function, wrong_kind
from durableq.model.expressions.limits import TEXT_MAX
from durableq.model.expressions.patterns import PatternError
from durableq.model.expressions.values import Unknown, kind

_PATTERN_UNITS = 10_000  # a pattern that is refused may have been refused late


def _search(name: str, find: Callable[[str, str], bool]) -> Function:
    def run(frame: Frame, text: object, part: object) -> object:
        if kind(text) == "list":
            return Unknown(f"{name}() works on strings; for a list write: item in list")
        for argument in (text, part):
            if kind(argument) != "string":
                return wrong_kind(name, argument)
        frame.charge(1 + len(cast(str, text)) // 64)
        return find(cast(str, text), cast(str, part))

    return Function(name, run, as_method=(1,), when_absent=False)


def _matches(frame: Frame, text: object, pattern: object) -> object:
    compiled = pattern if isinstance(pattern, Pattern) else _prepare_pattern(frame, pattern)
    if not isinstance(compiled, Pattern):
        return compiled
    if kind(text) != "string":
        return wrong_kind("matches", text)
    return compiled.search(cast(str, text), frame.charge)


def _prepare_pattern(frame: Frame, pattern: object) -> object:
    if kind(pattern) != "string":
        return wrong_kind("matches", pattern)
    frame.charge(100)
    try:
        compiled = compile_pattern(cast(str, pattern))
    except PatternError as error:
        frame.charge(_PATTERN_UNITS)
        return Unknown(f"matches() cannot use the pattern: {error}")
    frame.charge(10 * compiled.size)
    return compiled


def _change_case(name: str, change: Callable[[str], str]) -> Function:
    def run(frame: Frame, text: object) -> object:
        if kind(text) != "string":
            return wrong_kind(name, text)
        _claim(frame, len(cast(str, text)))
        changed = change(cast(str, text))
        _claim(frame, len(changed))  # "ß" becomes "SS", and no letter becomes more than three
        return changed

    return Function(name, run, as_function=(1,))


def _b64decode(frame: Frame, text: object) -> object:
    if kind(text) != "string":
        return wrong_kind("b64decode", text)
    _claim(frame, len(cast(str, text)) * 3 // 4)
    try:
        return base64.b64decode(cast(str, text), validate=True).decode()
    except (binascii.Error, ValueError):
        return Unknown("b64decode() needs padded base64 of UTF-8")


def _json_parse(frame: Frame, text: object) -> object:
    if kind(text) != "string":
        return wrong_kind("json_parse", text)
    _claim(frame, len(cast(str, text)))
    frame.charge(len(cast(str, text)) // 4)
    try:
        return json.loads(cast(str, text), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return Unknown("json_parse() needs JSON")


def _refuse_constant(name: str) -> Never:
    raise ValueError(name)


def _claim(frame: Frame, length: int) -> None:
    if length > TEXT_MAX:
        raise BudgetExceeded(f"it builds a string of more than {TEXT_MAX:,} characters")
    frame.charge(1 + length // 16)


STRING_FUNCTIONS = (
    _search("contains", lambda text, part: part in text),
    _search("startsWith", str.startswith),
    _search("endsWith", str.endswith),
    Function("matches", _matches, (2,), (1,), when_absent=False, prepares={1: _prepare_pattern}),
    _change_case("lowercase", str.lower),
    _change_case("uppercase", str.upper),
    Function("b64decode", _b64decode, (1,)),
    Function("json_parse", _json_parse, (1,), units=25),
)
