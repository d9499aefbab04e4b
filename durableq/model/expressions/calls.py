"""Function calls to closures. What is wrong with a call on constants is an error now, not a problem later."""

from __future__ import annotations

from collections.abc import Sequence

from durableq.model.expressions.compilation import Compilation
from durableq.model.expressions.frame import Closure, Frame
from durableq.model.expressions.function_table import FUNCTIONS
from durableq.model.expressions.functions import Function
from durableq.model.expressions.nodes import Call, Literal, Node
from durableq.model.expressions.values import MISSING, Unknown, adopt


def build_call(call: Call, closures: Sequence[Closure], compilation: Compilation) -> Closure:
    """The closure of a call, whose arguments (receiver first) are already compiled.

    Raises:
        ExpressionError: the wrong number of arguments, or constants that the function can do nothing with.
    """
    function = FUNCTIONS[call.name]
    counts = function.as_function if call.target is None else function.as_method
    if len(call.arguments) not in counts:
        wanted = " or ".join(map(str, counts)) + (" argument" if counts == (1,) else " arguments")
        raise compilation.refusal(f"{call.name}() takes {wanted} here, not {len(call.arguments)}", call)
    nodes = call.children()
    constants = [node.value for node in nodes if isinstance(node, Literal)]
    if len(constants) == len(nodes) and function.same_each_time and None not in constants:
        result = compilation.constant(function.run, constants, nodes[0])
        return lambda _: result
    return _calling(
        function,
        [
            _prepared(function, number, node, closure, compilation)
            for number, (node, closure) in enumerate(zip(nodes, closures, strict=True))
        ],
    )


def _prepared(function: Function, number: int, node: Node, closure: Closure, compilation: Compilation) -> Closure:
    prepare = function.prepares.get(number)
    if prepare is None or not isinstance(node, Literal) or node.value is None:
        return closure
    prepared = compilation.constant(prepare, [node.value], node)
    return lambda _: prepared


def _calling(function: Function, arguments: Sequence[Closure]) -> Closure:
    run, when_absent, takes_absent = function.run, function.when_absent, function.takes_absent
    if len(arguments) == 1:
        (argument,) = arguments

        def call_with_one(frame: Frame) -> object:
            value = argument(frame)
            if type(value) is Unknown:
                return value
            if (value is None or value is MISSING) and not takes_absent:
                return when_absent
            return run(frame, adopt(value))

        return call_with_one

    def call(frame: Frame) -> object:
        values = []
        absent = False
        for argument in arguments:
            value = argument(frame)
            if type(value) is Unknown:
                return value
            absent = absent or value is None or value is MISSING
            values.append(adopt(value))
        return when_absent if absent and not takes_absent else run(frame, *values)

    return call
