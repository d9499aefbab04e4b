"""A compiled expression, and what evaluating it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from durableq.model.expressions.compilation import Compilation
from durableq.model.expressions.compiler import build
from durableq.model.expressions.frame import BudgetExceeded, Closure, Frame
from durableq.model.expressions.keys import key_text
from durableq.model.expressions.limits import SOURCE_BYTES_MAX
from durableq.model.expressions.parser import parse
from durableq.model.expressions.paths import Path, constants, equalities, fields_read, own_part
from durableq.model.expressions.restrictions import refuse_unrestricted
from durableq.model.expressions.values import MISSING, Unknown, is_truthy
from durableq.words.errors import ExpressionError

Scope = Mapping[str, object]
"""What an expression reads: `{"event": {...}}`, and the arriving event under "async" where one is awaited."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation gave."""

    value: object
    """The result; None where it is null, missing, or could not be computed."""
    problem: str | None = None
    """Why there is no result, for people to read; None where there is one. It never quotes the payload."""

    @property
    def truth(self) -> bool:
        """Whether the result counts as true: not null, missing, false, "" or 0."""
        return is_truthy(self.value)

    @property
    def key(self) -> str | None:
        """The result as a flow-control key; None where there is none. `false` gives "false".

        A gate that `false` switches off asks `value is False` first: the string "false" is a key like any other.
        """
        return key_text(self.value)


class Expression:
    """A compiled expression. Immutable, and shared freely between threads.

    Evaluating never raises, whatever the scope holds, and is bounded. What cannot be evaluated (a division by zero,
    "a" < 1, too much work) is false, has no value and no key; `evaluate` says why.
    """

    __slots__ = ("_closure", "_own", "constants", "equalities", "fields", "source")

    source: str
    """The text it was compiled from."""
    fields: tuple[Path, ...]
    """The paths that it may read, such as ("event", "data", "order_id"), in source order."""
    equalities: tuple[tuple[Path, Path], ...]
    """The pairs of paths in `event` and in `async` that must be equal for it to hold, for an index of waits."""
    constants: tuple[tuple[object, Path], ...]
    """The same for what is written out: the values, and the paths in `async` that must be equal to them."""

    def __init__(
        self,
        source: str,
        closure: Closure,
        fields: tuple[Path, ...],
        pairs: tuple[tuple[Path, Path], ...],
        written: tuple[tuple[object, Path], ...],
        own: Closure | None = None,
    ) -> None:
        self.source = source
        self.fields = fields
        self.equalities = pairs
        self.constants = written
        self._closure = closure
        self._own = own

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def evaluate(self, scope: Scope, *, now_ms: int | None = None) -> Evaluation:
        """The result, with the reason where there is none. `now_ms` is the time for `now()`; this host's where None."""
        value = self._compute(scope, now_ms)
        if type(value) is Unknown:
            return Evaluation(None, value.reason)
        return Evaluation(None if value is MISSING else value)

    def test(self, scope: Scope, *, now_ms: int | None = None) -> bool:
        """Whether it holds. False where it cannot be evaluated."""
        value = self._compute(scope, now_ms)
        return value is True or is_truthy(value)

    def can_hold(self, scope: Scope) -> bool:
        """Whether it holds for any arriving event at all, as far as its parts over `event` alone tell."""
        return self._own is None or is_truthy(_outcome(self._own, scope, None))

    def value(self, scope: Scope, *, now_ms: int | None = None) -> object:
        """Its value; None where it is null, missing, or cannot be evaluated."""
        value = self._compute(scope, now_ms)
        return None if value is MISSING or type(value) is Unknown else value

    def key(self, scope: Scope, *, now_ms: int | None = None) -> str | None:
        """Its value as a flow-control key; None where there is none. See `Evaluation.key` for what `false` means."""
        return key_text(self._compute(scope, now_ms))

    def _compute(self, scope: Scope, now_ms: int | None) -> object:
        return _outcome(self._closure, scope, now_ms)


def _outcome(closure: Closure, scope: Scope, now_ms: int | None) -> object:
    try:
        return closure(Frame(scope, now_ms))
    except BudgetExceeded as exceeded:
        return Unknown(f"abandoned: {exceeded}")
    except Exception as error:
        # Values are other people's objects: whatever they raise on being read is a problem of the payload.
        return Unknown(f"reading the payload raised {type(error).__name__}")


def compile_expression(
    source: str, *, variables: frozenset[str] = frozenset({"event"}), restricted: bool = False
) -> Expression:
    """Compile an expression over `variables`.

    `restricted` allows only comparisons, boolean logic, `?:`, `in`, reading fields, and conversions. Compiled
    expressions are remembered, so compiling the same text again costs nothing.

    Raises:
        ExpressionError: it cannot be compiled; the message points at the character.
    """
    if not isinstance(source, str):
        raise ExpressionError(f"an expression is a str, not {type(source).__name__}", repr(source)[:80], 0)
    return _compiled(source, frozenset(variables), restricted)


@lru_cache(maxsize=2_048)
def _compiled(source: str, variables: frozenset[str], restricted: bool) -> Expression:
    _refuse_long(source)
    root = parse(source, variables)
    closure = build(root, Compilation(source))
    if restricted:
        refuse_unrestricted(root, source)
    own = own_part(root) if "async" in variables else None
    own_closure = None if own is None else build(own, Compilation(source))
    return Expression(source, closure, fields_read(root), equalities(root), constants(root), own_closure)


def _refuse_long(source: str) -> None:
    data = source.encode("utf-8", "surrogatepass")
    if len(data) > SOURCE_BYTES_MAX:
        position = len(data[:SOURCE_BYTES_MAX].decode("utf-8", "ignore"))
        raise ExpressionError(f"longer than {SOURCE_BYTES_MAX:,} bytes", source, position)
