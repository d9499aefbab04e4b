"""A step that user code cancels is recorded as abandoned: neither executed nor told again, and cancelled again in a replay."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durableq.model.memo import MemoKind
from durableq.model.outcome import Failed, Suspended
from durableq.words.errors import NonRetriableError
from durableq.words.ids import step_key
from tests.engine.virtual import START_S, run_virtual
from tests.engine.world import World


async def nothing() -> None: ...


async def fatal() -> None:
    raise NonRetriableError("no")


def now_s() -> float:
    return asyncio.get_running_loop().time() - START_S


def test_a_task_groups_sibling_is_abandoned_and_not_executed_again() -> None:
    executed = []

    async def slow() -> None:
        executed.append(1)
        await asyncio.sleep(100)

    async def function(ctx: Any) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.run("slow", slow))
                group.create_task(ctx.step.run("fatal", fatal))
        except ExceptionGroup:
            await ctx.step.sleep("nap", "1h")
            return "compensated"
        return "done"

    world = World(function)
    assert world.finish() == "compensated"
    assert len(executed) == 1
    assert world.memo("slow").kind is MemoKind.ABANDONED
    assert world.memo("slow").number == 2


def test_a_sleep_that_loses_a_race_wakes_nobody() -> None:
    async def slow() -> None:
        await asyncio.sleep(1)

    async def function(ctx: Any) -> str:
        tasks = [asyncio.ensure_future(step) for step in (ctx.step.sleep("nap", "3d"), ctx.step.run("slow", slow))]
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await ctx.step.sleep("other", 60)
        return "done"

    world = World(function)
    assert world.finish() == "done"
    assert world.memo("nap").kind is MemoKind.ABANDONED
    assert step_key("nap", 0) not in world.waits


def test_a_step_that_had_not_begun_is_not_recorded() -> None:
    async def function(ctx: Any) -> str:
        task = asyncio.ensure_future(ctx.step.run("never", nothing))
        await asyncio.sleep(0)
        task.cancel()
        await ctx.step.run("x", nothing)
        return "done"

    world = World(function)
    assert world.finish() == "done"
    assert step_key("never", 0) not in world.memos


def test_in_a_replay_it_stays_pending_until_its_timeout_cancels_it_again() -> None:
    executed = []

    async def slow() -> None:
        executed.append(1)
        await asyncio.sleep(100)

    async def function(ctx: Any) -> float:
        began_s = now_s()
        try:
            async with asyncio.timeout(7):
                await ctx.step.run("slow", slow)
        except TimeoutError:
            took_s = now_s() - began_s
            await ctx.step.sleep("nap", 60)
            return took_s
        return 0.0

    assert World(function).finish() == pytest.approx(7, abs=0.1)
    assert len(executed) == 1


def test_code_that_no_longer_cancels_it_is_told_so_and_does_not_hang() -> None:
    version = [1]

    async def slow() -> None:
        await asyncio.sleep(100)

    async def function(ctx: Any) -> None:
        if version[0] == 1:
            try:
                async with asyncio.timeout(7):
                    await ctx.step.run("slow", slow)
            except TimeoutError:
                await ctx.step.sleep("nap", 60)
        else:
            await ctx.step.run("slow", slow)

    world = World(function)

    async def main() -> Any:
        assert await world.turn() == Suspended()
        version[0] = 2
        return await world.turn()

    assert isinstance(run_virtual(main()), Failed)
    assert world.failure.name == "StepAbandoned"


def test_a_result_that_was_on_its_way_is_recorded_all_the_same() -> None:
    async def function(ctx: Any) -> str:
        task = asyncio.ensure_future(ctx.step.run("x", nothing))
        while not world.calls_under_way():
            await asyncio.sleep(0)
        task.cancel()
        await ctx.step.run("y", nothing)
        return "done"

    world = World(function, seed=1)
    assert world.finish() == "done"
    assert world.memo("x").kind is MemoKind.DATA
