"""`&&`, `||`, `!` and `?:`. They take any value for true or false, and give the operand that decided, as in JavaScript.

An unknown operand does not matter where the other decides, on whichever side it stands, as in CEL: `1/0 == 1 || true`
is true. Beyond that it makes the result unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from durableq.model.expressions.frame import Closure, Frame
from durableq.model.expressions.values import Unknown, is_truthy


def build_and(terms: Sequence[Closure]) -> Closure:
    """The first falsy term, else the last."""

    def conjunction(frame: Frame) -> object:
        unknown: Unknown | None = None
        value: object = None
        for term in terms:
            value = term(frame)
            if value is True:
                continue
            if value is False:
                return False
            if type(value) is Unknown:
                unknown = unknown or value
            elif not is_truthy(value):
                return value
        return unknown or value

    return conjunction


def build_or(terms: Sequence[Closure]) -> Closure:
    """The first truthy term, else the last."""

    def disjunction(frame: Frame) -> object:
        unknown: Unknown | None = None
        value: object = None
        for term in terms:
            value = term(frame)
            if value is False:
                continue
            if type(value) is Unknown:
                unknown = unknown or value
            elif is_truthy(value):
                return value
        return unknown or value

    return disjunction


def build_not(operand: Closure) -> Closure:
    """Whether the operand is falsy."""

    def negation(frame: Frame) -> object:
        value = operand(frame)
        return value if type(value) is Unknown else not is_truthy(value)

    return negation


def build_conditional(condition: Closure, then: Closure, otherwise: Closure) -> Closure:
    """One of two outcomes; the other is not evaluated."""

    def conditional(frame: Frame) -> object:
        value = condition(frame)
        if type(value) is Unknown:
            return value
        return then(frame) if is_truthy(value) else otherwise(frame)

    return conditional
