"""`invoke`: one child per step, whatever happens; its result typed, its error as StepError, or the timeout."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from durableq.engine.context import Context
from durableq.engine.sync import SyncContext
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.model.limits import Limits
from durableq.model.memo import MemoKind
from durableq.model.outcome import Failed, Suspended
from durableq.words import codec
from durableq.words.errors import FunctionNotFound, InvokeTimeout, RunCancelled, StepError
from durableq.words.ids import child_run_id, is_run_id, run_shard, step_key
from tests.engine.outside import Ends
from tests.engine.virtual import START_S
from tests.engine.world import World
from tests.engine.world import function_of as function_with
from tests.engine.written import beside, both, function_of

HOUR_MS = 3_600_000


@dataclass
class Invoice:
    number: int


@dataclass
class Wanted:
    order_id: int


async def make_invoice(ctx: Context) -> Invoice:
    return Invoice(1)


def make_invoice_plainly(ctx: SyncContext) -> Invoice:
    return Invoice(1)


INVOICE: Function[Any] = function_with(make_invoice)
PLAIN: Function[Any] = function_with(make_invoice_plainly)


def invokes(ctx: Any) -> Any:
    return (yield ctx.step.invoke("invoice", "billing/invoice", data={"order_id": 7}))


def world_with(written: str, script: Any, ends: Ends | None, **options: Any) -> World:
    world = World(function_of(written, script), **options)
    given: list[tuple[str, Event[Any]]] = []

    def child(function: str, event: Event[Any]) -> Ends | None:
        given.append((function, event))
        return ends

    world.outside.child = child
    world.given = given  # type: ignore[attr-defined]
    return world


@both
def test_the_childs_result_comes_back_also_in_a_replay(written: str) -> None:
    world = world_with(written, invokes, Ends({"n": 1}, HOUR_MS))
    assert world.finish() == {"n": 1}
    assert world.executions == 2
    assert world.finish() == {"n": 1}
    assert len(world.outside.children) == 1


@both
def test_a_child_that_returns_nothing_gives_none(written: str) -> None:
    assert world_with(written, invokes, Ends(None)).finish() is None


@pytest.mark.parametrize("function", [INVOICE, PLAIN], ids=["async def", "def"])
@both
def test_the_result_is_of_the_type_that_the_function_returns(written: str, function: Function[Any]) -> None:
    def script(ctx: Any) -> Any:
        invoice = yield ctx.step.invoke("invoice", function)
        return [type(invoice).__name__, invoice.number]

    world = world_with(written, script, Ends({"number": 9}))
    assert world.finish() == ["Invoice", 9]
    assert world.given[0][0] == "shop/f"  # type: ignore[attr-defined]


@both
def test_by_id_the_result_is_plain_or_as_output_type_says(written: str) -> None:
    def script(ctx: Any) -> Any:
        plain = yield ctx.step.invoke("plain", "billing/invoice")
        typed = yield ctx.step.options(output_type=Invoice).invoke("typed", "billing/invoice")
        return [type(plain).__name__, type(typed).__name__]

    assert world_with(written, script, Ends({"number": 9})).finish() == ["dict", "Invoice"]


@both
def test_a_short_id_means_the_same_app(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.invoke("i", "invoice")

    world = world_with(written, script, Ends())
    world.finish()
    assert world.given[0][0] == "shop/invoice"  # type: ignore[attr-defined]


@both
def test_the_child_is_called_with_the_data_as_an_invoked_event_that_has_its_run_id(written: str) -> None:
    world = world_with(written, invokes, Ends())
    world.finish()
    function, event = world.given[0]  # type: ignore[attr-defined]
    assert (function, event.name, event.data) == ("billing/invoice", "durableq/function.invoked", {"order_id": 7})
    assert [event.id] == world.outside.children


@both
def test_without_data_it_is_an_empty_mapping(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.invoke("i", "invoice")

    world = world_with(written, script, Ends())
    world.finish()
    assert world.given[0][1].data == {}  # type: ignore[attr-defined]


@both
def test_the_childs_id_is_a_function_of_run_step_and_function_and_is_known_at_once(written: str) -> None:
    world = world_with(written, invokes, None)
    assert world.one_turn() == Suspended()
    key = step_key("invoice", 0)
    child = child_run_id(world.run_id, key, "billing/invoice")
    assert codec.decode(world.memos[key].blob) == {
        "op": "invoke",
        "id": "invoice",
        "due": int(START_S * 1000) + 366 * 24 * HOUR_MS,
        "function": "billing/invoice",
        "run": child,
    }
    assert [call[:2] for call in world.calls] == [("invoke", key), ("suspend", [])]
    assert [(note.op, note.step_id) for note in world.notes] == [("invoke", "invoice")]


def test_a_childs_id_has_the_shape_and_the_shard_of_its_parents_and_differs_in_each_part() -> None:
    parent = "01HF000000F0ABCDEFGHJKMNPQ"
    ids = {
        child_run_id(parent, "k", "a/f"),
        child_run_id(parent, "k", "a/g"),
        child_run_id(parent, "l", "a/f"),
        child_run_id(parent[:-1] + "R", "k", "a/f"),
    }
    assert len(ids) == 4
    assert all(is_run_id(child) and run_shard(child) == run_shard(parent) for child in ids)
    assert all(child[:10] == parent[:10] for child in ids)
    assert child_run_id(parent, "k", "a/f") in ids


class PaymentDeclined(ValueError):
    pass


def _failed() -> BaseException:
    try:
        raise PaymentDeclined("no funds")
    except PaymentDeclined as error:
        return error


@both
def test_a_failed_child_is_a_step_error_with_its_name_message_stack_and_classes(written: str) -> None:
    def script(ctx: Any) -> Any:
        try:
            yield ctx.step.invoke("invoice", "billing/invoice")
        except StepError as error:
            yield ctx.step.sleep("nap", "1h")
            return [
                error.name,
                error.message,
                error.step,
                "no funds" in error.stack,
                error.matches(PaymentDeclined),
                error.matches(ValueError),
                error.matches(KeyError),
            ]

    world = world_with(written, script, Ends(_failed(), 10))
    assert world.finish() == ["PaymentDeclined", "no funds", "invoice", True, True, True, False]
    assert world.executions >= 2


@both
def test_an_uncaught_failure_of_a_child_fails_its_parent_without_retries(written: str) -> None:
    world = world_with(written, invokes, Ends(_failed(), 10))
    outcome = world.finish()
    assert isinstance(outcome, Failed)
    assert outcome.failure.name == "PaymentDeclined"
    assert len(world.outside.children) == 1


@both
def test_a_cancelled_child_is_a_step_error_that_matches_run_cancelled(written: str) -> None:
    def script(ctx: Any) -> Any:
        try:
            yield ctx.step.invoke("invoice", "billing/invoice")
        except StepError as error:
            return [error.matches(RunCancelled), error.message, error.step]

    ends = Ends(b"TRunCancelled\nby somebody", 10)
    assert world_with(written, script, ends).finish() == [True, "by somebody", "invoice"]


@both
def test_an_unknown_function_is_a_step_error_that_matches_function_not_found(written: str) -> None:
    def script(ctx: Any) -> Any:
        try:
            yield ctx.step.invoke("invoice", "billing/unknown")
        except StepError as error:
            return [error.matches(FunctionNotFound), "billing/unknown" in error.message]

    world = world_with(written, script, Ends())
    assert world.finish() == [True, True]
    assert world.finish() == [True, True]
    assert world.outside.children == []


@both
def test_a_timeout_is_raised_at_the_call_in_each_replay_and_the_child_goes_on(written: str) -> None:
    def script(ctx: Any) -> Any:
        try:
            yield ctx.step.invoke("invoice", "billing/invoice", timeout="1h")
        except InvokeTimeout as error:
            yield ctx.step.sleep("nap", "2h")
            return str(error)

    world = world_with(written, script, Ends({"n": 1}, 2 * HOUR_MS))
    child = child_run_id(world.run_id, step_key("invoice", 0), "billing/invoice")
    expected = f"step 'invoice': run {child} of billing/invoice has not ended within 1h; it goes on by itself"
    assert world.finish() == expected
    assert world.memo("invoice").kind is MemoKind.TIMED_OUT
    assert world.finish() == expected


@both
def test_an_uncaught_timeout_fails_the_run_without_another_attempt_which_would_meet_the_same(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.invoke("invoice", "billing/invoice", timeout="1h")

    world = world_with(written, script, None, retries=4)
    outcome = world.finish()
    assert isinstance(outcome, Failed)
    assert outcome.failure.name == "InvokeTimeout"
    assert world.attempt == 0
    assert len(world.outside.children) == 1


@both
def test_children_beside_each_other_and_in_a_loop_are_one_each(written: str) -> None:
    def script(ctx: Any) -> Any:
        pairs = []
        for _ in range(2):
            pair = yield beside(
                ctx,
                lambda: ctx.step.invoke("a", "one"),
                lambda: ctx.step.invoke("b", "two"),
            )
            pairs.append(list(pair))
        return pairs

    world = world_with(written, script, None)
    world.outside.child = lambda function, _: Ends(function, 100)
    assert world.finish() == [["shop/one", "shop/two"]] * 2
    assert len(set(world.outside.children)) == 4


@pytest.mark.parametrize("crash_after", range(3))
@both
def test_a_crash_after_any_write_makes_no_second_child(written: str, crash_after: int) -> None:
    def script(ctx: Any) -> Any:
        first = yield ctx.step.invoke("a", "one")
        second = yield ctx.step.invoke("b", "two")
        return [first, second]

    world = world_with(written, script, None, crash_after=crash_after)
    world.outside.child = lambda function, _: Ends(function, 100)
    assert world.finish() == ["shop/one", "shop/two"]
    assert len(world.outside.children) == 2


def test_a_race_of_two_children_cancels_none_but_gives_up_the_loser() -> None:
    async def function(ctx: Any) -> Any:
        tasks = [asyncio.ensure_future(ctx.step.invoke(name, name)) for name in ("fast", "slow")]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await ctx.step.sleep("after", "1d")
        return [task.result() for task in done]

    world = World(function)
    world.outside.child = lambda function, _: Ends(function, 10 if function == "shop/fast" else 1000)
    assert world.finish() == ["shop/fast"]
    assert world.memo("slow").kind is MemoKind.ABANDONED
    assert world.finish() == ["shop/fast"]


def test_now_is_when_the_child_ended() -> None:
    async def function(ctx: Any) -> Any:
        await ctx.step.invoke("i", "one")
        return ctx.now().timestamp()

    world = World(function)
    world.outside.child = lambda _function, _given: Ends(1, 90_000)
    assert world.finish() == pytest.approx(START_S + 90, abs=0.01)


# --- Mistakes.

MISTAKES = {
    "a callable": (make_invoice, {}, "invoke 'i': takes a function of an app or its id, 'app/function', not function"),
    "not an id": ("Bad Id", {}, "invoke 'i': function id 'Bad Id' is not allowed"),
    "a failure handler": ("f:on-failure", {}, "invoke 'i': function id 'f:on-failure' is that of an on_failure"),
    "a bad app": ("Bad/f", {}, "invoke 'i': app id 'Bad' is not allowed"),
    "too long": ("f", {"timeout": "367d"}, "invoke 'i': timeout must be 0 or more and at most 366d, not '367d'"),
    "no mapping": (
        "f",
        {"data": [1]},
        "step 'i': invoke of shop/f: data must be a mapping, a dataclass or a pydantic model",
    ),
    "not storable": ("f", {"data": {"x": object()}}, "step 'i': invoke of shop/f: data"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@both
def test_a_mistake_in_the_call_is_an_error_that_names_step_rule_and_value(written: str, mistake: str) -> None:
    function, options, message = MISTAKES[mistake]

    def script(ctx: Any) -> Any:
        yield ctx.step.invoke("i", function, **options)

    world = world_with(written, script, Ends())
    outcome = world.finish()
    assert isinstance(outcome, Failed)
    assert message in outcome.failure.message
    assert world.outside.children == []


@both
def test_data_that_the_function_does_not_want_is_refused_before_there_is_a_child(written: str) -> None:
    wanting: Function[Any] = function_with(make_invoice, event_type=Wanted)

    def script(ctx: Any) -> Any:
        yield ctx.step.invoke("i", wanting, data={"other": 1})

    world = world_with(written, script, Ends())
    outcome = world.finish()
    assert isinstance(outcome, Failed)
    assert "step 'i': invoke of shop/f: data" in outcome.failure.message
    assert world.outside.children == []


@both
def test_data_over_the_limit_of_an_event_is_refused(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.invoke("i", "f", data={"x": "x" * 2000})

    outcome = world_with(written, script, Ends(), limits=Limits(event_bytes=1000)).finish()
    assert outcome.failure.name == "LimitExceeded"
    assert "step 'i': invoke of shop/f: its data has" in outcome.failure.message


@both
def test_an_invoke_inside_a_steps_body_is_refused(written: str) -> None:
    def script(ctx: Any) -> Any:
        async def inner() -> None:
            value = ctx.step.invoke("inner", "f")
            if asyncio.iscoroutine(value):
                await value

        yield ctx.step.run("outer", inner)

    assert world_with(written, script, Ends()).finish().failure.name == "NestedStep"


@both
def test_a_dataclass_may_be_the_data(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.invoke("i", "f", data=Wanted(3))

    world = world_with(written, script, Ends())
    world.finish()
    assert world.given[0][1].data == {"order_id": 3}  # type: ignore[attr-defined]
