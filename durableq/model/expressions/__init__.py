"""Expressions: conditions and keys over events, in Inngest's dialect of CEL.

`compile_expression` turns text into an `Expression`, or points at the character that is wrong.
"""

from durableq.model.expressions.expression import Evaluation, Expression, compile_expression
from durableq.model.expressions.keys import lookup_tokens, stored_token
from durableq.model.expressions.paths import Path

__all__ = ["Evaluation", "Expression", "Path", "compile_expression", "lookup_tokens", "stored_token"]
