"""`wait_for_signal` and `send_signal`: one waiter a name, no look-back; what is sent reaches it once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from durableq.model.memo import MemoKind
from durableq.model.outcome import Failed, Suspended
from durableq.words import codec
from durableq.words.errors import SignalTaken, StepError
from durableq.words.ids import step_key
from tests.engine.virtual import START_S
from tests.engine.world import World
from tests.engine.written import beside, both, function_of

HOUR_MS = 3_600_000
OTHER = "01HF00000000WWWWWWWWWWWWWW"


def waits_once(ctx: Any, **options: Any) -> Any:
    signal = yield ctx.step.wait_for_signal("approval", "approve/7", timeout="3d", **options)
    return None if signal is None else [signal.name, signal.data]


@pytest.mark.parametrize("data", [{"by": "ann"}, None, 0, [1, 2]])
@both
def test_the_signal_comes_back_with_its_data_which_may_be_none(written: str, data: Any) -> None:
    world = World(function_of(written, waits_once))
    world.plan = [(HOUR_MS, lambda: world.outside.signal("approve/7", data))]
    assert world.finish() == ["approve/7", data]
    assert world.executions == 2
    assert world.finish() == ["approve/7", data]


@both
def test_on_timeout_it_is_none_also_in_a_replay(written: str) -> None:
    world = World(function_of(written, waits_once))
    assert world.finish() is None
    assert world.memo("approval").kind is MemoKind.TIMED_OUT
    assert world.finish() is None


@both
def test_the_wait_begins_with_a_call_of_its_own(written: str) -> None:
    world = World(function_of(written, waits_once))
    assert world.one_turn() == Suspended()
    key = step_key("approval", 0)
    assert [call[:2] for call in world.calls] == [("await_signal", key), ("suspend", [])]
    assert codec.decode(world.memos[key].blob) == {
        "op": "wait_for_signal",
        "id": "approval",
        "due": int(START_S * 1000) + 3 * 24 * HOUR_MS,
        "signal": "approve/7",
    }
    assert [(note.op, note.step_id) for note in world.notes] == [("wait_for_signal", "approval")]


@both
def test_a_signal_that_was_sent_before_is_not_found(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        return (yield from waits_once(ctx))

    world = World(function_of(written, script))
    world.plan = [(0, lambda: world.outside.signal("approve/7", 1))]
    assert world.finish() is None


@both
def test_a_taken_signal_is_a_step_error_that_may_be_caught_and_is_the_same_in_each_replay(written: str) -> None:
    def script(ctx: Any) -> Any:
        try:
            yield ctx.step.wait_for_signal("approval", "approve/7", timeout="3d")
        except StepError as error:
            caught = [
                error.name,
                error.step,
                error.matches(SignalTaken),
                "waits for signal approve/7 already" in str(error),
            ]
            yield ctx.step.sleep("nap", "1h")
            return caught

    world = World(function_of(written, script))
    world.outside.taken.add("approve/7")
    assert world.finish() == ["SignalTaken", "approval", True, True]
    assert world.executions == 2


@both
def test_an_uncaught_conflict_fails_the_run_without_retries(written: str) -> None:
    world = World(function_of(written, waits_once))
    world.outside.taken.add("approve/7")
    outcome = world.finish()
    assert isinstance(outcome, Failed)
    assert outcome.failure.name == "SignalTaken"
    assert world.executions == 1


@both
def test_replace_takes_the_signal_over(written: str) -> None:
    def script(ctx: Any) -> Any:
        return (yield from waits_once(ctx, on_conflict="replace"))

    world = World(function_of(written, script))
    world.outside.taken.add("approve/7")
    world.plan = [(5, lambda: world.outside.signal("approve/7", 1))]
    assert world.finish() == ["approve/7", 1]


@dataclass
class Approval:
    by: str


@both
def test_the_data_comes_as_output_type_says(written: str) -> None:
    def script(ctx: Any) -> Any:
        signal = yield ctx.step.options(output_type=Approval).wait_for_signal("w", "s", timeout="1h")
        return [type(signal.data).__name__, signal.data.by]

    world = World(function_of(written, script))
    world.plan = [(5, lambda: world.outside.signal("s", {"by": "ann"}))]
    assert world.finish() == ["Approval", "ann"]


@both
def test_signals_beside_each_other_are_told_apart_by_name(written: str) -> None:
    def script(ctx: Any) -> Any:
        got = yield beside(
            ctx,
            lambda: ctx.step.wait_for_signal("a", "one", timeout="1h"),
            lambda: ctx.step.wait_for_signal("b", "two", timeout="1h"),
        )
        return [signal and signal.data for signal in got]

    world = World(function_of(written, script))
    world.plan = [(5, lambda: world.outside.signal("two", 2))]
    assert world.finish() == [None, 2]


def test_a_signal_given_up_is_abandoned() -> None:
    async def function(ctx: Any) -> Any:
        waiting = asyncio.ensure_future(ctx.step.wait_for_signal("w", "s", timeout="1h"))
        sleeping = asyncio.ensure_future(ctx.step.sleep("nap", 60))
        _, pending = await asyncio.wait([waiting, sleeping], return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await ctx.step.sleep("after", 60)
        return "done"

    world = World(function)
    assert world.finish() == "done"
    assert world.memo("w").kind is MemoKind.ABANDONED
    assert not world.outside.signal("s")


# --- Sending.


def sends(ctx: Any) -> Any:
    return (yield ctx.step.send_signal("tell", "approve/7", {"by": "ann"}))


@both
def test_sending_gives_the_run_that_it_reached(written: str) -> None:
    world = World(function_of(written, sends))
    world.outside.listeners["approve/7"] = OTHER
    assert world.finish() == OTHER
    assert world.outside.sent == [("approve/7", {"by": "ann"})]
    assert [(note.op, note.step_id) for note in world.notes] == [("send_signal", "tell")]
    assert world.finish() == OTHER
    assert len(world.outside.sent) == 1


@both
def test_sending_to_nobody_gives_none(written: str) -> None:
    assert World(function_of(written, sends)).finish() is None


@both
def test_a_send_that_dies_before_it_is_recorded_is_sent_again_under_the_same_token(written: str) -> None:
    world = World(function_of(written, sends), crash_after=0)
    world.outside.listeners["approve/7"] = OTHER
    tokens = []
    send = world.environment.send_signal

    async def noting(signal: str, token: str, blob: bytes) -> str:
        tokens.append(token)
        if len(tokens) == 1:
            await send(signal, token, blob)
            raise ConnectionError("the reply was lost")
        return await send(signal, token, blob)

    world.environment.send_signal = noting
    assert world.finish() == OTHER
    assert len(tokens) == 2
    assert set(tokens) == {f"{world.run_id}.{step_key('tell', 0)}"}
    assert len(world.outside.sent) == 1


@both
def test_data_may_be_left_out_or_be_a_dataclass(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.send_signal("none", "s")
        yield ctx.step.send_signal("typed", "s", Approval("ann"))

    world = World(function_of(written, script))
    world.finish()
    assert world.outside.sent == [("s", None), ("s", {"by": "ann"})]


@both
def test_data_that_cannot_be_stored_names_step_and_path_and_is_not_retried(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.send_signal("tell", "s", {"at": object()})

    outcome = World(function_of(written, script)).finish()
    assert outcome.failure.name == "CodecError"
    assert "send_signal 'tell': data" in outcome.failure.message
    assert "at" in outcome.failure.message


MISTAKES = {
    "none": ({"timeout": None}, "wait_for_signal 'w': timeout is required"),
    "long": ({"timeout": "367d"}, "wait_for_signal 'w': timeout must be 0 or more and at most 366d, not '367d'"),
    "empty": ({"signal": ""}, "wait_for_signal 'w': signal must have 1 to 256 characters, this has 0"),
    "too long": ({"signal": "s" * 257}, "wait_for_signal 'w': signal must have 1 to 256 characters, this has 257"),
    "no text": ({"signal": 7}, "wait_for_signal 'w': signal must be a string, not int: 7"),
    "conflict": (
        {"on_conflict": "wait"},
        "wait_for_signal 'w': on_conflict must be one of 'fail', 'replace', not 'wait'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@both
def test_a_mistake_in_the_call_is_an_error_that_names_step_rule_and_value(written: str, mistake: str) -> None:
    given, message = MISTAKES[mistake]
    arguments: dict[str, Any] = {"signal": "s", "timeout": "1h", **given}  # type: ignore[dict-item]

    def script(ctx: Any) -> Any:
        yield ctx.step.wait_for_signal("w", **arguments)

    outcome = World(function_of(written, script)).finish()
    assert isinstance(outcome, Failed)
    assert message in outcome.failure.message


@both
def test_a_signal_name_that_is_not_allowed_is_refused_when_sending(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.send_signal("tell", "")

    outcome = World(function_of(written, script)).finish()
    assert "send_signal 'tell': signal must have 1 to 256 characters" in outcome.failure.message


@both
def test_signals_inside_a_steps_body_are_refused(written: str) -> None:
    def script(ctx: Any) -> Any:
        async def inner() -> None:
            value = ctx.step.send_signal("inner", "s")
            if asyncio.iscoroutine(value):
                await value

        yield ctx.step.run("outer", inner)

    outcome = World(function_of(written, script)).finish()
    assert outcome.failure.name == "NestedStep"
