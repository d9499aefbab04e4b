"""What compiling carries with it: the source, to point into, and a budget for what is computed from constants."""

from __future__ import annotations

from collections.abc import Callable

from durableq.model.expressions.frame import BudgetExceeded, Frame
from durableq.model.expressions.nodes import Node
from durableq.model.expressions.values import Unknown
from durableq.words.errors import ExpressionError


class Compilation:
    """The compiling of one expression."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._frame = Frame({}, now_ms=0)

    def refusal(self, message: str, node: Node) -> ExpressionError:
        """The error that points at a node."""
        return ExpressionError(message, self._source, node.position)

    def constant(self, compute: Callable[..., object], values: list[object], node: Node) -> object:
        """What `compute` makes of constants, now rather than in each evaluation.

        Raises:
            ExpressionError: it can do nothing with them; or the expression's constants together are too much work.
        """
        try:
            result = compute(self._frame, *values)
        except BudgetExceeded as exceeded:
            raise self.refusal(f"too much to do with constants: {exceeded}", node) from None
        if isinstance(result, Unknown):
            raise self.refusal(result.reason, node)
        return result
