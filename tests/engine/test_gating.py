"""Bodies start in the order in which they were asked for, so many at once, and never before what is recorded was told."""

from __future__ import annotations

import asyncio
from typing import Any

from durableq.engine.environment import Environment
from durableq.model.outcome import Suspended
from tests.engine.virtual import run_virtual
from tests.engine.world import World


def test_no_more_bodies_of_a_run_execute_at_once_than_allowed() -> None:
    executing, most = [0], [0]

    async def body(i: int) -> int:
        executing[0] += 1
        most[0] = max(most[0], executing[0])
        await asyncio.sleep(1)
        executing[0] -= 1
        return i

    async def function(ctx: Any) -> Any:
        return await asyncio.gather(*[ctx.step.run(f"s{i}", body, i) for i in range(10)])

    assert World(function, environment=Environment(bodies_max=3)).finish() == list(range(10))
    assert most == [3]


def test_no_body_starts_while_a_recorded_result_is_asked_for_and_not_told() -> None:
    executed = []

    async def quick() -> None: ...

    async def slow() -> None:
        executed.append(1)
        await asyncio.sleep(100)

    async def function(ctx: Any) -> str:
        # The loser of the race stands first, so it is asked for first.
        loser = asyncio.ensure_future(ctx.step.run("loser", slow))
        winner = asyncio.ensure_future(ctx.step.run("winner", quick))
        await asyncio.wait([loser, winner], return_when=asyncio.FIRST_COMPLETED)
        loser.cancel()
        return "done"

    world = World(function, crash_after=0)

    async def main() -> None:
        await world.turn()  # dies when the winner is recorded, before the loser is abandoned
        executed.clear()
        assert await world.finish_on_loop() == "done"

    run_virtual(main())
    assert executed == []


def test_results_recorded_together_are_told_one_at_a_time() -> None:
    """Two results come with one reply; the code must be at rest between them, as it will be in a replay."""
    told = []

    async def quick() -> None: ...

    async def function(ctx: Any) -> str:
        async def chain(name: str) -> None:
            await ctx.step.run(name, quick)
            told.append(f"{name} begins")
            for _ in range(2):
                await asyncio.gather(asyncio.gather(asyncio.sleep(0)))
            told.append(f"{name} rests")
            await ctx.step.sleep(f"{name} nap", "1h")

        await asyncio.gather(chain("a"), chain("b"))
        return "done"

    world = World(function)

    async def main() -> None:
        assert await world.turn() == Suspended()
        live = list(told)
        told.clear()
        await world.turn()
        assert told == live == ["a begins", "a rests", "b begins", "b rests"]

    run_virtual(main())


def test_nested_gathers_settle_before_the_next_result_is_told() -> None:
    """The end of a branch passes through four gathers before anybody notices: six quiet turns are enough."""
    told = []

    async def quick(i: int) -> int:
        return i

    async def function(ctx: Any) -> str:
        async def one(i: int) -> None:
            await ctx.step.run(f"s{i}", quick, i)

        async def watcher(i: int) -> None:
            future: Any = one(i)
            for _ in range(4):
                future = asyncio.gather(future)
            await future
            told.append(i)
            await ctx.step.run(f"after {i}", quick, i)

        await asyncio.gather(*map(watcher, range(4)))
        return "done"

    world = World(function)
    world.finish()
    live = list(told)
    told.clear()
    world.finish()
    assert told == live
    afters = [world.memo(f"after {i}").number for i in live]
    assert afters == sorted(afters)
