"""Which event a wait begins behind: the last of its name in code that follows one another; its own beside others."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from durableq.model.event import Event
from tests.engine.world import World
from tests.engine.written import beside, both, function_of


def world_of(handler: Any, kinds: str, **options: Any) -> World:
    """A world in which events of these kinds arrive, one each ms."""
    world = World(handler, **options)
    world.plan = [(n, partial(world.outside.arrive, "a/b", {"kind": kind, "n": n})) for n, kind in enumerate(kinds)]
    return world


def of_kind(ctx: Any, kind: str, id: str, timeout: str = "1h") -> Any:
    if_ = None if kind == "any" else f"async.data.kind == '{kind}'"
    return ctx.step.wait_for_event(id, "a/b", timeout=timeout, if_=if_)


def number_of(event: Any) -> Any:
    return event and event.data["n"]


@both
def test_waits_that_follow_each_other_never_go_back_whatever_their_conditions(written: str) -> None:
    def script(ctx: Any) -> Any:
        opened = yield of_kind(ctx, "o", "opened")
        closed = yield of_kind(ctx, "c", "closed")
        again = yield of_kind(ctx, "o", "again")
        other = yield of_kind(ctx, "any", "other")
        return [number_of(event) for event in (opened, closed, again, other)]

    # The second `o` came before the `c`: who waits for `o` after it means a later one.
    assert world_of(function_of(written, script), "oocxox").finish() == [0, 2, 4, 5]


def test_so_do_waits_that_are_raced_each_in_a_task_of_its_own() -> None:
    async def function(ctx: Any) -> Any:
        had = []
        for n, kind in enumerate("oco"):
            tasks = [
                asyncio.ensure_future(of_kind(ctx, kind, f"{kind}{n}")),
                asyncio.ensure_future(ctx.step.sleep(f"late {n}", "1d")),
            ]
            _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            had.append(number_of(tasks[0].result()))
        return had

    assert world_of(function, "oocxo").finish() == [0, 2, 4]


@both
def test_loops_beside_each_other_each_have_all_of_their_own(written: str) -> None:
    def loop(ctx: Any, kind: str, pause: str) -> Any:
        had = []
        for n in range(3):
            had.append(number_of((yield of_kind(ctx, kind, f"{kind}{n}"))))
            yield ctx.step.sleep(f"{kind} pause {n}", pause)
        return had

    def script(ctx: Any) -> Any:
        branches = [partial(function_of(written, partial(loop, kind=kind, pause=pause)), ctx) for kind, pause in LOOPS]
        return list((yield beside(ctx, *branches)))

    # One is far ahead of the other whenever it looks.
    assert world_of(function_of(written, script), "abaabb").finish() == [[0, 2, 3], [1, 4, 5]]


LOOPS = (("a", "1ms"), ("b", "10m"))


@both
def test_branches_that_are_started_again_and_again_go_on_where_the_last_one_under_that_condition_was(
    written: str,
) -> None:
    def script(ctx: Any) -> Any:
        had: dict[str, list[int]] = {"a": [], "b": []}
        for n in range(3):
            pair = yield beside(ctx, *[partial(of_kind, ctx, kind, f"{kind}{n}") for kind in "ab"])
            for kind, event in zip("ab", pair, strict=True):
                had[kind].append(number_of(event))
        return had

    assert world_of(function_of(written, script), "aaabbb").finish() == {"a": [0, 1, 2], "b": [3, 4, 5]}


@both
def test_what_follows_branches_is_behind_the_furthest_of_them_under_another_condition(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield beside(ctx, *[partial(of_kind, ctx, kind, kind) for kind in "ab"])
        return number_of((yield of_kind(ctx, "any", "next")))

    assert world_of(function_of(written, script), "axbyz").finish() == 3


@both
def test_a_branch_knows_what_its_starter_had_before_it_and_not_what_others_had_since(written: str) -> None:
    def late(ctx: Any) -> Any:
        yield ctx.step.sleep("late", "10m")
        return number_of((yield of_kind(ctx, "x", "x")))

    def script(ctx: Any) -> Any:
        first = yield of_kind(ctx, "any", "first")
        both = yield beside(ctx, partial(of_kind, ctx, "b", "b"), partial(function_of(written, late), ctx))
        return [number_of(first), number_of(both[0]), both[1]]

    # Not the first `x`, which is what the function had; but the one that came before the other branch's `b`.
    assert world_of(function_of(written, script), "xaxbx").finish() == [0, 3, 2]


def test_a_branch_that_was_cancelled_hands_on_what_it_had() -> None:
    async def function(ctx: Any) -> Any:
        had = []

        async def listen() -> None:
            while True:
                had.append(number_of(await of_kind(ctx, "any", "next", timeout="2d")))

        listening = asyncio.ensure_future(listen())
        await ctx.step.sleep("a while", "1h")
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        had.append(number_of(await of_kind(ctx, "any", "after", timeout="1h")))
        return had

    world = world_of(function, "abc")
    world.plan.append((2 * 3_600_000 - 60_000, partial(world.outside.arrive, "a/b", {"kind": "d", "n": 3})))
    assert world.finish() == [0, 1, 2, 3]


@pytest.mark.parametrize("crash_after", range(0, 12, 2))
@both
def test_a_crash_changes_nothing_of_it(written: str, crash_after: int) -> None:
    def loop(ctx: Any, kind: str, pause: str) -> Any:
        had = []
        for n in range(3):
            had.append(number_of((yield of_kind(ctx, kind, f"{kind}{n}"))))
            yield ctx.step.sleep(f"{kind} pause {n}", pause)
        return had

    def script(ctx: Any) -> Any:
        branches = [partial(function_of(written, partial(loop, kind=kind, pause=pause)), ctx) for kind, pause in LOOPS]
        had = yield beside(ctx, *branches)
        return [*had, number_of((yield of_kind(ctx, "any", "last", timeout="1d")))]

    world = world_of(function_of(written, script), "abaabbz", crash_after=crash_after)
    assert world.finish() == [[0, 2, 3], [1, 4, 5], 6]


def test_the_furthest_is_by_place_in_the_stream_not_by_its_text() -> None:
    async def function(ctx: Any) -> Any:
        await asyncio.gather(*[of_kind(ctx, kind, kind) for kind in "ab"])
        return number_of(await of_kind(ctx, "any", "next"))

    world = World(function)
    for n, kind in enumerate("xxxxxxxxxaby"):
        world.outside.log.append((f"5-{n}", Event("a/b", {"kind": kind, "n": n}, id=str(n))))
    assert world.finish() == 11
