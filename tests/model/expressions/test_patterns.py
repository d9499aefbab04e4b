"""Patterns: RE2's syntax, matched in linear time. `test_oracle.py` compares them with RE2 itself."""

from __future__ import annotations

import pytest

from durableq.model.expressions.automaton import Pattern, compile_pattern
from durableq.model.expressions.patterns import PatternError


def matches(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).search(text, lambda units: None)


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        ("", ["", "a"], []),
        ("abc", ["abc", "xabcx"], ["ab", "acb"]),
        ("^abc$", ["abc"], ["xabc", "abc\n", "abcx"]),
        ("a.c", ["abc", "a😀c"], ["ac", "a\nc"]),
        ("(?s)a.c", ["a\nc"], []),
        ("a|bc|", ["", "x"], []),
        ("^(a|bc)$", ["a", "bc"], ["b", "ac", ""]),
        ("^a*$", ["", "aaa"], ["b"]),
        ("^a+$", ["a", "aaa"], [""]),
        ("^a?b$", ["b", "ab"], ["aab"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{1,3}$", ["a", "aaa"], ["", "aaaa"]),
        ("^(ab){2,3}?$", ["abab", "ababab"], ["ab", "abababab"]),
        ("a{0}b", ["b"], ["a"]),
        ("^a{,2}$", ["a{,2}"], ["a", "aa"]),
        ("a{", ["a{"], ["a"]),
        ("^[abc]$", ["a", "c"], ["d"]),
        ("^[^abc]$", ["d", "\n"], ["a"]),
        ("^[a-cx-z]$", ["b", "y"], ["d"]),
        ("^[]-]$", ["]", "-"], ["a"]),
        (r"^[\d\-_]$", ["5", "-", "_"], ["a"]),
        ("^[[:alpha:]]$", ["a", "Z"], ["1", "é"]),
        ("^[[:^alpha:]]$", ["1", "é"], ["a"]),
        (r"^\d+$", ["123"], ["٣", ""]),
        (r"^\w$", ["a", "_"], ["é"]),
        (r"^\s$", [" ", "\t"], ["\v", "\u00a0"]),
        (r"^\D\W\S$", ["a-b", "é éé"[:3]], ["1-b"]),
        (r"^\pL$", ["é", "日"], ["1"]),
        (r"^\p{Lu}\P{Lu}$", ["Éa"], ["éa"]),
        (r"^\p{^L}$", ["1"], ["a"]),
        (r"^\p{Any}$", ["1", "\n"], ["ab"]),
        (r"\P{Any}", [], ["1"]),
        (r"^[\p{Any}]$", ["1"], [""]),
        (r"a\Q\Eb", ["ab"], ["a"]),
        (r"\bcat\b", ["a cat!", "cat"], ["concatenate"]),
        (r"\Bcat\B", ["concatenate"], ["a cat"]),
        (r"\Aa\z", ["a"], ["a\n", "ba"]),
        ("(?m)^a$", ["x\na\ny"], ["xa"]),
        ("(?i)straße", ["STRAßE"], ["STRASSE"]),
        ("(?i:a)b", ["Ab"], ["aB"]),
        ("(?i)[^a]b", ["xB"], ["AB"]),
        ("((?i)a)b", ["Ab"], ["AB"]),
        ("(?-i)a", ["a"], ["A"]),
        (r"\x41\x{1F600}\101\n", ["A😀A\n"], []),
        (r"\Qa.b\E+$", ["a.bbb"], ["axb"]),
        (r"\Qa.b", ["a.b"], ["axb"]),
        (r"\.\*\_", [".*_"], ["a"]),
        ("(?P<year>[0-9]{4})-(?<month>[0-9]{2})", ["2026-01"], ["26-1"]),
        ("(a*)*b", ["b", "aab"], ["a"]),
        ("(a|)*$", ["", "b"], []),
        ("^(?:a(?:b(?:c)?)?)?$", ["", "a", "ab", "abc"], ["ac"]),
    ],
)
def test_pattern_finds(pattern: str, found: list[str], not_found: list[str]) -> None:
    assert [text for text in found if not matches(pattern, text)] == []
    assert [text for text in not_found if matches(pattern, text)] == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a", "without ')'"),
        ("a)", "a ')' too many"),
        ("[a", "without ']'"),
        ("[b-a]", "ends before it begins"),
        ("[[:foo:]]", "does not exist"),
        ("*a", "'*' has nothing to repeat"),
        ("a|+", "'+' has nothing to repeat"),
        ("{2}", "'{2}' has nothing to repeat"),
        ("a**", "repeats a repetition"),
        ("a{2}{3}", "repeats a repetition"),
        ("(?i)*", "repeats flags"),
        ("a{1001}", "not within 0 to 1,000"),
        ("a{3,2}", "not within 0 to 1,000"),
        ("(a{100}){100}", "more than 2,000 steps"),
        ("(((){1000}){1000}){1000}", "more than 2,000 steps"),
        ("(" * 51 + ")" * 51, "nested more than 50 deep"),
        ("a" * 1_001, "longer than 1,000 characters"),
        ("(?=a)", "look-around is not supported"),
        ("(?<!a)", "look-around is not supported"),
        ("(?P=a)", "look-around is not supported"),
        ("(?", "look-around is not supported"),
        ("(?<a b>x)", "group name"),
        ("(?P<a", "group name"),
        (r"\1", "back-references are not supported"),
        (r"\Z", "escape \\Z, which does not exist"),
        (r"\p{Greek}", "other than a general category"),
        (r"\pQ", "other than a general category"),
        (r"\xzz", "without hexadecimal digits"),
        (r"\x{110000}", "no Unicode character"),
        ("a\\", "ends with a backslash"),
    ],
)
def test_pattern_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert reason in str(caught.value)


def spent(pattern: Pattern, text: str) -> int:
    units = 0

    def charge(more: int) -> None:
        nonlocal units
        units += more

    pattern.search(text, charge)
    return units


def test_cost_grows_with_the_text_and_not_faster() -> None:
    pattern = compile_pattern("(a|aa)*$b")
    spent(pattern, "a")
    assert spent(pattern, "a" * 20_000) < 2.1 * spent(pattern, "a" * 10_000)


def test_memory_of_states_is_bounded() -> None:
    pattern = compile_pattern(r"(?i)[\pL]{3}x")
    for start in range(0x4E00, 0x9E00, 0x1000):
        pattern.search("".join(map(chr, range(start, start + 0x1000))), lambda units: None)
    assert sum(len(state.moves) for state in pattern._states.values()) <= 5_000
    assert pattern.search("日本x".rjust(10, "日"), lambda units: None) is True
