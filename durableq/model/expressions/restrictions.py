"""What restricted expressions, as in `cancel_on`, may do: compare, combine, select and convert; nothing else.

Such expressions are matched by index and shown to people who did not write them, so they stay plain.
"""

from __future__ import annotations

from durableq.model.expressions.conversions import CONVERSIONS
from durableq.model.expressions.nodes import Binary, Call, Chain, Comprehension, Has, Node, Unary, walk
from durableq.words.errors import ExpressionError

_CONVERSION_NAMES = frozenset(function.name for function in CONVERSIONS)
_ARITHMETIC = frozenset("+-*/%")


def refuse_unrestricted(root: Node, source: str) -> None:
    """Refuse whatever a restricted expression may not do.

    Raises:
        ExpressionError: at the first call, macro or operator of that sort.
    """
    offending = [node for node in walk(root) if _name(node) is not None]
    if offending:
        first = min(offending, key=lambda node: node.position)
        raise ExpressionError(
            f"{_name(first)} is not allowed here: this expression may only compare, use && || ! ?: and in, "
            f"read fields, and convert with {', '.join(sorted(_CONVERSION_NAMES))}",
            source,
            first.position,
        )


def _name(node: Node) -> str | None:
    """How to call a node that is not allowed; None where it is."""
    match node:
        case Call(name=name) if name not in _CONVERSION_NAMES:
            return f"{name}()"
        case Has():
            return "has()"
        case Comprehension(macro=macro):
            return f"{macro}()"
        case Unary() | Binary() | Chain() if node.operator in _ARITHMETIC:
            return f"'{node.operator}'"
    return None
