"""Signals and invokes of runs in hand: taken or replaced, across apps, failed, cancelled, timed out, refused, out of room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

import durableq as dq
from durableq import App, Context, EventTrigger, SyncContext
from durableq.store.signals import NewSignal, Signals
from durableq.store.upkeep import Upkeep
from durableq.words import codec
from tests.servers import Server
from tests.services.hands import Hands

GO = "go"


@pytest_asyncio.fixture
async def hands(server: Server) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    await found.close()


async def signal(hands: Hands, name: str, data: Any = None) -> str:
    (reached,) = await Signals(hands.calls).send_signals([NewSignal(name, f"t-{name}", 60_000, codec.encode(data))])
    return reached


# --- signals


def approval(on_conflict: Any = "fail", timeout: Any = "1m") -> App:
    app = App("shop")

    @app.function("ask", triggers=[EventTrigger(GO)], retries=0)
    async def ask(ctx: Context) -> Any:
        try:
            got = await ctx.step.wait_for_signal("answer", "approve/1", timeout=timeout, on_conflict=on_conflict)
        except dq.StepError as error:
            return [error.name, error.matches(dq.SignalTaken)]
        return None if got is None else [got.name, got.data]

    return app


async def test_a_signal_reaches_the_run_that_waits_for_it_and_nobody_else(hands: Hands) -> None:
    await hands.begin(approval())
    async with hands.turning():
        assert await signal(hands, "approve/1") == ""
        await hands.send(GO)
        (run,) = await hands.asleep("shop/ask")
        assert await signal(hands, "approve/1", {"by": "Ann"}) == run.row.id
        assert await hands.results("shop/ask") == [["approve/1", {"by": "Ann"}]]


async def test_a_signal_without_data_is_no_timeout(hands: Hands) -> None:
    await hands.begin(approval(timeout=0.05), approval_in("other"))
    async with hands.turning():
        await hands.send("other")
        await hands.asleep("other/ask")
        await signal(hands, "approve/2")
        assert await hands.results("other/ask") == [["approve/2", None]]
        await hands.send(GO)
        assert await hands.results("shop/ask") == [None]


def approval_in(app_id: str) -> App:
    app = App(app_id)

    @app.function("ask", triggers=[EventTrigger(app_id)], retries=0)
    def ask(ctx: SyncContext) -> Any:
        got = ctx.step.wait_for_signal("answer", "approve/2", timeout="1m")
        return None if got is None else [got.name, got.data]

    return app


async def test_a_signal_that_is_taken_is_an_error_or_taken_over(hands: Hands) -> None:
    await hands.begin(approval("fail"))
    async with hands.turning():
        await hands.send(GO)
        (first,) = await hands.asleep("shop/ask")
        await hands.send(GO)
        assert await hands.results("shop/ask") == [["SignalTaken", True]]
        assert await signal(hands, "approve/1", 1) == first.row.id
        assert sorted(map(str, await hands.results("shop/ask", 2))) == ["['SignalTaken', True]", "['approve/1', 1]"]


async def test_who_takes_a_signal_over_has_it_and_the_other_times_out(hands: Hands) -> None:
    await hands.begin(approval("replace", timeout=0.4))
    async with hands.turning():
        await hands.send(GO)
        (first,) = await hands.asleep("shop/ask")
        await hands.send(GO)
        await hands.asleep("shop/ask", 2)
        reached = await signal(hands, "approve/1", "mine")
        assert reached not in ("", first.row.id)
        assert sorted(map(str, await hands.results("shop/ask", 2))) == ["None", "['approve/1', 'mine']"]


async def test_a_step_sends_a_signal_once_and_learns_whom_it_reached(hands: Hands) -> None:
    app = approval()

    @app.function("tell", triggers=[EventTrigger("tell")])
    async def tell(ctx: Context) -> list[Any]:
        return [await ctx.step.send_signal("a", "approve/1", {"n": 1}), await ctx.step.send_signal("b", "approve/1")]

    @app.function("tell-plainly", triggers=[EventTrigger("tell-plainly")])
    def tell_plainly(ctx: SyncContext) -> Any:
        return ctx.step.send_signal("a", "approve/1", {"n": 2})

    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO)
        (run,) = await hands.asleep("shop/ask")
        await hands.send("tell")
        assert await hands.results("shop/tell") == [[run.row.id, None]]
        await hands.send("tell-plainly")
        assert await hands.results("shop/tell-plainly") == [None]
        assert await hands.results("shop/ask") == [["approve/1", {"n": 1}]]


# --- invokes


def parent_of(function: str, *, timeout: Any = None, data: Any = None) -> App:
    app = App("shop")

    @app.function("parent", triggers=[EventTrigger(GO)], retries=0)
    async def parent(ctx: Context) -> Any:
        try:
            return ["result", await ctx.step.invoke("child", function, data=data, timeout=timeout)]
        except dq.StepError as error:
            cancelled, unknown = error.matches(dq.RunCancelled), error.matches(dq.FunctionNotFound)
            return [error.name, str(error), error.matches(LookupError), cancelled, unknown]
        except dq.InvokeTimeout as error:
            return ["InvokeTimeout", str(error)]

    return app


def children() -> App:
    app = App("billing")

    @app.function("double", triggers=[EventTrigger("never")])
    async def double(ctx: Context) -> Any:
        return {"got": ctx.event.data, "event": ctx.event.name, "id": ctx.event.id == ctx.run_id}

    @app.function("fails", triggers=[EventTrigger("never")], retries=0)
    async def fails(ctx: Context) -> None:
        raise KeyError("no such invoice")

    @app.function("waits", triggers=[EventTrigger("never")])
    async def waits(ctx: Context) -> Any:
        found = await ctx.step.wait_for_event("more", "more", timeout="1h")
        return None if found is None else found.data

    return app


async def test_a_child_of_another_app_answers_with_its_result(hands: Hands) -> None:
    await hands.begin(parent_of("billing/double", data={"n": 4}), children())
    async with hands.turning():
        await hands.send(GO)
        (result,) = await hands.results("shop/parent")
    assert result == ["result", {"got": {"n": 4}, "event": "durableq/function.invoked", "id": True}]
    ((parent,), (child,)) = await hands.runs("shop/parent"), await hands.runs("billing/double")
    assert child.row.parent.startswith(parent.row.id)


async def test_plain_functions_invoke_too_and_many_at_once(hands: Hands) -> None:
    app = App("shop")

    @app.function("square", triggers=[EventTrigger("never")])
    def square(ctx: SyncContext) -> int:
        n: int = ctx.event.data["n"]
        return n * n

    @app.function("parent", triggers=[EventTrigger(GO)])
    def parent(ctx: SyncContext) -> list[int]:
        def invoke(n: int) -> Any:
            return lambda: ctx.step.invoke(f"square-{n}", square, data={"n": n})

        return list(ctx.parallel(*(invoke(n) for n in range(6))))

    @app.function("gathering", triggers=[EventTrigger(GO)])
    async def gathering(ctx: Context) -> list[int]:
        return await asyncio.gather(*(ctx.step.invoke("square", square, data={"n": n}) for n in range(120)))

    await hands.begin(app)
    async with hands.turning():
        await hands.send(GO)
        assert await hands.results("shop/parent") == [[n * n for n in range(6)]]
        assert await hands.results("shop/gathering") == [[n * n for n in range(120)]]
    assert len(await hands.runs("shop/square")) == 126


async def test_a_child_s_failure_is_the_parent_s_to_catch(hands: Hands) -> None:
    await hands.begin(parent_of("billing/fails"), children())
    async with hands.turning():
        await hands.send(GO)
        ((name, text, matches, *_),) = await hands.results("shop/parent")
    assert (name, matches) == ("KeyError", True)
    assert "no such invoice" in text


async def test_a_child_that_is_cancelled_is_told_to_its_parent(hands: Hands) -> None:
    await hands.begin(parent_of("billing/waits"), children())
    async with hands.turning():
        await hands.send(GO)
        (child,) = await hands.asleep("billing/waits")
        await hands.cancel(child.row.id)
        ((name, _, _, cancelled, _),) = await hands.results("shop/parent")
    assert (name, cancelled) == ("RunCancelled", True)


async def test_a_child_that_takes_too_long_goes_on_by_itself(hands: Hands) -> None:
    await hands.begin(parent_of("billing/waits", timeout=0.1), children())
    async with hands.turning():
        await hands.send(GO)
        ((name, text),) = await hands.results("shop/parent")
        (child,) = await hands.asleep("billing/waits")
        assert (name, child.row.id in text) == ("InvokeTimeout", True)
        await hands.send("more", {"n": 1})
        assert await hands.results("billing/waits") == [{"n": 1}]


async def test_a_function_that_is_nowhere_is_said_to_be(hands: Hands) -> None:
    await hands.begin(parent_of("billing/absent"), children())
    async with hands.turning():
        await hands.send(GO)
        ((name, text, _, _, unknown),) = await hands.results("shop/parent")
    assert (name, unknown) == ("FunctionNotFound", True)
    assert "billing/absent" in text


async def test_invokes_wait_while_redis_is_full_and_hold_up_nothing_else(hands: Hands) -> None:
    app = parent_of("billing/double")

    @app.function("steps", triggers=[EventTrigger("steps")])
    async def steps(ctx: Context) -> int:
        return sum([await ctx.step.run("one", _one) for _ in range(20)])

    @app.function("gathering", triggers=[EventTrigger(GO)], retries=0)
    async def gathering(ctx: Context) -> Any:
        beside = asyncio.create_task(_of(ctx.step.run("beside", _one)))
        both = await asyncio.gather(
            *(ctx.step.invoke(f"c{n}", "billing/double", data={"n": n}) for n in range(3)), return_exceptions=True
        )
        return [await beside, len(both), [one["got"]["n"] for one in both]]

    await hands.begin(app, children())
    for worker in hands.workers:
        worker._beginnings.invoking._pause_s = 0.05
    await hands.send(GO)
    await hands.send("steps")
    await hands.workers[0]._router.route()
    await Upkeep(hands.calls).set_gate(0.99, False)
    async with hands.turning():
        assert await hands.results("shop/steps") == [20]
        await hands.until(lambda: len(hands.said("invoke.refused")) == 2, "both runs were told")
        (gathering_run,) = await hands.runs("shop/gathering")
        assert [memo.kind for memo in gathering_run.memos.values()] == ["d"], "the step beside is recorded"
        await Upkeep(hands.calls).set_gate(0.1, False)
        assert await hands.results("shop/gathering") == [[1, 3, [0, 1, 2]]]
        assert (await hands.results("shop/parent"))[0][0] == "result"
    assert len(hands.said("invoke.refused")) == 2, "once per run"
    assert not hands.said("commit.failed")
    assert {run.row.attempt for run in await hands.runs("shop/gathering")} == {0}


async def test_a_run_that_is_cancelled_while_its_invoke_waits_for_room_asks_no_more(hands: Hands) -> None:
    await hands.begin(parent_of("billing/double"), children())
    await hands.send(GO)
    await hands.workers[0]._router.route()
    await Upkeep(hands.calls).set_gate(0.99, False)
    async with hands.turning():
        await hands.until(lambda: hands.said("invoke.refused"), "the invoke was refused")
        (run,) = await hands.runs("shop/parent")
        assert asking() == 1
        await hands.cancel(run.row.id)
        await hands.until(lambda: not hands.workers[0].executions, "it is out of hand")
        await asyncio.sleep(0)  # it was told to end, and does in this turn
        assert asking() == 0
    assert not await hands.runs("billing/double")


def asking() -> int:
    """How many invokes are under way, or wait to be asked again in 5 s."""
    return sum("Invoking.begin" in repr(task) for task in asyncio.all_tasks())


async def _one() -> int:
    return 1


async def _of(step: Any) -> Any:
    return await step
