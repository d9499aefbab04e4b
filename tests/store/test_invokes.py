"""Invokes: child and wait are one act, the child's end is the parent's result by another, and outsiders are told."""

from __future__ import annotations

from typing import Any

import pytest

from durableq.model.flow import with_gates
from durableq.model.memo import MemoKind
from durableq.model.run import State
from durableq.store.cancels import ABSENT
from durableq.store.invokes import InvokeWrite, NewRun
from durableq.store.records import Recorded
from durableq.store.runs import FinishWrite, StepWrite
from durableq.words.errors import QueueFull
from tests.store.awaiting import memo
from tests.store.gates import deploy, states, triggered
from tests.store.guards import check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, Held, Shard

CHILD = "C" * 26


def write(
    held: Held, key: str = "call", child: str = CHILD, function: str = "a/f", due_at_ms: int = 2**41
) -> InvokeWrite:
    return InvokeWrite(held.run, held.epoch, 0, key, b"blob", due_at_ms, b"note", child, function, b"given", b"")


async def invoke(shard: Shard, held: Held, **options: Any) -> Recorded:
    (answer,) = (await shard.invokes.invoke_runs(held.lease, [write(held, **options)])).items
    assert isinstance(answer, Recorded)
    return answer


async def parent(shard: Shard) -> Held:
    """A run in hand, in a namespace that has its function."""
    await shard.registry.register_app("a", "r1", {"f": b"x"})
    return await shard.claimed()


async def both(shard: Shard, **options: Any) -> tuple[Held, Held]:
    """A parent that sleeps, and its child in hand."""
    held = await parent(shard)
    await invoke(shard, held, **options)
    assert await shard.suspend(held) is None
    (mine,) = (await shard.claim()).runs
    assert mine.id == CHILD
    return held, Held("L1", mine.id, mine.epoch)


async def finish(shard: Shard, held: Held, state: str = "c", out: bytes = b"result") -> Any:
    return (await shard.runs.finish_runs(held.lease, [FinishWrite(held.run, held.epoch, state, out)], 10, 10)).items[0]


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_child_and_wait_are_one_act(shard: Shard, delivery: str) -> None:
    held = await parent(shard)
    before = await shard.stored()
    assert await shard.deliver(delivery, lambda: invoke(shard, held)) == Recorded(0, 0, [])
    after = await shard.stored()
    assert before.changed(after) == {
        "run", "input", "steps", "history", "timers", "timer_bell", "ready", "bell",
    }  # fmt: skip
    cursor = after.of("meta")["routed_upto"]
    assert after.of("run", CHILD) == {
        "s": "q", "f": "a/f", "c": str(shard.now_ms), "p": cursor, "k": "p", "u": f"{held.run} call",
    }  # fmt: skip
    assert after.of("input", CHILD) == b"given"
    assert await memo(shard, held.run, "call") == f"0 {shard.now_ms} i26 {CHILD}blob"


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, lambda s, h: s.invokes.invoke_runs(h.lease, [write(h)]))


@lease_gone
async def test_a_lease_that_is_gone_writes_nothing(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, lambda s, h: s.invokes.invoke_runs(h.lease, [write(h)]))


@pytest.mark.parametrize(("state", "kind"), [("c", MemoKind.DATA), ("f", MemoKind.ERROR)])
@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_the_child_s_end_is_the_parent_s_result(shard: Shard, delivery: str, state: str, kind: MemoKind) -> None:
    held, child = await both(shard)
    await shard.deliver(delivery, lambda: finish(shard, child, state))
    after = await shard.stored()
    assert after.of("steps", held.run) == {"call": f"1 {shard.now_ms} {kind} result"}
    assert (after.of("run", held.run)["s"], after.of("timers")) == ("q", {})
    assert after.of("run", CHILD)["s"] == state


async def test_a_function_that_is_not_registered_is_a_result_at_once(shard: Shard) -> None:
    held = await parent(shard)
    answer = await invoke(shard, held, function="b/gone")
    ((key, found),) = answer.news
    assert (answer.number, key, found.kind, found.number) == (1, "call", MemoKind.ERROR, 1)
    assert found.blob == b"TFunctionNotFound\nno function b/gone is registered in this namespace"
    assert (await shard.stored()).of("run", CHILD) == {}
    details = await shard.reads.details(held.run)
    assert details is not None
    assert details.notes == {"call": b"note"}, "screens show which step it was"


async def test_a_run_that_is_there_already_is_not_taken_for_a_child(shard: Shard) -> None:
    held = await parent(shard)
    await shard.invokes.start_runs("", [NewRun(CHILD, "a/f", b"somebody's", b"")])
    before = (await shard.stored()).of("run", CHILD)
    ((_, found),) = (await invoke(shard, held)).news
    assert (found.kind, found.blob) == (MemoKind.ERROR, f"TRunExists\nrun {CHILD} is there already".encode())
    stored = await shard.stored()
    assert (stored.of("run", CHILD), stored.of("input", CHILD)) == (before, b"somebody's")


async def test_who_listens_for_invoked_runs_is_told_of_each(shard: Shard) -> None:
    held = await parent(shard)
    await shard.command("HSET", shard.key("meta"), "echo", "i")
    await invoke(shard, held)
    await shard.invokes.start_runs("", [NewRun("D" * 26, "a/f", b"given", b"")])
    events = [fields[1] for _, fields in (await shard.stored()).of("events")]
    assert events[1:] == [b"Si " + CHILD.encode(), b"Si " + b"D" * 26]


async def test_a_parent_in_hand_is_told_and_its_suspension_not_accepted(shard: Shard) -> None:
    held = await parent(shard)
    await invoke(shard, held)
    (mine,) = (await shard.claim()).runs
    await finish(shard, Held("L1", mine.id, mine.epoch))
    ((key, found),) = await shard.suspend(held)
    assert (key, found.blob) == ("call", b"result")


async def test_child_and_parent_that_end_in_one_call_end_each_once(shard: Shard) -> None:
    held = await parent(shard)
    await invoke(shard, held)
    (mine,) = (await shard.claim()).runs
    ends = [FinishWrite(held.run, held.epoch, "c", b"mine"), FinishWrite(mine.id, mine.epoch, "c", b"child's")]
    assert (await shard.runs.finish_runs("L1", ends, 10, 10)).items == [None, None]
    stored = await shard.stored()
    assert (stored.of("run", held.run)["s"], stored.of("run", CHILD)["s"]) == ("c", "c")
    assert (await memo(shard, held.run, "call")).startswith("0 "), "a final run is not answered"
    await shard.cancels.sweep_ended()


async def test_a_timeout_ends_the_wait_and_the_child_goes_on(shard: Shard) -> None:
    held, child = await both(shard, due_at_ms=shard.now_ms + 1000)
    shard.advance(1000)
    await shard.timers.fire_timers()
    timed_out = await memo(shard, held.run, "call")
    assert timed_out == f"1 {shard.now_ms} z blob"
    assert await finish(shard, child) is None
    assert await memo(shard, held.run, "call") == timed_out


async def test_a_branch_that_was_given_up_is_not_answered(shard: Shard) -> None:
    held = await parent(shard)
    await invoke(shard, held)
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "call", "a", b"", b"")])
    (mine,) = (await shard.claim()).runs
    await finish(shard, Held("L1", mine.id, mine.epoch))
    assert (await memo(shard, held.run, "call")).startswith(f"1 {shard.now_ms} a")


async def test_a_cancelled_child_is_an_error_of_the_parent(shard: Shard) -> None:
    held, child = await both(shard)
    await shard.cancels.cancel_runs([child.run], "by hand")
    assert await memo(shard, held.run, "call") == f"1 {shard.now_ms} e TRunCancelled\nby hand"
    assert (await shard.stored()).of("run", held.run)["s"] == "q"


async def test_a_child_that_dies_for_the_third_time_is_an_error_of_the_parent(shard: Shard) -> None:
    held = await parent(shard)
    await invoke(shard, held)
    assert await shard.suspend(held) is None
    for death in ("X1", "X2", "X3"):
        await shard.lease(death)
        (mine,) = (await shard.claim(death, 1, alone=death == "X3")).runs
        assert mine.id == CHILD
        await shard.crash(death)
    assert "TWorkerCrashed" in await memo(shard, held.run, "call")


async def test_the_gate_refuses_child_and_wait_together(shard: Shard) -> None:
    held = await parent(shard)
    await shard.upkeep.set_gate(0.9, prunable=False)
    before = await shard.stored()
    with pytest.raises(QueueFull):
        await invoke(shard, held)
    with pytest.raises(QueueFull):
        await shard.invokes.start_runs("me", [NewRun(CHILD, "a/f", b"given", b"")])
    assert before.changed(await shard.stored()) == set()


# From outside


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_run_started_from_outside_is_there_once_and_its_end_is_told(shard: Shard, delivery: str) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x"})
    run = NewRun(CHILD, "a/f", b"given", b"")
    assert await shard.deliver(delivery, lambda: shard.invokes.start_runs("me", [run])) == [True]
    await shard.lease("L1")
    (mine,) = (await shard.claim()).runs
    await finish(shard, Held("L1", mine.id, mine.epoch))
    stored = await shard.stored()
    assert [fields for _, fields in stored.of("answers", "me")][1:] == [[b"r", CHILD.encode(), b"s", b"c"]]
    assert (stored.of("answer", CHILD), stored.of("watchers", CHILD)) == (b"cresult", set())


async def test_whose_stream_has_expired_is_told_nothing_that_would_stay_for_ever(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.invokes.watch_runs("me", [held.run])
    await shard.command("DEL", shard.key("answers", "me"))
    await finish(shard, held)
    stored = await shard.stored()
    assert (stored.of("answers", "me"), stored.of("watchers", held.run)) == ([], set())


async def test_a_hundred_processes_watch_a_run_and_no_more(shard: Shard) -> None:
    held = await shard.claimed()
    for number in range(101):
        await shard.invokes.watch_runs(f"c{number}", [held.run])
    stored = await shard.stored()
    assert len(stored.of("watchers", held.run)) == 100
    assert stored.of("run", held.run)["k"] == "w", "noted once"


async def test_a_function_that_is_not_there_is_said_so(shard: Shard) -> None:
    assert await shard.invokes.start_runs("", [NewRun(CHILD, "a/f", b"given", b"")]) == [False]
    assert (await shard.stored()).of("run", CHILD) == {}


async def test_whoever_watches_late_is_answered_at_once_also_when_the_run_is_deleted(shard: Shard) -> None:
    held = await shard.claimed()
    assert await shard.invokes.watch_runs("me", [held.run]) == [None]
    assert await shard.invokes.watch_runs("you", [held.run]) == [None]
    await finish(shard, held)
    assert await shard.invokes.watch_runs("me", [held.run]) == [State.COMPLETED]
    await shard.upkeep.prune_runs(completed_ms=0, failed_ms=0, bytes_max=0, events_ms=1)
    assert (await shard.stored()).of("run", held.run) == {}
    assert await shard.invokes.watch_runs("me", [held.run]) == [State.COMPLETED]
    assert await shard.invokes.watch_runs("me", ["nobody", held.run]) == [ABSENT, State.COMPLETED]
    stored = await shard.stored()
    assert [len(stored.of("answers", client)) for client in ("me", "you")] == [2, 2]


async def invoked_by(shard: Shard, held: Held, gates: str, *, function: str = "a/f", child: str = CHILD) -> bytes:
    """What a run is told when it invokes a function with these gates: b"" if it may wait."""
    one = write(held, f"call-{child[0]}", child, function)._replace(extras=with_gates(gates, b""))
    (answer,) = (await shard.invokes.invoke_runs(held.lease, [one])).items
    assert isinstance(answer, Recorded)
    return answer.news[0][1].blob if answer.news else b""


async def claimed_with(shard: Shard, gates: str, function: str = "a/f") -> Held:
    await shard.lease("L1", "a/f", "a/g")
    await triggered(shard, gates, function=function)
    (mine,) = (await shard.claim()).runs
    return Held("L1", mine.id, mine.epoch)


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_child_that_would_wait_for_its_parents_slot_is_refused_for_good(shard: Shard, delivery: str) -> None:
    await deploy(shard, f=" 1=1 ")
    held = await claimed_with(shard, "r1=a/f:p")
    told = await shard.deliver(delivery, lambda: invoked_by(shard, held, "r1=a/f:p"))
    assert told == b"TRunSkipped\na/f concurrency a/f:p " + held.run.encode()
    assert await shard.reads.row(CHILD) is None
    assert [skip.reason for skip in await shard.flow.skips("a/f")] == ["concurrency"]
    assert await finish(shard, held) is None


@pytest.mark.parametrize(
    "gates",
    ["r1=a/f:other", "c1=a/f:other", "t=a/f:p", "c1=a/f:p p=1", "i=a/f:p"],
    ids=["another key", "for a turn", "a throttle", "of no limit any more", "an idempotency key"],
)
async def test_a_child_that_needs_nothing_its_parent_keeps_may_wait(shard: Shard, gates: str) -> None:
    await deploy(shard, f=" 1=1 ", g="")
    held = await claimed_with(shard, "r1=a/f:p")
    function = "a/g" if gates.startswith("c1=a/f:p") else "a/f"
    assert await invoked_by(shard, held, gates, function=function) == b""
    assert await shard.suspend(held) is None
    assert CHILD in [run.id for run in (await shard.claim()).runs]


async def test_a_slot_of_a_turn_is_given_back_by_who_waits_for_the_child(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    held = await claimed_with(shard, "c0=a/f:p")
    assert await invoked_by(shard, held, "c0=a/f:p") == b""
    assert await shard.suspend(held) is None
    assert [run.id for run in (await shard.claim()).runs] == [CHILD]


@pytest.mark.parametrize(("limit", "refused"), [(1, True), (2, True), (3, False)])
async def test_what_counts_are_the_slots_of_all_ancestors_that_wait(shard: Shard, limit: int, refused: bool) -> None:
    """The grandparent and the child between hold one each; the grandchild needs one more."""
    await deploy(shard, f=f" 1={limit} ", g=f" 1={limit} ")
    held = await claimed_with(shard, "r1=+nr:p")
    told = await invoked_by(shard, held, "r1=+nr:p", function="a/g")
    assert bool(told) == (limit == 1)
    if limit == 1:
        return
    await shard.suspend(held)
    (mine,) = (await shard.claim()).runs
    between = Held("L1", mine.id, mine.epoch)
    told = await invoked_by(shard, between, "r1=+nr:p", child="D" * 26)
    assert bool(told) == refused
    if refused:
        assert told.endswith(between.run.encode()), "the nearest that holds one"


async def test_an_ancestor_that_does_not_wait_any_more_is_like_anybody_else(shard: Shard) -> None:
    """Its wait's time was over: it ends without the grandchild."""
    await deploy(shard, f=" 1=2 ")
    held = await claimed_with(shard, "r1=a/f:p")
    one = write(held, due_at_ms=shard.now_ms + 10)._replace(extras=with_gates("r1=a/f:p", b""))
    await shard.invokes.invoke_runs(held.lease, [one])
    await shard.suspend(held)
    (mine,) = (await shard.claim()).runs
    between = Held("L1", mine.id, mine.epoch)
    shard.advance(10)
    await shard.timers.fire_timers()
    assert await states(shard, [held.run]) == "q"
    assert await invoked_by(shard, between, "r1=a/f:p", child="D" * 26) == b""


async def test_a_child_may_be_refused_by_a_grandparent_alone(shard: Shard) -> None:
    await deploy(shard, f=" 1=1 ", g="")
    held = await claimed_with(shard, "r1=a/f:p")
    assert await invoked_by(shard, held, "", function="a/g") == b""
    await shard.suspend(held)
    (mine,) = (await shard.claim()).runs
    told = await invoked_by(shard, Held("L1", mine.id, mine.epoch), "r1=a/f:p", child="D" * 26)
    assert told == b"TRunSkipped\na/f concurrency a/f:p " + held.run.encode()


async def test_a_timeout_that_is_due_with_what_cancels_the_child_ends_the_wait_once(shard: Shard) -> None:
    """Nobody fired timers for a while: one call finds both, and the other wait of the run is counted still."""
    held = await parent(shard)
    await invoke(shard, held, due_at_ms=shard.now_ms + 1000)
    await shard.suspend(held, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 10**6)
    await shard.command("ZADD", shard.key("timers"), shard.now_ms + 500, f"X {CHILD}")
    shard.advance(2000)
    await shard.timers.fire_timers()
    assert await states(shard, [held.run, CHILD]) == "qx"
    (again,) = (await shard.claim()).runs
    stored = await shard.stored()
    assert stored.of("run", held.run)["t"] == "1"
    assert await shard.suspend(Held("L1", again.id, again.epoch), seen=1) is None, "it waits for the nap alone"
