"""A run that is dropped stops: its tasks are cancelled within a few turns, its threads are told; nothing more is recorded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from durableq.model.outcome import Abandoned
from tests.engine.virtual import run_virtual
from tests.engine.world import World

WAIT_S = 10.0


def dropped_when(world: World, begun: Callable[[], bool]) -> Any:
    """The turn's outcome, the run having been dropped once `begun`, and the turns of the loop until it had ended."""

    async def main() -> tuple[Any, int]:
        turn = asyncio.ensure_future(world.turn())
        while not begun():
            await asyncio.sleep(0)
        assert world.execution is not None
        world.execution.abandon("it was cancelled")
        turns = 0
        while not turn.done():
            await asyncio.sleep(0)
            turns += 1
        return await turn, turns

    return run_virtual(main())


@pytest.mark.parametrize("function_is", ["async def", "def"])
def test_an_async_body_in_hand_is_cancelled_at_once(function_is: str) -> None:
    begun: list[bool] = []
    ended: list[str] = []

    async def body() -> None:
        begun.append(True)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def asynchronous(ctx: Any) -> None:
        await ctx.step.run("long", body)

    def plain(ctx: Any) -> None:
        ctx.step.run("long", body)

    world = World(asynchronous if function_is == "async def" else plain)
    outcome, turns = dropped_when(world, lambda: bool(begun))
    assert outcome == Abandoned("it was cancelled")
    assert ended == ["cancelled"]
    assert world.calls == []
    if function_is == "async def":
        assert turns < 20


@pytest.mark.parametrize("where", ["the function's own thread", "a thread of parallel", "between two steps"])
def test_code_in_a_thread_sees_that_the_run_is_cancelled(where: str) -> None:
    began, ended = threading.Event(), threading.Event()
    seen: list[bool] = []

    def function(ctx: Any) -> None:
        def long() -> None:
            began.set()
            seen.append(ctx.cancelled.wait(WAIT_S))
            ended.set()

        if where == "the function's own thread":
            ctx.step.run("long", long)
        elif where == "a thread of parallel":
            ctx.parallel(lambda: ctx.step.run("long", long), lambda: ctx.step.sleep("nap", 60))
        else:
            long()

    outcome, _ = dropped_when(World(function), began.is_set)
    assert outcome == Abandoned("it was cancelled")
    assert ended.wait(WAIT_S)  # time is virtual, and the thread is not waited for
    assert seen == [True]


def test_a_plain_body_of_an_async_function_sees_it_too() -> None:
    began, ended = threading.Event(), threading.Event()
    seen: list[bool] = []

    async def function(ctx: Any) -> None:
        def long() -> None:
            began.set()
            seen.append(ctx.cancelled.wait(WAIT_S))
            ended.set()

        await ctx.step.run("long", long)

    outcome, _ = dropped_when(World(function), began.is_set)
    assert outcome == Abandoned("it was cancelled")
    assert ended.wait(WAIT_S)
    assert seen == [True]


def test_it_is_the_same_object_for_all_threads_and_unset_while_the_run_is_ours() -> None:
    def function(ctx: Any) -> Any:
        own = ctx.cancelled
        others = ctx.parallel(*[lambda: ctx.cancelled is own for _ in range(4)])
        return [own.is_set(), *others]

    assert World(function).finish() == [False, True, True, True, True]


def test_it_is_set_for_whoever_asks_only_after_the_run_was_dropped() -> None:
    began, dropped, ended = threading.Event(), threading.Event(), threading.Event()
    seen: list[bool] = []

    def function(ctx: Any) -> None:
        began.set()
        dropped.wait(WAIT_S)
        seen.append(ctx.cancelled.is_set())
        ended.set()

    world = World(function)

    async def main() -> None:
        turn = asyncio.ensure_future(world.turn())
        while not began.is_set():
            await asyncio.sleep(0)
        assert world.execution is not None
        world.execution.abandon()
        dropped.set()
        await turn

    run_virtual(main())
    assert ended.wait(WAIT_S)
    assert seen == [True]


def test_a_port_that_loses_the_run_sets_it_too() -> None:
    began, ended = threading.Event(), threading.Event()
    seen: list[bool] = []

    def function(ctx: Any) -> None:
        def long() -> None:
            began.set()
            seen.append(ctx.cancelled.wait(WAIT_S))
            ended.set()

        ctx.parallel(lambda: ctx.step.run("long", long), lambda: ctx.step.run("short", lambda: began.wait(WAIT_S)))

    world = World(function)

    async def main() -> Any:
        turn = asyncio.ensure_future(world.turn())
        while world.port is None:
            await asyncio.sleep(0)

        def lost(*_: Any) -> Any:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(ConnectionError("taken"))
            return future

        world.port.record = lost  # type: ignore[method-assign]
        return await turn

    assert run_virtual(main()) == Abandoned("ConnectionError: taken", ConnectionError)
    assert ended.wait(WAIT_S)
    assert seen == [True]


@pytest.mark.parametrize("verb", ["wait_for_event", "wait_for_signal", "invoke"])
def test_a_run_dropped_while_it_begins_to_wait_ends_at_once(verb: str) -> None:
    async def function(ctx: Any) -> None:
        await getattr(ctx.step, verb)("w", "name", timeout="1h")

    world = World(function)
    outcome, turns = dropped_when(world, lambda: world.calls_under_way() > 0)
    assert outcome == Abandoned("it was cancelled")
    assert turns < 20
