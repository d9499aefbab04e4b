"""What an expression may cost, at most. Each figure is checked before the cost arises.

Expressions come from developers, but the payloads they read come from anyone; no payload may hold up the router.
"""

from __future__ import annotations

SOURCE_BYTES_MAX = 4_096
DEPTH_MAX = 64
"""Levels of nesting, of the text as of the tree. Chains of `&&`, `||` and `+` are one level, however long."""
NODES_MAX = 500

ITERATIONS_MAX = 10_000
"""Rounds of `all`, `exists`, `exists_one`, `map` and `filter` in one evaluation, nested ones included."""
TEXT_MAX = 65_536
"""Characters of a string, or bytes, that an expression builds. What it only reads may be longer."""
LIST_MAX = 10_000
"""Elements of a list that an expression builds."""
WORK_MAX = 200_000
"""Units of work in one evaluation: one or a few for a node visited in a macro, an element compared, 64 characters built
or searched, a character matched against a pattern. A unit takes 0.1 to 0.3 us, so the whole stays below 60 ms.
"""

PATTERN_CHARS_MAX = 1_000
PATTERN_STATES_MAX = 2_000
