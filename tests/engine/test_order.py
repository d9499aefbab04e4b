"""Whatever a program is made of, and wherever its worker dies, it is told the same things in the same order."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from durableq.engine.sync import SyncContext
from durableq.model.memo import RESULTS
from durableq.words.errors import NonRetriableError, StepError
from tests.engine.programs import (
    Child,
    Hearing,
    Interpreter,
    Many,
    Sleep,
    Step,
    Wait,
    end_of_child,
    happen,
    happenings,
    numbered,
    programs,
    programs_that_wait,
    sleeps,
    world_of,
)
from tests.engine.world import World


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


@settings(max_examples=150, deadline=None)
@given(
    program=programs_that_wait,
    what=happenings,
    seed=st.integers(0, 2**32),
    crash_after=st.none() | st.integers(0, 12),
)
def test_a_replay_is_told_what_came_from_outside_as_the_turn_before_was(
    program: Any, what: Any, seed: int, crash_after: int | None
) -> None:
    interpreter = Interpreter(program)
    world = world_of(interpreter, seed=seed, crash_after=crash_after)
    happen(world, program, what)
    result = world.finish()

    for earlier, later in zip(interpreter.traces, interpreter.traces[1:], strict=False):
        assert later[: len(earlier)] == earlier
    assert interpreter.executed_again == []

    executed, calls, children = len(interpreter.executed), len(world.calls), len(world.outside.children)
    assert world.finish() == result
    assert interpreter.traces[-1] == interpreter.traces[-2]
    assert (len(interpreter.executed), len(world.outside.children)) == (executed, children)
    assert world.calls[calls:] == []


@settings(max_examples=60, deadline=None)
@given(
    times_ms=st.lists(st.integers(0, 20) | st.integers(0, 100_000), max_size=10),
    seed=st.integers(0, 2**32),
    crash_after=st.none() | st.integers(0, 20),
)
def test_a_loop_of_waits_has_every_event_once_and_in_order_wherever_its_worker_dies(
    times_ms: list[int], seed: int, crash_after: int | None
) -> None:
    async def function(ctx: Any) -> Any:
        had = []
        while True:
            event = await ctx.step.wait_for_event("next", "a/b", timeout="1d")
            if event is None:
                return had
            had.append(event.id)

    world = World(function, seed=seed, crash_after=crash_after)
    world.plan = [(at_ms, partial(world.outside.arrive, "a/b")) for at_ms in times_ms]
    assert world.finish() == [f"e{n}" for n in range(len(times_ms))]


def _plain(nodes: Any) -> Any:
    return st.builds(Many, how=st.sampled_from(["seq", "gather"]), parts=st.lists(nodes, min_size=1, max_size=3))


plain_steps = st.builds(Step, fails=st.sampled_from([0, 0, 1]), fatal=st.sampled_from([False, False, True]))
plain_waits = st.one_of(
    st.builds(Wait, name=st.just("a"), timeout_ms=st.sampled_from([0, 10, 60_000])),
    st.builds(Hearing, timeout_ms=st.sampled_from([0, 10, 60_000])),
    st.builds(Child, takes_ms=st.sampled_from([0, 10, 5_000]), timeout_ms=st.just(10**7), fails=st.booleans()),
)
plain_programs = st.recursive(plain_steps | sleeps | plain_waits, _plain, max_leaves=6).map(
    lambda node: numbered(Many("seq", [node]))
)


@settings(max_examples=40, deadline=None)
@given(program=plain_programs, crash_after=st.none() | st.integers(0, 5))
def test_a_def_function_comes_to_the_same_result_wherever_its_worker_dies(
    program: Any, crash_after: int | None
) -> None:
    executed: list[str] = []

    def expected(node: Any) -> Any:
        if isinstance(node, Many):
            return [expected(part) for part in node.parts]
        if isinstance(node, Child):
            return "ValueError" if node.fails else "child"
        if isinstance(node, (Wait, Hearing)):
            return None
        return "NonRetriableError" if getattr(node, "fatal", False) else node.id

    def evaluate(ctx: SyncContext, node: Any) -> Any:
        if isinstance(node, Many) and node.how == "gather":
            return list(ctx.parallel(*[partial(evaluate, ctx, part) for part in node.parts]))
        if isinstance(node, Many):
            return [evaluate(ctx, part) for part in node.parts]
        if isinstance(node, Sleep):
            ctx.step.sleep(node.id, node.length_ms / 1000)
            return node.id
        if isinstance(node, Wait):
            return ctx.step.wait_for_event(node.id, node.name, timeout=node.timeout_ms / 1000)
        if isinstance(node, Hearing):
            return ctx.step.wait_for_signal(node.id, node.id, timeout=node.timeout_ms / 1000)
        try:
            if isinstance(node, Child):
                data = {"takes_ms": node.takes_ms, "fails": node.fails}
                return ctx.step.invoke(node.id, "child", data=data, timeout=node.timeout_ms / 1000)
            return ctx.step.run(node.id, body, ctx, node)
        except StepError as error:
            return error.name

    def body(ctx: SyncContext, step: Step) -> str:
        known = world.memos.get(world.environment.key_of(step.id, 0))
        assert known is None or known.kind not in RESULTS
        executed.append(step.id)
        if step.fatal:
            raise NonRetriableError
        if ctx.attempt < step.fails:
            raise ValueError
        return step.id

    world = World(lambda ctx: evaluate(ctx, program), crash_after=crash_after)
    world.outside.child = end_of_child
    assert world.finish() == expected(program)
    count = len(executed)
    assert world.finish() == expected(program)
    assert len(executed) == count
