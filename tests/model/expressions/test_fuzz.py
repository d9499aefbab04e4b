"""Whatever is compiled and whatever it reads: only `ExpressionError` when compiling, nothing when evaluating, and no delay."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from durableq.model.expressions import Expression, compile_expression
from durableq.words.errors import ExpressionError
from tests.fuzz import fuzz, prompt
from tests.model.expressions.grammar import any_expressions, payloads, standard_expressions, token_soup
from tests.model.expressions.samples import BOTH, NOW_MS
from tests.words.strategies import storable

odd_values = st.recursive(
    storable
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from(["(a*)*", "1h", "2020-01-01T00:00:00Z", "UTC", '{"b": 1}', "aGk=", "\ud800", object(), b"\xff"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), inner, max_size=4)
    ),
    max_leaves=8,
)
scopes = st.fixed_dictionaries(
    {"event": st.fixed_dictionaries({"data": odd_values, "ts": odd_values}) | odd_values, "async": odd_values}
)


@fuzz(token_soup() | any_expressions() | standard_expressions(), st.booleans())
def test_any_source_compiles_or_is_refused(source: str, restricted: bool) -> None:
    with prompt():
        _compiled(source, restricted=restricted)


@fuzz(
    any_expressions() | token_soup() | standard_expressions(),
    scopes | payloads.map(lambda data: {"event": {"data": data}}),
)
def test_any_expression_evaluates_over_any_payload(source: str, scope: dict[str, Any]) -> None:
    expression = _compiled(source)
    if expression is None:
        return
    with prompt():
        result = expression.evaluate(scope, now_ms=NOW_MS)
        key = expression.key(scope, now_ms=NOW_MS)
    assert type(expression.test(scope, now_ms=NOW_MS)) is bool
    assert expression.test(scope, now_ms=NOW_MS) is result.truth
    assert result.key == key
    assert key is None or len(key.encode()) <= 200
    if result.problem is not None:
        assert result.value is None
        assert not result.truth


def _compiled(source: str, *, restricted: bool = False) -> Expression | None:
    try:
        return compile_expression(source, variables=BOTH, restricted=restricted)
    except ExpressionError as refused:
        error = refused
    assert 0 <= error.position <= len(source)
    assert str(error).endswith("^")
    return None
