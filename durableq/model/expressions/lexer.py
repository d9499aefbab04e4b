"""Source text to tokens. One regular expression finds them, and it is linear; literals are read in `literals.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from durableq.model.expressions.literals import read_number, read_quoted
from durableq.words.errors import ExpressionError

_TOKEN = re.compile(
    r"""
    (?P<space>   (?: [ \t\r\n\f] | //[^\n]* )+ )
  | (?P<number>  0[xX][0-9a-fA-F]+[uU]? | [0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)? | [0-9]+[eE][+-]?[0-9]+ | [0-9]+[uU]? )
  | (?P<quoted>  [bB]?[rR]?(?: \"\"\" | ''' | " | ' ) )
  | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
  | `(?P<escaped> [A-Za-z0-9_./\- ]+ )`
  | (?P<operator> && | \|\| | == | != | <= | >= | [-+*/%<>!?:.,()\[\]{}] )
    """,
    re.VERBOSE,
)
_HINTS = {
    "=": "to compare, write ==",
    "&": "write && for and",
    "|": "write || for or",
    "`": "backquotes enclose a field name and nothing else, as in event.data.`user-id`",
    "“": "write straight quotes",
    "”": "write straight quotes",
    "‘": "write straight quotes",
    "’": "write straight quotes",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `kind` is "name", "escaped", "literal", "end", or the operator itself."""

    kind: str
    position: int
    text: str
    value: object = None


def tokens(source: str) -> Iterator[Token]:
    """The tokens of an expression, ending with one of kind "end".

    Raises:
        ExpressionError: at a character that cannot begin a token, or inside a literal.
    """
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise ExpressionError(_unexpected(source[position]), source, position)
        text = match.group()
        end = match.end()
        if match.lastgroup == "quoted":
            value, end = read_quoted(source, position, text)
            yield Token("literal", position, source[position:end], value)
        elif match.lastgroup == "number":
            _refuse_glued_letter(source, end)
            yield Token("literal", position, text, read_number(source, position, text))
        elif match.lastgroup == "operator":
            yield Token(text, position, text)
        elif match.lastgroup == "name":
            yield Token("name", position, text)
        elif match.lastgroup == "escaped":
            yield Token("escaped", position, match["escaped"])
        position = end
    yield Token("end", len(source), "")


def _unexpected(character: str) -> str:
    hint = _HINTS.get(character)
    return f"unexpected {character!r}" + (f": {hint}" if hint else "")


def _refuse_glued_letter(source: str, end: int) -> None:
    if end < len(source) and (source[end].isalnum() or source[end] == "_"):
        raise ExpressionError(f"unexpected {source[end]!r} in a number", source, end)
