"""Whatever a program is made of, and wherever its worker dies, it is told the same things in the same order."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.programs import Interpreter, programs, world_of


@settings(max_examples=150, deadline=None)
@given(program=programs, seed=st.integers(0, 2**32), crash_after=st.none() | st.integers(0, 12))
def test_a_replay_is_told_what_the_turn_before_was_told(program: Any, seed: int, crash_after: int | None) -> None:
    interpreter = Interpreter(program)
    world = world_of(interpreter, seed=seed, crash_after=crash_after)
    result = world.finish()

    for earlier, later in zip(interpreter.traces, interpreter.traces[1:], strict=False):
        assert later[: len(earlier)] == earlier
    assert interpreter.executed_again == []

    executed, calls = len(interpreter.executed), len(world.calls)
    assert world.finish() == result
    assert interpreter.traces[-1] == interpreter.traces[-2]
    assert len(interpreter.executed) == executed
    assert world.calls[calls:] == []
