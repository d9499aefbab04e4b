"""What a condition may read of an event: a field that no event has would never match, and nobody would be told."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final

from durableq.model.expressions import Expression
from durableq.words.errors import ExpressionError

FIELDS: Final = ("name", "data", "id", "ts", "user", "v")
"""As EventScope has them."""


def check_fields(expression: Expression) -> None:
    """Raise ExpressionError where a declared condition reads a field that events have not, as `event.order_id` does.

    Not for conditions that are stored: those of another release are taken as they are.
    """
    for path in expression.fields:
        if len(path) > 1 and path[1] not in FIELDS:
            raise _refusal(expression.source, path[0], path[1])


def _refusal(source: str, variable: str, field: str) -> ExpressionError:
    near = get_close_matches(field, FIELDS, 1, 0.75)
    meant = near[0] if near else f"data.{field}" if field.isidentifier() else "data"
    found = re.search(rf"\b{variable}\s*(?:\.\s*`?|\[\s*['\"])({re.escape(field)})", source)
    return ExpressionError(
        f"an event has no field {field!r}, only {', '.join(FIELDS)}; did you mean {variable}.{meant}?",
        source,
        found.start(1) if found else 0,
    )
