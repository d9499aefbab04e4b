"""What is known of an expression without evaluating it: the fields it reads, and equalities fit for an index."""

from __future__ import annotations

from durableq.model.expressions.nodes import Binary, Call, Chain, Has, Literal, Node, Select, Variable, walk

_CONSTANTS = (str, int, float, bool)

Path = tuple[str, ...]
"""A variable and the fields below it: `event.data.order_id` is ("event", "data", "order_id")."""


def static_path(node: Node) -> Path | None:
    """The path that a node reads, if it is a variable or fields of one."""
    fields: list[str] = []
    while isinstance(node, Select):
        fields.append(node.field)
        node = node.operand
    return (node.name, *reversed(fields)) if isinstance(node, Variable) else None


def fields_read(root: Node) -> tuple[Path, ...]:
    """The paths that an expression may read, each once, in source order."""
    found: dict[Path, None] = {}
    ahead = [root]
    while ahead:
        node = ahead.pop()
        # `has(event.data.x)` reads the same field as `event.data.x`.
        path = static_path(Select(node.position, node.operand, node.field) if isinstance(node, Has) else node)
        if path is not None:
            found[path] = None
        else:
            ahead.extend(reversed(node.children()))
    return tuple(found)


def equalities(root: Node) -> tuple[tuple[Path, Path], ...]:
    """The pairs (path in `event`, path in `async`) that must be equal for the expression to hold."""
    return tuple(dict.fromkeys(pair for term in _conjoined(root) if (pair := _pair(term)) is not None))


def constants(root: Node) -> tuple[tuple[object, Path], ...]:
    """The pairs (text, number or truth that is written out, path in `async`) that must be equal for it to hold."""
    return tuple(pair for term in _conjoined(root) if (pair := _constant(term)) is not None)


def own_part(root: Node) -> Node | None:
    """The terms of a conjunction that nothing but the run's own event decides; None where there are none.

    Where they do not hold, no arriving event can make the whole hold. What depends on the time is none of them.
    """
    own = tuple(term for term in _conjoined(root) if not any(_depends(node) for node in walk(term)))
    if len(own) < 2:
        return own[0] if own else None
    return Chain(own[0].position, "&&", own)


def _conjoined(node: Node) -> tuple[Node, ...]:
    if not isinstance(node, Chain) or node.operator != "&&":
        return (node,)
    return tuple(term for below in node.terms for term in _conjoined(below))


def _depends(node: Node) -> bool:
    return (isinstance(node, Variable) and node.name == "async") or (
        isinstance(node, Call) and node.name.startswith("now")
    )


def _pair(node: Node) -> tuple[Path, Path] | None:
    if not isinstance(node, Binary) or node.operator != "==":
        return None
    left, right = static_path(node.left), static_path(node.right)
    if left is None or right is None:
        return None
    by_variable = {left[0]: left, right[0]: right}
    return (by_variable["event"], by_variable["async"]) if by_variable.keys() == {"event", "async"} else None


def _constant(node: Node) -> tuple[object, Path] | None:
    if not isinstance(node, Binary) or node.operator != "==":
        return None
    for literal, other in ((node.left, node.right), (node.right, node.left)):
        path = static_path(other)
        if (
            isinstance(literal, Literal)
            and type(literal.value) in _CONSTANTS
            and path is not None
            and path[0] == "async"
        ):
            return literal.value, path
    return None
