"""The mistakes a newcomer makes in a function: each message says what to do."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from durableq import Context, SyncContext
from durableq.model.outcome import AttemptFailed, Failed
from tests.engine.world import World


async def value() -> dict[str, int]:
    return {"a": 1}


async def returns_a_socket(ctx: Context) -> None:
    with socket.socket() as opened:
        await ctx.step.run("connect", lambda: opened)


async def a_step_inside_a_step(ctx: Context) -> None:
    async def outer() -> None:
        await ctx.step.run("inner", value)

    await ctx.step.run("outer", outer)


async def runs_a_loop_of_its_own(ctx: Context) -> Any:
    coroutine = value()
    try:
        return asyncio.run(coroutine)
    finally:
        coroutine.close()


async def drives_the_loop(ctx: Context) -> Any:
    coroutine = value()
    try:
        return asyncio.get_running_loop().run_until_complete(coroutine)
    finally:
        coroutine.close()


async def uses_what_it_did_not_await(ctx: Context) -> Any:
    return ctx.step.run("load", value)["a"]  # type: ignore[index]


async def asks_what_it_did_not_await(ctx: Context) -> Any:
    return ctx.step.run("load", value).get("a")  # type: ignore[attr-defined]


async def counts_what_it_did_not_await(ctx: Context) -> Any:
    return len(ctx.step.run("load", value))  # type: ignore[arg-type]


async def returns_what_it_did_not_await(ctx: Context) -> Any:
    return ctx.step.run("load", value)


async def hands_on_what_it_did_not_await(ctx: Context) -> Any:
    order = ctx.step.run("load", value)
    return await ctx.step.run("print", lambda given: given, order)


async def awaits_a_plain_value(ctx: Context) -> Any:
    return await ctx.now()  # type: ignore[misc]


async def calls_the_body_itself(ctx: Context) -> Any:
    coroutine = value()
    return await ctx.step.run("load", coroutine)  # type: ignore[call-overload]


async def gives_a_sleep_no_id(ctx: Context) -> Any:
    await ctx.step.sleep("5m")  # type: ignore[call-arg]


async def gives_the_body_the_steps_options(ctx: Context) -> Any:
    return await ctx.step.run("load", value, retries=3)  # type: ignore[call-overload]


async def asks_the_context_for_a_step(ctx: Context) -> Any:
    return await ctx.run("load", value)  # type: ignore[attr-defined]


async def asks_the_context_for_the_data(ctx: Context) -> Any:
    return ctx.data["order_id"]  # type: ignore[attr-defined]


async def takes_the_event_for_a_dict(ctx: Context) -> Any:
    return ctx.event["data"]  # type: ignore[index]


async def forgets_how_long_to_wait(ctx: Context) -> Any:
    return await ctx.step.wait_for_event("paid", "order/paid")  # type: ignore[call-arg]


async def gives_the_time_by_its_place(ctx: Context) -> Any:
    return await ctx.step.wait_for_signal("signed", "contract", "3d")  # type: ignore[call-arg]


async def gives_the_data_by_its_place(ctx: Context) -> Any:
    return await ctx.step.invoke("child", "shop/child", {"a": 1})  # type: ignore[call-overload]


async def gives_an_invoke_retries(ctx: Context) -> Any:
    return await ctx.step.invoke("child", "shop/child", retries=3)  # type: ignore[call-overload]


async def gives_a_wait_a_type(ctx: Context) -> Any:
    return await ctx.step.wait_for_event("paid", "order/paid", timeout=1, output_type=dict)  # type: ignore[call-arg]


async def asks_the_context_to_invoke(ctx: Context) -> Any:
    return await ctx.invoke("child", "shop/child")  # type: ignore[attr-defined]


async def reads_what_did_not_come(ctx: Context) -> Any:
    came = None
    return came.data  # type: ignore[attr-defined]


def gives_parallel_results(ctx: SyncContext) -> Any:
    return ctx.parallel(ctx.step.run("load", value))  # type: ignore[call-overload]


async def forgets_the_id(ctx: Context) -> Any:
    return await ctx.step.run(value)  # type: ignore[call-overload]


def runs_a_step_as_a_coroutine(ctx: SyncContext) -> Any:
    return asyncio.run(ctx.step.run("load", value))  # type: ignore[arg-type]


SAID = [
    (returns_a_socket, "'connect' is of type socket and cannot be stored: it lives in this process only, so open it inside"),
    (a_step_inside_a_step, "'inner' is called inside step 'outer': .* Call it from the function, after that step or beside it"),
    (runs_a_loop_of_its_own, "executed inside a running loop: write `await` instead"),
    (drives_the_loop, "executed inside a running loop: write `await` instead"),
    (uses_what_it_did_not_await, "an `await` is missing before the call"),
    (asks_what_it_did_not_await, "an `await` is missing before the call"),
    (counts_what_it_did_not_await, "an `await` is missing before the call"),
    (returns_what_it_did_not_await, "of type coroutine and cannot be stored: await it"),
    (hands_on_what_it_did_not_await, "if it was handed in, its `await` is missing"),
    (awaits_a_plain_value, "leave out the `await`"),
    (calls_the_body_itself, "pass the function and its arguments, not its call"),
    (forgets_the_id, r"a step has an id, a function and its arguments: ctx\.step\.run\('load-order'"),
    (gives_a_sleep_no_id, r"a sleep has an id and a length: ctx\.step\.sleep\('grace-period', '5m'\)"),
    (gives_the_body_the_steps_options, r"meant for the step, write ctx\.step\.options\(retries=…\)\.run"),
    (asks_the_context_for_a_step, r"the verbs are on the step: ctx\.step\.run\(…\)"),
    (asks_the_context_for_the_data, r"it belongs to the event: ctx\.event\.data"),
    (takes_the_event_for_a_dict, r"an event has fields: ctx\.event\.data\['order_id'\]"),
    (forgets_how_long_to_wait, r"its timeout by name: ctx\.step\.wait_for_event\('payment', 'payment/settled', timeout='3d'\)"),
    (gives_the_time_by_its_place, r"its timeout by name: ctx\.step\.wait_for_signal\('signed', 'contract-7', timeout='3d'\)"),
    (gives_the_data_by_its_place, r"by name its data: ctx\.step\.invoke\('invoice', make_invoice, data=\{…\}\)"),
    (gives_an_invoke_retries, r"has the retries of its own function"),
    (gives_a_wait_a_type, r"write ctx\.step\.options\(output_type=…\)\.wait_for_event\(…\)"),
    (asks_the_context_to_invoke, r"the verbs are on the step: ctx\.step\.invoke\(…\)"),
    (reads_what_did_not_come, r"if a wait gave it: None is a time that is over"),
    (gives_parallel_results, r"parallel was given .*, which is not callable: pass functions without arguments"),
    (runs_a_step_as_a_coroutine, r"return the result itself: leave out the asyncio\.run"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize(("function", "said"), SAID, ids=[function.__name__ for function, _ in SAID])
def test_a_mistake_is_answered_with_what_to_do(function: Callable[..., Any], said: str) -> None:
    outcome = World(function, retries=0).finish()
    assert isinstance(outcome, (Failed, AttemptFailed))
    assert re.search(said, outcome.failure.message)


def said_of_steps_never_awaited(world: World) -> list[tuple[str, str]]:
    warned = [fields for _, event, fields in world.log.lines if event == "step never awaited"]
    return [(fields["step"], fields["hint"]) for fields in warned]


def test_a_step_that_was_never_awaited_is_named_although_the_run_completes() -> None:
    async def forgets(ctx: Context) -> int:
        ctx.step.run("charge", value)  # type: ignore[unused-coroutine]
        return 1

    world = World(forgets)
    assert world.finish() == 1
    assert said_of_steps_never_awaited(world) == [("charge", "write: await ctx.step.…('charge', …)")]


def test_a_step_in_a_task_that_nobody_waited_for_is_named_although_the_run_completes() -> None:
    async def leaves(ctx: Context) -> int:
        task = asyncio.create_task(ctx.step.run("charge", value))
        return 1 if task else 0

    world = World(leaves)
    assert world.finish() == 1
    assert said_of_steps_never_awaited(world) == [
        ("charge", "the function returned before its task began: await the task, or asyncio.gather")
    ]


def test_who_loses_a_race_is_no_mistake() -> None:
    async def races(ctx: Context) -> int:
        first = asyncio.create_task(ctx.step.run("quick", value))
        slow = asyncio.create_task(ctx.step.sleep("slow", "1h"))
        await asyncio.wait((first, slow), return_when=asyncio.FIRST_COMPLETED)
        return 1

    world = World(races)
    assert world.finish() == 1
    assert said_of_steps_never_awaited(world) == []


def test_an_error_of_another_kind_gets_no_hint() -> None:
    async def fails(ctx: Context) -> None:
        raise ValueError("the coroutine of life")

    outcome = World(fails, retries=0).finish()
    assert isinstance(outcome, Failed)
    assert outcome.failure.message == "the coroutine of life"
