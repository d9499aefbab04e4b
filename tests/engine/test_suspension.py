"""A run is suspended when nothing of it can go on without a wake-up; not sooner, and no wake-up is lost."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from durableq.engine.records import Sleep
from durableq.model.memo import Memo, MemoKind
from durableq.model.outcome import Abandoned, Completed, Suspended
from durableq.words.ids import step_key
from tests.engine.virtual import START_S, run_virtual
from tests.engine.world import StorePort, World


async def nothing() -> None: ...


def now_s() -> float:
    return asyncio.get_running_loop().time() - START_S


def test_a_wait_in_the_root_suspends_at_once_with_one_call() -> None:
    async def function(ctx: Any) -> None:
        await ctx.step.sleep("nap", "1h")

    world = World(function)
    assert world.one_turn() == Suspended()
    assert world.calls == [("suspend", [(step_key("nap", 0), MemoKind.SLEEPING)])]


def test_waits_beside_each_other_suspend_together() -> None:
    async def function(ctx: Any) -> None:
        await asyncio.gather(*[ctx.step.sleep(f"nap {i}", "1h") for i in range(3)])

    world = World(function)
    assert world.one_turn() == Suspended()
    assert [len(call[1]) for call in world.calls] == [3]


def test_a_wait_beside_a_body_is_recorded_at_once_and_fires_in_hand() -> None:
    async def slow() -> float:
        await asyncio.sleep(30)
        return now_s()

    async def function(ctx: Any) -> Any:
        async def nap() -> float:
            await ctx.step.sleep("nap", 10)
            return now_s()

        return await asyncio.gather(nap(), ctx.step.run("slow", slow))

    world = World(function)
    napped, slow_done = world.finish()
    assert world.executions == 1
    assert 10 <= napped < 10.1
    assert slow_done == pytest.approx(30, abs=0.01)
    assert [call[0] for call in world.calls] == ["wait", "fire", "record"]


def test_the_servers_clock_may_say_not_yet() -> None:
    async def slow() -> None:
        await asyncio.sleep(30)

    async def function(ctx: Any) -> Any:
        async def nap() -> float:
            await ctx.step.sleep("nap", 10)
            return now_s()

        return (await asyncio.gather(nap(), ctx.step.run("slow", slow)))[0]

    world = World(function)

    async def main() -> Any:
        turn = asyncio.ensure_future(world.turn())
        await asyncio.sleep(5)
        world.waits[step_key("nap", 0)] += 3_000
        return await turn

    outcome = run_virtual(main())
    assert isinstance(outcome, Completed)
    assert [call[0] for call in world.calls] == ["wait", "fire", "fire", "record"]
    assert world.memo("nap").at_ms >= (START_S + 13) * 1000


def test_a_newer_result_keeps_a_run_that_wanted_to_suspend_in_hand() -> None:
    async def function(ctx: Any) -> str:
        await ctx.step.sleep("nap", "1h")
        return "woken"

    world = World(function)
    assert world.one_turn() == Suspended()
    due = world.waits

    async def main() -> Any:
        # The holder's clock is behind: to it the nap is not over when a scheduler has ended it already.
        def scheduler() -> None:
            for key in list(due):
                del due[key]
                world.number(key, MemoKind.WOKEN, world.memos[key].blob)

        world.before_suspend = scheduler
        return await world.turn()

    assert isinstance(run_virtual(main()), Completed)
    assert world.executions == 2


def test_news_from_outside_wake_a_run_in_hand() -> None:
    async def slow() -> None:
        await asyncio.sleep(100)

    async def function(ctx: Any) -> float:
        async def nap() -> float:
            await ctx.step.sleep("nap", 50)
            return now_s()

        return float((await asyncio.gather(nap(), ctx.step.run("slow", slow)))[0])

    world = World(function)

    async def main() -> Any:
        turn = asyncio.ensure_future(world.turn())
        await asyncio.sleep(20)
        key = step_key("nap", 0)
        memo = world.number(key, MemoKind.WOKEN, world.memos[key].blob)
        assert world.execution is not None
        world.execution.deliver([(key, memo)])
        world.execution.deliver([(key, memo)])
        return await turn

    assert run_virtual(main()) is not None
    assert world.outcomes == [Completed(world.outcomes[0].blob)]  # type: ignore[union-attr]
    assert [call[0] for call in world.calls] == ["wait", "record"]


def test_a_retry_that_a_scheduler_ended_starts_at_once() -> None:
    tried = []

    async def flaky() -> str:
        tried.append(now_s())
        if len(tried) == 1:
            raise ValueError
        return "done"

    async def slow() -> None:
        await asyncio.sleep(100)

    async def function(ctx: Any) -> Any:
        return await asyncio.gather(ctx.step.run("flaky", flaky), ctx.step.run("slow", slow))

    world = World(function)

    async def main() -> Any:
        turn = asyncio.ensure_future(world.turn())
        await asyncio.sleep(4)
        key = step_key("flaky", 0)
        world.waits.clear()
        memo = world.number(key, MemoKind.RETRYING, world.memos[key].blob)
        assert world.execution is not None
        world.execution.deliver([(key, memo)])
        return await turn

    run_virtual(main())
    assert tried == pytest.approx([0, 4], abs=0.01)
    assert world.memo("flaky").number == 2


class TestForeignAwaits:
    def test_code_that_awaits_something_else_gets_a_linger_and_a_warning(self) -> None:
        async def call_an_api() -> str:
            await asyncio.sleep(3)
            return "answer"

        async def function(ctx: Any) -> Any:
            return (await asyncio.gather(ctx.step.sleep("nap", "1h"), call_an_api()))[1]

        world = World(function)

        async def main() -> Any:
            outcome = await world.turn()
            return outcome, now_s()

        outcome, ended_s = run_virtual(main())
        assert outcome == Suspended()
        assert ended_s == pytest.approx(3, abs=0.1)
        [line] = [fields for _, event, fields in world.log.lines if event == "awaiting something that is no step"]
        assert "call_an_api" in line["task"]
        assert "test_suspension.py:" in line["at"]

    def test_the_linger_is_bounded(self) -> None:
        async def forever() -> None:
            while True:
                await asyncio.sleep(1)

        async def function(ctx: Any) -> Any:
            await asyncio.gather(ctx.step.sleep("nap", "1h"), forever())

        world = World(function)

        async def main() -> float:
            assert await world.turn() == Suspended()
            return now_s()

        assert run_virtual(main()) == pytest.approx(10, abs=1)

    def test_a_branch_that_spins_does_not_hold_up_the_others(self) -> None:
        async def spin() -> None:
            while True:
                await asyncio.sleep(0)

        async def function(ctx: Any) -> str:
            task = asyncio.ensure_future(spin())
            await asyncio.gather(ctx.step.run("a", nothing), ctx.step.run("b", nothing))
            task.cancel()
            return "done"

        assert World(function).finish() == "done"

    def test_a_lock_that_a_sibling_holds_is_no_reason_to_warn(self) -> None:
        async def function(ctx: Any) -> str:
            lock = asyncio.Lock()

            async def one(i: int) -> None:
                async with lock:
                    await ctx.step.sleep(f"nap {i}", "1h")

            await asyncio.gather(one(1), one(2), one(3))
            return "done"

        world = World(function)
        assert world.finish() == "done"
        assert world.log.events() == []

    def test_a_timeout_around_a_durable_wait_is_warned_about_once(self) -> None:
        async def function(ctx: Any) -> str:
            async with asyncio.timeout(7200):
                await ctx.step.sleep("nap", "1h")
                await ctx.step.sleep("nap", "1h")
            return "done"

        world = World(function)
        assert world.finish() == "done"
        [line] = [fields for _, event, fields in world.log.lines if event == "timeout around a durable wait"]
        assert "timeout=" in line["hint"]

    @pytest.mark.parametrize("how", ["wait_for", "group"])
    def test_so_is_one_around_a_branch(self, how: str) -> None:
        async def function(ctx: Any) -> None:
            if how == "wait_for":
                await asyncio.wait_for(ctx.step.sleep("nap", "1h"), 7200)
            else:
                async with asyncio.timeout(7200), asyncio.TaskGroup() as group:
                    group.create_task(ctx.step.sleep("nap", "1h"))

        world = World(function)
        world.finish()
        assert world.log.events() == ["timeout around a durable wait"]


class TestLeaving:
    def test_finally_blocks_run_and_their_steps_are_refused_quietly(self) -> None:
        ran, executed = [], []

        async def clean() -> None:
            executed.append(1)

        async def function(ctx: Any) -> str:
            try:
                await ctx.step.sleep("nap", "1h")
            finally:
                ran.append("before")
                await ctx.step.run("clean", clean)
                ran.append("after")
            return "done"

        world = World(function)
        assert world.finish() == "done"
        assert ran == ["before", "before", "after"]
        assert len(executed) == 1
        assert world.log.events() == []

    def test_nothing_is_raised_that_user_code_could_swallow(self) -> None:
        async def function(ctx: Any) -> Any:
            return await asyncio.gather(ctx.step.sleep("a", "1h"), ctx.step.sleep("b", "2h"), return_exceptions=True)

        assert World(function).finish() == [None, None]

    def test_what_is_returned_or_raised_while_leaving_is_ignored(self) -> None:
        async def function(ctx: Any) -> Any:
            try:
                await ctx.step.sleep("nap", "1h")
            except BaseException:
                if ctx.now().timestamp() < START_S + 60:
                    return "swallowed"
                raise ValueError from None
            return "done"

        assert World(function).finish() == "done"

    def test_a_loop_that_swallows_everything_is_given_up_on(self) -> None:
        over: list[int] = []

        async def function(ctx: Any) -> Any:
            while not over:
                try:
                    await ctx.step.sleep("nap", "1h")
                    break
                except BaseException:
                    continue

        world = World(function)

        async def main() -> Any:
            first = await world.turn()
            over.append(1)
            return first, now_s()

        outcome, ended_s = run_virtual(main())
        assert outcome == Suspended()
        assert ended_s <= 5.1

    def test_a_slow_finally_is_waited_for_at_most_five_seconds(self) -> None:
        async def function(ctx: Any) -> Any:
            try:
                await ctx.step.sleep("nap", "1h")
            finally:
                await asyncio.sleep(60)

        world = World(function)

        async def main() -> Any:
            return await world.turn(), now_s()

        outcome, ended_s = run_virtual(main())
        assert outcome == Suspended()
        assert ended_s == pytest.approx(5, abs=0.1)

    def test_a_function_that_returns_with_branches_pending_ends_the_run(self) -> None:
        cancelled = []

        async def slow() -> None:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        async def function(ctx: Any) -> str:
            tasks = [
                asyncio.ensure_future(ctx.step.run("slow", slow)),
                asyncio.ensure_future(ctx.step.sleep("nap", "1h")),
            ]
            await ctx.step.run("quick", nothing)
            return f"done {len(tasks)}"

        world = World(function)
        assert isinstance(world.one_turn(), Completed)
        assert cancelled == [1]
        assert step_key("slow", 0) not in world.memos

    def test_a_branch_that_has_failed_unheard_is_no_noise_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        async def function(ctx: Any) -> None:
            async def bad() -> None:
                await ctx.step.run("quick", nothing)
                raise ValueError

            await asyncio.wait([asyncio.ensure_future(bad()), asyncio.ensure_future(ctx.step.sleep("nap", "1h"))])

        assert World(function).one_turn() == Suspended()
        gc.collect()
        assert caplog.records == []

    def test_abandoning_stops_bodies_and_records_nothing_more(self) -> None:
        cancelled = []

        async def slow() -> None:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        async def function(ctx: Any) -> None:
            await ctx.step.run("slow", slow)

        world = World(function)

        async def main() -> Any:
            turn = asyncio.ensure_future(world.turn())
            await asyncio.sleep(1)
            assert world.execution is not None
            assert world.execution.executing == ["slow"]
            world.execution.abandon("lease lost")
            return await turn

        assert run_virtual(main()) == Abandoned("lease lost")
        assert cancelled == [1]
        assert world.calls == []

    @pytest.mark.parametrize("beside", [False, True])
    def test_a_port_that_fails_has_lost_the_run(self, beside: bool) -> None:
        async def function(ctx: Any) -> None:
            steps = [ctx.step.run(f"s{i}", nothing) for i in range(2)]
            if beside:
                await asyncio.gather(*steps)
            else:
                for step in steps:
                    await step

        world = World(function)

        async def main() -> Any:
            turn = asyncio.ensure_future(world.turn())
            await asyncio.sleep(0)

            def stale(*_: Any) -> Any:
                future = asyncio.get_running_loop().create_future()
                future.set_exception(RuntimeError("STALE"))
                return future

            assert world.port is not None
            world.port.record = stale  # type: ignore[method-assign, assignment]
            return await turn

        assert run_virtual(main()) == Abandoned("RuntimeError: STALE", RuntimeError)


def test_what_the_port_starts_is_no_branch_of_the_run() -> None:
    flushed = []

    async def function(ctx: Any) -> str:
        await asyncio.gather(ctx.step.run("a", nothing), ctx.step.run("b", nothing))
        await ctx.step.run("c", nothing)
        return "done"

    world = World(function)

    async def main() -> Any:
        turn = asyncio.ensure_future(world.turn())
        await asyncio.sleep(0)
        assert world.port is not None
        record = world.port.record

        async def flush() -> None:
            await asyncio.sleep(60)
            flushed.append(1)

        tasks = []

        def recording(*args: Any) -> Any:
            tasks.append(asyncio.ensure_future(flush()))
            asyncio.get_running_loop().call_soon(lambda: tasks.append(asyncio.ensure_future(flush())))
            return record(*args)

        world.port.record = recording  # type: ignore[method-assign, assignment]
        outcome = await turn
        await asyncio.gather(*tasks)
        return outcome

    assert isinstance(run_virtual(main()), Completed)
    assert len(flushed) == 6


def test_a_reply_is_taken_in_when_user_code_has_cancelled_the_step_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    async def function(ctx: Any) -> str:
        try:
            async with asyncio.timeout(1):
                await ctx.step.run("x", nothing)
        except TimeoutError:
            timed_out.append(1)
        await ctx.step.sleep("nap", 60)
        return "done"

    timed_out: list[int] = []
    world = World(function, seed=1)
    monkeypatch.setattr(world.random, "uniform", lambda _low, _high: 2.0)
    seen: list[int] = []

    def note() -> None:
        assert world.execution is not None
        seen.append(world.execution.seen)

    world.before_suspend = note
    assert world.one_turn() == Suspended()
    assert (timed_out, seen) == ([1], [1])


@pytest.mark.parametrize("blocking", [False, True])
def test_a_refusal_to_suspend_without_news_gives_the_run_up(blocking: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def function(ctx: Any) -> None:
        await ctx.step.sleep("nap", 60)

    def plain(ctx: Any) -> None:
        ctx.step.sleep("nap", 60)

    async def refuse(_port: StorePort, _seen: int, _waits: Any) -> Any:
        return []

    monkeypatch.setattr(StorePort, "suspend", refuse)
    outcome = World(plain if blocking else function).one_turn()
    assert outcome == Abandoned("the run has a result above 0 that nothing can tell")


@pytest.mark.parametrize("second", [2, 3])
def test_a_result_that_came_between_the_claim_and_the_reading_is_told(second: int) -> None:
    async def function(ctx: Any) -> str:
        await asyncio.gather(ctx.step.sleep("a", 1), ctx.step.sleep("b", 1))
        return "done"

    world = World(function)
    for number, step_id in ((1, "a"), (second, "b")):
        blob = Sleep("sleep", step_id, 1).encode()
        world.memos[step_key(step_id, 0)] = Memo(number, number, MemoKind.WOKEN, blob)
    world.sequence = 1
    assert isinstance(world.one_turn(), Completed)
    assert world.calls == []
