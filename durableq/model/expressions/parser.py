"""Tokens to the syntax tree, by operator precedence.

Names are resolved here: a name is a macro's variable, a variable of the scope, or the name of a type, and every other
is refused where it stands, as is a function that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from durableq.model.expressions.function_table import MACROS, find_function
from durableq.model.expressions.lexer import Token, tokens
from durableq.model.expressions.limits import DEPTH_MAX, NODES_MAX
from durableq.model.expressions.literals import in_range
from durableq.model.expressions.nodes import (
    Binary,
    Call,
    Chain,
    Comprehension,
    Conditional,
    Has,
    Index,
    ListLiteral,
    Literal,
    Local,
    MapLiteral,
    Node,
    Select,
    Unary,
    Variable,
)
from durableq.model.expressions.suggestions import did_you_mean
from durableq.model.expressions.values import TYPE_NAMES, TypeName, Uint
from durableq.words.errors import ExpressionError

_T = TypeVar("_T")

_CHAINED = frozenset({"&&", "||", "+"})
_STRENGTH = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 3),
    "+": 4,
    "-": 4,
    **dict.fromkeys("*/%", 5),
}
_CONSTANTS = {"true": True, "false": False, "null": None}
_TYPES = {name: TypeName(name) for name in TYPE_NAMES.values()}
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "in", "let", "loop", "namespace"}
    | {"package", "return", "var", "void", "while"}
)
_FOREIGN_WORDS = {
    "and": "write &&",
    "or": "write ||",
    "not": "write !",
    "None": "write null",
    "undefined": "write null",
    "True": "write true",
    "False": "write false",
}
_ASYNC = "unknown name 'async': the arriving event is known only where one is awaited, in cancel_on and wait_for_event"


def parse(source: str, variables: frozenset[str]) -> Node:
    """The tree of an expression whose scope holds `variables`.

    Raises:
        ExpressionError: a syntax error, an unknown name, or more nodes or nesting than allowed.
    """
    return _Parser(source, variables).whole()


class _Parser:
    def __init__(self, source: str, variables: frozenset[str]) -> None:
        self._source = source
        self._variables = variables
        self._tokens = tokens(source)
        self._next = next(self._tokens)
        self._locals: list[str] = []
        self._depth = 0
        self._heights: dict[int, int] = {}  # by id of the node: how many levels the tree below it has, itself included
        self._nodes = 0

    def whole(self) -> Node:
        if self._next.kind == "end":
            raise ExpressionError("the expression is empty", self._source, 0)
        root = self._expression()
        if self._next.kind != "end":
            raise self._unexpected("an operator or the end")
        return root

    # Operators, the weakest first.

    def _expression(self) -> Node:
        return self._nested(self._conditional)

    def _conditional(self) -> Node:
        condition = self._operation()
        mark = self._next
        if not self._take("?"):
            return condition
        then = self._expression()
        self._expect(":", "the ':' of the condition's other outcome")
        return self._made(Conditional(mark.position, condition, then, self._expression()))

    def _operation(self) -> Node:
        """Operands and operators between them, by strength. With a stack of its own: recursion is for brackets."""
        operands = [self._unary()]
        operators: list[Token] = []

        def join() -> None:
            right = operands.pop()
            operands.append(self._joined(operators.pop(), operands.pop(), right))

        while strength := _STRENGTH.get(self._operator()):
            while operators and _STRENGTH[operators[-1].text] >= strength:
                join()
            operators.append(self._advance())
            operands.append(self._unary())
        while operators:
            join()
        return operands[0]

    def _operator(self) -> str:
        return "in" if self._next.kind == "name" and self._next.text == "in" else self._next.kind

    def _joined(self, token: Token, left: Node, right: Node) -> Node:
        if token.text not in _CHAINED:
            return self._made(Binary(token.position, token.text, left, right))
        if isinstance(left, Chain) and left.operator == token.text:
            longer = Chain(left.position, left.operator, (*left.terms, right))
            return self._measured(longer, max(self._heights[id(left)], 1 + self._heights[id(right)]))
        return self._made(Chain(token.position, token.text, (left, right)))

    def _unary(self) -> Node:
        token = self._next
        if token.kind not in ("!", "-"):
            return self._member(self._primary())
        self._advance()
        if token.kind == "-" and isinstance(self._next.value, int | float) and not isinstance(self._next.value, Uint):
            return self._member(self._literal(token.position, -self._next.value))
        operand = self._nested(self._unary)
        return self._made(Unary(token.position, token.kind, operand))

    # Values.

    def _primary(self) -> Node:
        token = self._next
        match token.kind:
            case "literal":
                return self._literal(token.position, token.value)
            case "name":
                return self._name()
            case ".":
                self._advance()
                return self._global_name()
            case "(":
                self._advance()
                inner = self._expression()
                self._expect(")", "')'")
                return inner
            case "[":
                self._advance()
                return self._made(ListLiteral(token.position, self._items("]", self._expression)))
            case "{":
                self._advance()
                return self._made(MapLiteral(token.position, self._items("}", self._entry)))
        raise self._unexpected("a value")

    def _literal(self, position: int, value: object) -> Node:
        if not in_range(value):
            raise ExpressionError(f"{value} does not fit in an int of 64 bits", self._source, position)
        self._advance()
        return self._made(Literal(position, value))

    def _name(self) -> Node:
        token = self._advance()
        name = token.text
        if name in _CONSTANTS:
            return self._made(Literal(token.position, _CONSTANTS[name]))
        if name in self._locals and self._next.kind != "(":
            slot = len(self._locals) - 1 - self._locals[::-1].index(name)
            return self._made(Local(token.position, name, slot))
        return self._resolved(token)

    def _global_name(self) -> Node:
        """The name after a leading dot, which no macro's variable hides."""
        if self._next.kind != "name":
            raise self._unexpected("a name")
        return self._resolved(self._advance())

    def _resolved(self, token: Token) -> Node:
        name = token.text
        if name in _RESERVED:
            raise ExpressionError(f"{name!r} is a reserved word", self._source, token.position)
        if self._next.kind == "(":
            return self._has(token) if name == "has" else self._call(None, token)
        if name in self._variables:
            return self._made(Variable(token.position, name))
        if name == "google":
            name = self._dotted(name)
        if name in _TYPES:
            return self._made(Literal(token.position, _TYPES[name]))
        raise ExpressionError(self._unknown_name(name, token.position), self._source, token.position)

    def _dotted(self, name: str) -> str:
        while self._take("."):
            name += "." + self._advance().text
        return name

    def _unknown_name(self, name: str, position: int) -> str:
        if name == "async":
            return _ASYNC
        if name in _FOREIGN_WORDS:
            return f"unknown name {name!r}: {_FOREIGN_WORDS[name]}"
        if re.search(r"\w-$", self._source[:position]):
            return f"unknown name {name!r}: a field with a hyphen is written in backquotes, as in event.data.`user-id`"
        known = sorted({*self._variables, *self._locals})
        hint = did_you_mean(name, known) or f"; for a constant text write '{name[:40]}' in quotes of its own"
        return f"unknown name {name!r}: this expression knows {', '.join(known)}{hint}"

    # What may follow a value.

    def _member(self, node: Node) -> Node:
        while True:
            token = self._next
            if self._take("."):
                node = self._field(node)
            elif self._take("["):
                node = self._index(token, node)
            elif token.kind == "{" and isinstance(node, Variable | Select):
                raise ExpressionError("messages cannot be built here, only maps", self._source, token.position)
            else:
                return node

    def _field(self, node: Node) -> Node:
        if self._next.kind not in ("name", "escaped"):
            raise self._unexpected("the name of a field")
        token = self._advance()
        if self._next.kind != "(" or token.kind == "escaped":
            return self._made(Select(token.position, node, token.text))
        return self._comprehension(node, token) if token.text in MACROS else self._call(node, token)

    def _index(self, bracket: Token, node: Node) -> Node:
        index = self._expression()
        self._expect("]", "']'")
        if isinstance(index, Literal) and isinstance(index.value, str):
            return self._made(Select(bracket.position, node, index.value))
        return self._made(Index(bracket.position, node, index))

    def _call(self, target: Node | None, name: Token) -> Node:
        find_function(name.text, self._source, name.position, as_method=target is not None)
        self._expect("(", "'('")
        return self._made(Call(name.position, name.text, target, self._items(")", self._expression)))

    def _has(self, name: Token) -> Node:
        self._expect("(", "'('")
        start = self._next.position
        field = self._expression()
        if not isinstance(field, Select):
            raise ExpressionError("has() takes a field, as in has(event.data.email)", self._source, start)
        self._expect(")", "')'")
        return self._made(Has(name.position, field.operand, field.field))

    def _comprehension(self, target: Node, name: Token) -> Node:
        self._expect("(", "'('")
        usage = f"{name.text}() takes a variable and an expression, as in list.{name.text}(x, x > 0)"
        variable = self._next
        if variable.kind != "name" or variable.text in _RESERVED or variable.text in _CONSTANTS:
            raise ExpressionError(usage, self._source, variable.position)
        self._advance()
        if not self._take(","):
            raise ExpressionError(usage, self._source, self._next.position)
        self._locals.append(variable.text)
        bodies = self._items(")", self._expression)
        self._locals.pop()
        if len(bodies) not in MACROS[name.text]:
            raise ExpressionError(usage, self._source, name.position)
        return self._made(Comprehension(name.position, name.text, target, len(self._locals), bodies))

    def _items(self, closing: str, item: Callable[[], _T]) -> tuple[_T, ...]:
        """Items with commas between them, and the closing token. Lists and maps may have a comma too many."""
        items: list[_T] = []
        while not self._take(closing):
            if items:
                self._expect(",", f"',' or '{closing}'")
                if closing != ")" and self._take(closing):
                    break
            items.append(item())
        return tuple(items)

    def _entry(self) -> tuple[Node, Node]:
        key = self._expression()
        self._expect(":", "the ':' between key and value")
        return key, self._expression()

    # Tokens and limits.

    def _advance(self) -> Token:
        token = self._next
        if token.kind != "end":
            self._next = next(self._tokens)
        return token

    def _take(self, kind: str) -> bool:
        if self._next.kind != kind:
            return False
        self._advance()
        return True

    def _expect(self, kind: str, wanted: str) -> None:
        if not self._take(kind):
            raise self._unexpected(wanted)

    def _unexpected(self, wanted: str) -> ExpressionError:
        token = self._next
        if token.kind == "end":
            return ExpressionError(f"the expression ends where {wanted} is expected", self._source, token.position)
        shown = token.text if len(token.text) <= 40 else token.text[:40] + "..."
        hint = _FOREIGN_WORDS.get(token.text)
        return ExpressionError(
            f"expected {wanted}, found {shown!r}" + (f": {hint}" if hint else ""), self._source, token.position
        )

    def _nested(self, parse: Callable[[], Node]) -> Node:
        self._depth += 1
        self._refuse_deep(self._depth, self._next.position)
        node = parse()
        self._depth -= 1
        return node

    def _made(self, node: Node) -> Node:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise ExpressionError(f"more than {NODES_MAX} parts: split the expression", self._source, node.position)
        return self._measured(node, 1 + max((self._heights[id(child)] for child in node.children()), default=0))

    def _measured(self, node: Node, height: int) -> Node:
        self._refuse_deep(height, node.position)
        self._heights[id(node)] = height
        return node

    def _refuse_deep(self, levels: int, position: int) -> None:
        if levels > DEPTH_MAX:
            raise ExpressionError(f"nested more than {DEPTH_MAX} levels deep", self._source, position)
