"""What a branch awaits is read from asyncio's own objects, whichever combinator made them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from durableq.engine.awaits import Awaits, awaits, where
from durableq.engine.branch import Branch
from durableq.engine.replay import Replay
from tests.engine.virtual import run_virtual
from tests.engine.world import World


def nap(ctx: Any, id: str = "nap") -> Any:
    return ctx.step.sleep(id, "1h")


async def group(ctx: Any) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(nap(ctx))
        tasks.create_task(nap(ctx, "b"))


async def completed(ctx: Any) -> None:
    for one in asyncio.as_completed([nap(ctx), nap(ctx, "b")]):
        await one


async def waited(ctx: Any) -> None:
    await asyncio.wait([asyncio.ensure_future(nap(ctx)), asyncio.ensure_future(nap(ctx, "b"))])


async def timed(ctx: Any) -> None:
    async with asyncio.timeout(9999):
        await asyncio.gather(nap(ctx), nap(ctx, "b"))


async def queue(ctx: Any) -> None:
    task = asyncio.ensure_future(nap(ctx))
    await asyncio.Queue[None]().get()
    await task


async def event(ctx: Any) -> None:
    task = asyncio.ensure_future(nap(ctx))
    await asyncio.Event().wait()
    await task


async def semaphore(ctx: Any) -> None:
    task = asyncio.ensure_future(nap(ctx))
    async with asyncio.Semaphore(0):
        await task


async def condition(ctx: Any) -> None:
    task = asyncio.ensure_future(nap(ctx))
    holder = asyncio.Condition()
    async with holder:
        await holder.wait()
    await task


async def own_future(ctx: Any) -> None:
    await asyncio.gather(nap(ctx), asyncio.get_running_loop().create_future())


async def in_a_thread(ctx: Any) -> None:
    await asyncio.gather(nap(ctx), asyncio.sleep(3600))


CASES: list[tuple[str, Callable[[Any], Any], Awaits]] = [
    ("gather", lambda ctx: asyncio.gather(nap(ctx), nap(ctx, "b")), Awaits.STEPS),
    (
        "gather of gathers",
        lambda ctx: asyncio.gather(asyncio.gather(nap(ctx)), asyncio.gather(nap(ctx, "b"))),
        Awaits.STEPS,
    ),
    ("TaskGroup", group, Awaits.STEPS),
    ("as_completed", completed, Awaits.STEPS),
    ("wait", waited, Awaits.STEPS),
    ("wait_for", lambda ctx: asyncio.wait_for(nap(ctx), 9999), Awaits.STEPS),
    ("wait_for without limit", lambda ctx: asyncio.wait_for(asyncio.ensure_future(nap(ctx)), None), Awaits.STEPS),
    ("timeout", timed, Awaits.STEPS),
    ("shield", lambda ctx: asyncio.shield(nap(ctx)), Awaits.STEPS),
    ("shield of gather", lambda ctx: asyncio.shield(asyncio.gather(nap(ctx), nap(ctx, "b"))), Awaits.STEPS),
    ("task", lambda ctx: asyncio.ensure_future(nap(ctx)), Awaits.STEPS),
    ("queue", queue, Awaits.SIBLINGS),
    ("event", event, Awaits.SIBLINGS),
    ("semaphore", semaphore, Awaits.SIBLINGS),
    ("condition", condition, Awaits.SIBLINGS),
    ("a future of the user's own", own_future, Awaits.FOREIGN),
    ("asyncio.sleep", in_a_thread, Awaits.FOREIGN),
]


@pytest.mark.parametrize(("wait", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_combinator_is_known(
    wait: Callable[[Any], Any], expected: Awaits, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def function(ctx: Any) -> None:
        await wait(ctx)

    found: list[Awaits] = []
    suspend = Replay.suspend

    def look(self: Replay) -> None:
        suspend(self)
        executing = self.current is not None  # it is the root that asks, alone, and what it awaits is ours
        found.append(Awaits.STEPS if executing else max(map(awaits, self.living_branches())))

    monkeypatch.setattr(Replay, "suspend", look)
    world = World(function)
    world.one_turn()
    assert found == [expected]


def test_the_place_is_in_the_users_code() -> None:
    async def inner() -> None:
        await asyncio.sleep(10)  # here

    async def main() -> str:
        coroutine = inner()
        coroutine.send(None)
        branch = Branch(SimpleNamespace(current=None, moves=0), coroutine)  # type: ignore[arg-type]
        place = where(branch)
        coroutine.close()
        return place

    line = next(
        number for number, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.endswith("# here")
    )
    assert run_virtual(main()) == f"{__file__}:{line}"
