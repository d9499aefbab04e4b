"""A turn that has ended is freed with its last reference: it leaves nothing to the cycle collector.

Half of a run's cost was once the collector walking through runs that pointed at each other's parts. When one of these tests
fails, `left_behind` names the objects; something that the replay made and holds now points back at it (Replay._let_go).
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from durableq.model.outcome import Abandoned, AttemptFailed, Completed, Failed, Suspended
from durableq.words.errors import NonRetriableError, StepError
from tests.engine.virtual import run_virtual
from tests.engine.world import World

Handler = Callable[[Any], Coroutine[Any, Any, Any]]


@pytest.fixture(autouse=True, scope="module")
def _threads_of_earlier_tests_have_ended() -> None:
    """They would let go of what they hold while we count. Idle ones that nobody closed hold nothing and stay."""
    deadline = time.monotonic() + 2
    for thread in threading.enumerate():
        if thread.name.startswith(("durableq-function", "durableq-body")):
            thread.join(max(0.0, deadline - time.monotonic()))


async def one() -> int:
    return 1


async def refuses() -> None:
    raise NonRetriableError("no")


async def returns(_ctx: Any) -> int:
    return 1


async def raises(_ctx: Any) -> None:
    raise ValueError("no")


async def exits(_ctx: Any) -> None:
    sys.exit(3)


async def steps(ctx: Any) -> int:
    total = 0
    for number in range(3):
        total += await ctx.step.run(f"step-{number}", one)
    return total


async def step_fails(ctx: Any) -> None:
    await ctx.step.run("refuses", refuses)


async def catches(ctx: Any) -> str:
    try:
        await ctx.step.run("refuses", refuses)
    except StepError:
        await ctx.step.run("one", one)
    return "caught"


async def logs(ctx: Any) -> str:
    ctx.logger.info("here")
    return str(ctx.uuid4())


async def gathers(ctx: Any) -> list[int]:
    return list(await asyncio.gather(*(ctx.step.run("one", one) for _ in range(3))))


async def groups(ctx: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(ctx.step.run(f"step-{number}", one))


async def forgets(ctx: Any) -> None:
    ctx.step.run("forgotten", one)


async def sleeps(ctx: Any) -> None:
    await ctx.step.run("one", one)
    try:
        await ctx.step.sleep("nap", "1h")
    finally:
        await ctx.step.run("in finally", one)


async def sleep_beside_steps(ctx: Any) -> None:
    await asyncio.gather(ctx.step.sleep("nap", "1h"), ctx.step.run("one", one))


async def waits_for_a_retry(ctx: Any) -> None:
    def fails() -> None:
        raise ValueError("try again")

    await ctx.step.run("fails", fails)


CASES: list[tuple[Handler, type[Any]]] = [
    (returns, Completed),
    (steps, Completed),
    (catches, Completed),
    (logs, Completed),
    (gathers, Completed),
    (groups, Completed),
    (forgets, Completed),
    (raises, AttemptFailed),
    (exits, AttemptFailed),
    (step_fails, Failed),
    (sleeps, Suspended),
    (sleep_beside_steps, Suspended),
    (waits_for_a_retry, Suspended),
]


async def left_behind(world: World) -> Counter[str]:
    """What the collector finds after one turn: the engine's objects by name, tasks, futures and coroutines."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await world.turn()
        world.execution = world.port = None
        await asyncio.sleep(1)  # what was called with the last turn of the loop is over
        gc.collect()
        return Counter(
            f"{type(found).__module__}.{type(found).__qualname__}"
            for found in gc.garbage
            if type(found).__module__.startswith("durableq")
            or isinstance(found, (asyncio.Future, Coroutine, BaseException))
        )
    finally:
        gc.garbage.clear()
        gc.set_debug(0)
        gc.enable()


@pytest.mark.parametrize(("handler", "outcome"), CASES, ids=[handler.__name__ for handler, _ in CASES])
def test_a_turn_leaves_nothing_to_the_collector(handler: Handler, outcome: type[Any]) -> None:
    world = World(handler)
    assert run_virtual(left_behind(world)) == {}
    assert type(world.outcomes[-1]) is outcome


@pytest.mark.parametrize("handler", [steps, gathers], ids=lambda handler: handler.__name__)
def test_a_turn_abandoned_in_a_write_leaves_nothing_to_the_collector(handler: Handler) -> None:
    world = World(handler, crash_after=1)
    assert run_virtual(left_behind(world)) == {}
    assert type(world.outcomes[-1]) is Abandoned


@pytest.mark.parametrize("branches", [0, 2])
def test_a_turn_abandoned_in_a_body_leaves_nothing_to_the_collector(branches: int) -> None:
    async def function(ctx: Any) -> None:
        async def loses() -> None:
            assert world.execution is not None
            world.execution.abandon()
            await asyncio.sleep(1)

        if branches:
            await asyncio.gather(*(ctx.step.run("loses", loses) for _ in range(branches)))
        else:
            await ctx.step.run("loses", loses)

    world = World(function)
    assert run_virtual(left_behind(world)) == {}
    assert type(world.outcomes[-1]) is Abandoned


def test_a_replay_leaves_nothing_to_the_collector() -> None:
    async def function(ctx: Any) -> int:
        first: int = await ctx.step.run("one", one)
        await ctx.step.sleep("nap", "1h")
        return first

    async def both_turns() -> Counter[str]:
        found = await left_behind(world)
        await asyncio.sleep(3600)
        world.fire_due()
        return found + await left_behind(world)

    world = World(function)
    assert run_virtual(both_turns()) == {}
    assert [type(outcome) for outcome in world.outcomes] == [Suspended, Completed]


def plain_returns(_ctx: Any) -> int:
    return 1


def plain_steps(ctx: Any) -> int:
    first: int = ctx.step.run("one", one)
    return first + int(ctx.step.run("plain", lambda: 2))


def plain_raises(_ctx: Any) -> None:
    raise ValueError("no")


def plain_step_fails(ctx: Any) -> None:
    ctx.step.run("refuses", refuses)


def plain_sleeps(ctx: Any) -> None:
    ctx.step.sleep("nap", "1h")


PLAIN_CASES: list[tuple[Callable[[Any], Any], type[Any]]] = [
    (plain_returns, Completed),
    (plain_steps, Completed),
    (plain_raises, AttemptFailed),
    (plain_step_fails, Failed),
    (plain_sleeps, Suspended),
]


@pytest.mark.parametrize(("handler", "outcome"), PLAIN_CASES, ids=[handler.__name__ for handler, _ in PLAIN_CASES])
def test_a_turn_of_a_def_function_leaves_nothing_to_the_collector(
    handler: Callable[[Any], Any], outcome: type[Any]
) -> None:
    world = World(handler)
    assert run_virtual(left_behind(world)) == {}
    assert type(world.outcomes[-1]) is outcome
