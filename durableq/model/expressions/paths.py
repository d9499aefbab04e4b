"""What is known of an expression without evaluating it: the fields it reads, and equalities fit for an index."""

from __future__ import annotations

from durableq.model.expressions.nodes import Binary, Call, Chain, Has, Node, Select, Variable, walk

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
    terms = root.terms if isinstance(root, Chain) and root.operator == "&&" else (root,)
    nested = [equalities(term) for term in terms if term is not root and isinstance(term, Chain)]
    pairs = [pair for term in terms if (pair := _pair(term)) is not None]
    return tuple(dict.fromkeys([*pairs, *(pair for found in nested for pair in found)]))


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
