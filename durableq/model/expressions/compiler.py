"""The syntax tree to closures: each node becomes a function of the frame, so evaluating never looks at the tree."""

from __future__ import annotations

from collections.abc import Sequence

from durableq.model.expressions.access import build_has, build_index, build_local, build_path, build_select
from durableq.model.expressions.arithmetic import build_arithmetic, build_minus
from durableq.model.expressions.calls import build_call
from durableq.model.expressions.comparisons import (
    MIRRORED,
    ORDERINGS,
    build_equality,
    build_equality_with_constant,
    build_membership,
    build_membership_of_texts,
    build_ordering,
    build_ordering_with_number,
)
from durableq.model.expressions.compilation import Compilation
from durableq.model.expressions.comprehensions import build_comprehension
from durableq.model.expressions.containers import build_list, build_map, refuse_bad_keys
from durableq.model.expressions.frame import Closure
from durableq.model.expressions.function_table import FUNCTIONS
from durableq.model.expressions.logic import build_and, build_conditional, build_not, build_or
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
from durableq.model.expressions.paths import static_path
from durableq.model.expressions.sums import build_sum

_CHAINS = {"&&": build_and, "||": build_or, "+": build_sum}
_SIMPLE = (type(None), bool, int, float, str)


def build(node: Node, compilation: Compilation) -> Closure:
    """The closure of a node and all below it.

    Raises:
        ExpressionError: it calls a function that does not exist, or in a way that cannot work.
    """
    path = static_path(node)
    if path is not None:
        return build_path(path)
    match node:
        case Literal(value=value):
            return lambda _: value
        case Local(slot=slot):
            return build_local(slot)
        case Select(operand=operand, field=field):
            return build_select(build(operand, compilation), field)
        case Has(operand=operand, field=field):
            return build_has(build(operand, compilation), field)
        case Index(operand=operand, index=index):
            return build_index(build(operand, compilation), build(index, compilation))
        case Call():
            return build_call(node, _all(node.children(), compilation), compilation)
        case Comprehension():
            return _build_comprehension(node, compilation)
        case Unary(operator="!", operand=operand):
            return build_not(build(operand, compilation))
        case Unary(operand=operand):
            return build_minus(build(operand, compilation))
        case Binary():
            return _build_binary(node, compilation)
        case Chain(operator=operator, terms=terms):
            return _CHAINS[operator](_all(terms, compilation))
        case Conditional():
            return build_conditional(*_all(node.children(), compilation))
        case ListLiteral(items=items):
            return build_list(_all(items, compilation))
        case MapLiteral(entries=entries):
            refuse_bad_keys(entries, compilation)
            return build_map([(build(key, compilation), build(value, compilation)) for key, value in entries])
    raise AssertionError(f"a {type(node).__name__} has no closure")


def _all(nodes: Sequence[Node], compilation: Compilation) -> list[Closure]:
    return [build(node, compilation) for node in nodes]


def _build_binary(node: Binary, compilation: Compilation) -> Closure:
    symbol = node.operator
    if symbol in ORDERINGS:
        return _build_ordering(node, compilation)
    if symbol in ("==", "!="):
        return _build_equality(node, compilation)
    left, right = build(node.left, compilation), build(node.right, compilation)
    if symbol != "in":
        return build_arithmetic(symbol, left, right)
    texts = _constant_texts(node.right)
    return build_membership(left, right) if texts is None else build_membership_of_texts(left, texts)


def _build_ordering(node: Binary, compilation: Compilation) -> Closure:
    left, right = build(node.left, compilation), build(node.right, compilation)
    for constant, operand, symbol in ((node.right, left, node.operator), (node.left, right, MIRRORED[node.operator])):
        number = constant.value if isinstance(constant, Literal) else None
        if type(number) is int or type(number) is float:
            return build_ordering_with_number(symbol, operand, number)
    return build_ordering(node.operator, left, right)


def _build_equality(node: Binary, compilation: Compilation) -> Closure:
    holds = node.operator == "=="
    left, right = build(node.left, compilation), build(node.right, compilation)
    for constant, operand in ((node.right, left), (node.left, right)):
        if isinstance(constant, Literal) and type(constant.value) in _SIMPLE:
            return build_equality_with_constant(operand, constant.value, holds=holds)
    return build_equality(left, right, holds=holds)


def _constant_texts(node: Node) -> frozenset[str] | None:
    """The strings of a list that holds constant strings only; None for any other node."""
    if not isinstance(node, ListLiteral):
        return None
    values = [item.value for item in node.items if isinstance(item, Literal)]
    texts = [value for value in values if isinstance(value, str)]
    return frozenset(texts) if len(texts) == len(node.items) else None


def _build_comprehension(node: Comprehension, compilation: Compilation) -> Closure:
    bodies = tuple(_all(node.bodies, compilation))
    units = 1 + sum(map(_cost, node.bodies))
    return build_comprehension(node.macro, build(node.target, compilation), node.slot, bodies, units)


def _cost(node: Node) -> int:
    """What one round costs, in units of work. The bodies of macros within pay for their own rounds."""
    match node:
        case Call(name=name):
            own = FUNCTIONS[name].units
        case Chain(operator="+", terms=terms):
            own = 4 * len(terms)
        case Literal() | Local() | Variable():
            own = 1
        case _:
            own = 2
    inner = (node.target,) if isinstance(node, Comprehension) else node.children()
    return own + sum(map(_cost, inner))
