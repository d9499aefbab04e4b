"""Runs as people read them: what a step waits for, what answered it, what cancelled a run, who invoked it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from durableq.engine.port import EventWait, Invocation, SignalWait, StepNote
from durableq.model.event import Event, encode_event
from durableq.services.awaited import AwaitedView
from durableq.services.notes import note_of_wait
from durableq.services.views import RunView, StepView, function_views, whole_view
from durableq.store import signals
from durableq.store.invokes import InvokeWrite
from durableq.store.runs import FinishWrite
from durableq.store.signals import NewSignal
from durableq.words import codec
from tests.servers import Server, on
from tests.store.awaiting import NAME, begin, deliver, happened
from tests.store.shard import Held, Shard

pytestmark = on("fake")
CHILD = "C" * 26
IF = "event.data.id == async.data.id"
FOR_EVENT = AwaitedView(event=NAME, condition=IF)


@pytest.fixture
async def shard(server: Server) -> AsyncIterator[Shard]:
    found = Shard(server)
    await found.calls.open()
    await found.registry.register_app("a", "r1", {"f": codec.encode({"name": "F", "triggers": [], "retries": 4})})
    yield found
    await found.close()


def note(op: str) -> StepNote:
    return StepNote(op, "the step", 0, 1000, 1000, 1000, "")


def about(due_at_ms: int, op: str, **more: Any) -> bytes:
    """The blob of a pending memo."""
    return codec.encode({"op": op, "id": "the step", "due": due_at_ms, **more})


async def for_event(shard: Shard, due_in_ms: int = 60_000) -> Held:
    """A sleeping run that waits for an event."""
    held, due = await shard.claimed(), shard.now_ms + due_in_ms
    wait = EventWait(
        "wait", about(due, "wait_for_event", event=NAME, **{"if": IF}), due, note("wait_for_event"), NAME, IF, ""
    )
    await begin(shard, held, blob=wait.blob, due_at_ms=due, note=note_of_wait(wait))
    assert await shard.suspend(held) is None
    return held


async def for_signal(shard: Shard, held: Held, name: str = "ok") -> Any:
    due = shard.now_ms + 60_000
    wait = SignalWait("wait", about(due, "wait_for_signal", signal=name), due, note("wait_for_signal"), name, False)
    write = signals.SignalWait(held.run, held.epoch, 0, "wait", wait.blob, due, note_of_wait(wait), name, 0)
    return (await shard.signals.await_signals(held.lease, [write])).items[0]


async def for_child(shard: Shard, held: Held, function: str = "a/f") -> Any:
    due = shard.now_ms + 60_000
    blob = about(due, "invoke", function=function, run=CHILD)
    wait = Invocation("wait", blob, due, note("invoke"), function, CHILD, b"given")
    write = InvokeWrite(held.run, held.epoch, 0, "wait", blob, due, note_of_wait(wait), CHILD, function, b"given", b"")
    return (await shard.invokes.invoke_runs(held.lease, [write])).items[0]


async def seen(shard: Shard, run_id: str) -> RunView:
    view = await whole_view(shard.reads, run_id)
    assert view is not None
    return view


async def the_step(shard: Shard, held: Held) -> StepView:
    (step,) = (await seen(shard, held.run)).steps
    assert step.id == "the step"
    return step


async def test_a_wait_for_an_event_shows_name_condition_and_end(shard: Shard) -> None:
    held = await for_event(shard)
    step = await the_step(shard, held)
    assert (step.op, step.status, step.awaited) == ("wait_for_event", "waiting", FOR_EVENT)
    assert (step.due_at_ms, step.ended_at_ms) == (shard.now_ms + 60_000, 0)
    assert (await seen(shard, held.run)).waiting_for == (step,)


async def test_a_wait_that_was_answered_shows_the_event(shard: Shard) -> None:
    held = await for_event(shard)
    await happened(shard, encode_event(Event(NAME, {"id": 7}, id="pay-1")))
    assert await deliver(shard) == 1
    step = await the_step(shard, held)
    assert (step.status, step.awaited, step.ended_at_ms) == ("completed", FOR_EVENT, shard.now_ms)
    assert (step.result.id, step.result.data) == ("pay-1", {"id": 7})
    assert (await seen(shard, held.run)).waiting_for == ()


async def test_an_event_that_cannot_be_read_is_no_reason_to_show_nothing(shard: Shard) -> None:
    held = await for_event(shard)
    await happened(shard, b"\xff damaged")
    await deliver(shard)
    step = await the_step(shard, held)
    assert (step.status, step.result) == ("completed", None)


async def test_a_wait_that_timed_out_says_so(shard: Shard) -> None:
    held = await for_event(shard, due_in_ms=10)
    shard.advance(10)
    await shard.timers.fire_timers()
    step = await the_step(shard, held)
    assert (step.status, step.awaited) == ("timed out", FOR_EVENT)
    assert step.due_at_ms == step.ended_at_ms == shard.now_ms


async def test_a_signal_is_shown_while_it_is_awaited_and_with_what_came(shard: Shard) -> None:
    held = await shard.claimed()
    await for_signal(shard, held)
    assert (await the_step(shard, held)).awaited == AwaitedView(signal="ok")
    await shard.signals.send_signals([NewSignal("ok", "token", 60_000, codec.encode("yes"))])
    step = await the_step(shard, held)
    assert (step.op, step.status, step.result) == ("wait_for_signal", "completed", "yes")
    assert step.awaited == AwaitedView(signal="ok")


async def test_a_signal_that_a_run_has_sent_names_the_run(shard: Shard) -> None:
    held, sender = await shard.claimed(), await shard.claimed()
    await for_signal(shard, held)
    await shard.signals.send_signals([NewSignal("ok", f"{sender.run}.key", 60_000, codec.encode("yes"))])
    step = await the_step(shard, held)
    assert step.awaited == AwaitedView(signal="ok", sender=sender.run)


async def test_a_signal_that_is_taken_is_a_failure_of_a_step_with_a_name(shard: Shard) -> None:
    first, second = await shard.claimed(), await shard.claimed()
    await for_signal(shard, first)
    await for_signal(shard, second)
    step = await the_step(shard, second)
    assert step.error is not None
    assert (step.op, step.status, step.error.name) == ("wait_for_signal", "failed", "SignalTaken")
    assert first.run in step.error.message


async def test_a_child_and_its_parent_name_each_other(shard: Shard) -> None:
    held = await shard.claimed()
    await for_child(shard, held)
    step = await the_step(shard, held)
    assert step.awaited == AwaitedView(function="a/f", run=CHILD, status="queued")
    assert ((await seen(shard, CHILD)).parent, (await seen(shard, held.run)).parent) == (held.run, "")
    (child,) = (await shard.claim()).runs
    await shard.runs.finish_runs("L1", [FinishWrite(CHILD, child.epoch, "c", codec.encode("no 7"))], 10, 10)
    step = await the_step(shard, held)
    assert (step.op, step.status, step.result) == ("invoke", "completed", "no 7")
    assert step.awaited == AwaitedView(function="a/f", run=CHILD, status="completed")


async def test_a_child_whose_function_is_unknown_is_a_failure_of_a_step_with_a_name(shard: Shard) -> None:
    held = await shard.claimed()
    await for_child(shard, held, "a/gone")
    step = await the_step(shard, held)
    assert step.error is not None
    assert (step.status, step.error.name) == ("failed", "FunctionNotFound")
    assert step.awaited == AwaitedView(function="a/gone", run=CHILD), "of which there is no run"


async def test_a_cancelled_run_says_by_what_and_its_waits_are_void(shard: Shard) -> None:
    held = await for_event(shard)
    await shard.cancels.cancel_runs([held.run], "asked for by a client")
    run = await seen(shard, held.run)
    assert run.error is not None
    assert (run.status, run.error.name, run.error.message) == ("cancelled", "RunCancelled", "asked for by a client")
    assert (run.ended_at_ms, run.steps[0].status, run.waiting_for) == (shard.now_ms, "void", ())


async def test_a_function_shows_what_ends_its_runs(shard: Shard) -> None:
    declared = {
        "name": "F", "triggers": [], "retries": 4,
        "cancel_on": [{"event": "order/cancelled", "if": "async.data.ok", "timeout_ms": 3_600_000}, {"event": "x"}],
        "timeouts": {"start_ms": 5000, "finish_ms": 0},
    }  # fmt: skip
    plain = {"name": "F", "triggers": [], "retries": 4}
    functions = {"f": codec.encode(declared), "f:on-failure": codec.encode(plain)}
    await shard.registry.register_app("a", "r2", functions)
    held = await shard.claimed()
    await shard.cancels.cancel_runs([held.run], "why")
    view, after = await function_views(shard.registry, shard.reads, shard.crons, shard.flow)
    assert view.cancel_on == ("order/cancelled if async.data.ok within 1h", "x")
    assert (view.start_within_ms, view.finish_within_ms, view.cancelled) == (5000, 0, 1)
    assert (view.on_failure, after.on_failure) == ("a/f:on-failure", "")
