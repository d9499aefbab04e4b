"""Cron expressions that are right, and texts that look like some."""

from __future__ import annotations

from hypothesis import strategies as st

LOW_HIGH = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@st.composite
def items(draw: st.DrawFn, low: int, high: int) -> str:
    """A value, a range, or a range with a step."""
    if draw(st.integers(0, 2)):
        return str(draw(st.integers(low, high)))
    first = draw(st.integers(low, high - 1))
    last = draw(st.integers(first + 1, high))
    step = draw(st.integers(1, last - first))
    return f"{first}-{last}" if step == 1 else f"{first}-{last}/{step}"


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    """One field that is right."""
    steps = st.integers(1, high - low).map(lambda step: f"*/{step}")
    return st.one_of(st.just("*"), steps, st.lists(items(low, high), min_size=1, max_size=4).map(",".join))


def expressions() -> st.SearchStrategy[str]:
    """Five fields, each right; the date may still never come."""
    return st.tuples(*(fields(low, high) for low, high in LOW_HIGH)).map(" ".join)


def near_misses() -> st.SearchStrategy[str]:
    """Five or so fields of the letters that expressions are made of, and of others."""
    letters = st.text("0123456789*/-,LRH#?W@ MONJAFESUTZ=\t", max_size=9)
    return st.one_of(
        st.text(max_size=300),
        st.lists(letters, max_size=7).map(" ".join),
        st.lists(st.one_of(letters, *(fields(*bounds) for bounds in LOW_HIGH)), min_size=5, max_size=5).map(" ".join),
        expressions(),
        st.tuples(st.sampled_from(["TZ=", "CRON_TZ=", "@", "H ", "5-5 "]), st.text(max_size=20), expressions()).map(
            " ".join
        ),
    )
