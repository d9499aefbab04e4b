"""Cancelled is one transition from anywhere; what hangs on a run is void at once and taken away later, by whoever comes."""

from __future__ import annotations

from typing import Any

import pytest

from durableq.model.run import State
from durableq.store.cancels import ABSENT
from durableq.store.events import Decision
from durableq.store.records import STALE
from durableq.store.runs import FinishWrite, StepWrite, SuspendWrite, WaitWrite
from durableq.words.ids import run_id
from tests.servers import RealServer, on
from tests.store.awaiting import BUCKET, NAME, accept, asleep, begin, deliver, happened, listener, names
from tests.store.shard import DELIVERIES, EVENT, Held, Shard
from tests.store.test_invokes import CHILD, both, invoke, parent, write

WHY = b"TRunCancelled\nby hand"


async def cancel(shard: Shard, *runs: str) -> list[Any]:
    return (await shard.cancels.cancel_runs(list(runs), "by hand")).runs


async def fate(shard: Shard, run: str) -> str:
    found: str = (await shard.stored()).of("run", run)["s"]
    return found


async def _queued(shard: Shard) -> str:
    return await shard.queued()


async def _delayed(shard: Shard) -> str:
    return await shard.queued(due_at_ms=shard.now_ms + 1000)


async def _waiting(shard: Shard) -> str:
    return (await shard.waiting()).run


async def _in_hand(shard: Shard) -> str:
    return (await shard.claimed()).run


PLACES = {"queued": _queued, "delayed": _delayed, "waiting": _waiting, "in hand": _in_hand}
PLACES["suspected"] = Shard.suspected


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_run_is_cancelled_wherever_it_is(shard: Shard, place: str, delivery: str) -> None:
    run = await PLACES[place](shard)
    answer = await shard.deliver(delivery, lambda: cancel(shard, run))
    assert answer == ([State.CANCELLED] if delivery == "reply lost" else [None])
    stored = await shard.stored()
    v = stored.of("run", run)
    assert (v["s"], v["e"], v["l"]) == ("x", str(shard.now_ms), "")
    assert "d" not in v, "it is not to begin at any time"
    assert int(v["m"]) >= 400 + len(EVENT) + len(WHY), "counted as any run, also if it was never claimed"
    assert stored.of("output", run) == WHY
    assert run in stored.of("done", "a/f:x")
    await shard.cancels.sweep_ended()
    assert (await shard.stored()).of("timers") == {}


@pytest.mark.parametrize("state", ["c", "f"])
async def test_a_final_run_stays_what_it_is(shard: Shard, state: str) -> None:
    held = await shard.finished(state)
    before = await shard.stored()
    assert await cancel(shard, held.run, "nobody") == [State(state), ABSENT]
    assert before.changed(await shard.stored()) == set()


async def test_nothing_of_a_cancelled_run_is_recorded(shard: Shard) -> None:
    held = await shard.claimed()
    await cancel(shard, held.run)
    before = await shard.stored()
    step = StepWrite(held.run, held.epoch, 0, "k", "d", b"", b"")
    wait = WaitWrite(held.run, held.epoch, 0, "k", "w", b"", shard.now_ms, b"")
    await shard.registry.register_app("a", "r1", {"f": b"x"})
    before = await shard.stored()
    runs = shard.runs
    for answers in (
        await runs.record_steps("L1", [step]),
        await runs.record_waits("L1", [wait]),
        await runs.suspend_runs("L1", [SuspendWrite(held.run, held.epoch, 0)]),
        await runs.finish_runs("L1", [FinishWrite(held.run, held.epoch, "c", b"")], 10, 10),
        await shard.invokes.invoke_runs("L1", [write(held)]),
    ):
        assert answers.items == [STALE]
    assert before.changed(await shard.stored()) == set()


@on("redis7", "valkey")
async def test_the_holder_hears_of_it(shard: Shard, server: RealServer) -> None:
    held = await shard.claimed()
    await cancel(shard, held.run)
    rung = await shard.bells.wait(apps=[], events=False, timers=False, inbox="L1", block_ms=100)
    assert rung.cancelled == [(held.run, "by hand")]


async def test_the_comparison_of_hands_finds_it_when_the_hint_is_lost(shard: Shard) -> None:
    held = await shard.claimed()
    await cancel(shard, held.run)
    assert await shard.runs.release_strangers("L1", shard.number("L1"), [held.run]) == ([], [held.run])


async def test_a_claim_sent_again_does_not_bring_it_back(shard: Shard) -> None:
    await shard.lease("L1")
    run = await shard.queued()
    assert len((await shard.runs.claim_runs("L1", 1, 10, False, 0, ["a"])).runs) == 1
    await cancel(shard, run)
    assert (await shard.runs.claim_runs("L1", 1, 10, False, 0, ["a"])).runs == []


async def test_cancel_or_completion_whichever_script_is_first(shard: Shard) -> None:
    one, two = await shard.claimed(), await shard.claimed()
    ends = [FinishWrite(held.run, held.epoch, "c", b"") for held in (one, two)]
    await cancel(shard, one.run)
    assert (await shard.runs.finish_runs("L1", ends, 10, 10)).items == [STALE, None]
    assert await cancel(shard, one.run, two.run) == [State.CANCELLED, State.COMPLETED]


async def test_the_child_that_had_it_alone_claims_again(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    assert (await shard.claim(alone=True)).alone
    await cancel(shard, run)
    other = await shard.suspected()
    (mine,) = (await shard.claim(alone=True)).runs
    assert mine.id == other


async def test_at_its_third_death_it_is_cancelled_already(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    await shard.claim(alone=True)
    await cancel(shard, run)
    await shard.crash("L1")
    assert await fate(shard, run) == "x"


async def test_cancelled_runs_are_kept_and_pruned_as_failed_ones_are(shard: Shard) -> None:
    runs = [await shard.queued() for _ in range(3)]
    for run in runs:
        shard.advance(1)
        await shard.cancels.cancel_runs([run], "why", keep_failed=2)
    stored = await shard.stored()
    assert sorted(run for run, _ in stored.family("run")) == sorted(runs[1:])
    shard.advance(100)
    await shard.upkeep.prune_runs(completed_ms=1, failed_ms=10, bytes_max=10**9, events_ms=1)
    assert dict((await shard.stored()).family("run")) == {}


# Children


@pytest.mark.parametrize("end", ["cancelled", "failed", "completed"])
async def test_awaited_children_of_what_failed_or_was_cancelled_are_cancelled(shard: Shard, end: str) -> None:
    held = await parent(shard)
    await invoke(shard, held)
    if end == "cancelled":
        await cancel(shard, held.run)
    else:
        await shard.runs.finish_runs("L1", [FinishWrite(held.run, held.epoch, end[0], b"")], 10, 10)
    assert await shard.cancels.sweep_ended() is False
    assert await fate(shard, CHILD) == ("q" if end == "completed" else "x")


async def test_children_of_children_are_cancelled_too(shard: Shard) -> None:
    held, child = await both(shard)
    await invoke(shard, child, child="D" * 26)
    await cancel(shard, held.run)
    assert await shard.cancels.sweep_ended() is False
    assert [await fate(shard, run) for run in (CHILD, "D" * 26)] == ["x", "x"]


async def test_a_long_chain_of_invokes_falls_in_one_call(shard: Shard) -> None:
    chain = [await parent(shard)]
    for number in range(20):
        await invoke(shard, chain[-1], child=f"{number:026}")
        assert await shard.suspend(chain[-1]) is None
        (claimed,) = (await shard.claim()).runs
        chain.append(Held("L1", claimed.id, claimed.epoch))
    await cancel(shard, chain[0].run)
    assert await shard.cancels.sweep_ended(limit=10) is True
    assert await shard.cancels.sweep_ended(limit=15) is False
    assert {await fate(shard, held.run) for held in chain} == {"x"}


async def test_a_hundred_children_a_call_and_whoever_comes_next_goes_on(shard: Shard) -> None:
    held = await parent(shard)
    children = [f"{number:026}" for number in range(250)]
    for start in range(0, 250, 50):
        writes = [write(held, key=f"k{child}", child=child) for child in children[start : start + 50]]
        await shard.invokes.invoke_runs("L1", writes)
    await cancel(shard, held.run)
    counts = []
    for more in (True, True, False):
        assert await shard.cancels.sweep_ended() is more
        stored = await shard.stored()
        counts.append(sum(stored.of("run", child)["s"] == "x" for child in children))
    assert counts == [100, 200, 250]


async def test_a_sweep_takes_away_what_it_was_asked_for_and_no_more(shard: Shard) -> None:
    held = await parent(shard)
    due = shard.now_ms + 9000
    waits = [WaitWrite(held.run, held.epoch, 0, f"nap{n}", "w", b"", due, b"") for n in range(25)]
    await shard.runs.record_waits("L1", waits)
    await invoke(shard, held)
    await cancel(shard, held.run)
    left = []
    for more in (True, True, False):
        assert await shard.cancels.sweep_ended(limit=10) is more
        left.append(len((await shard.stored()).of("timers")))
    assert left == [16, 6, 0]
    assert await fate(shard, CHILD) == "x"


@on("redis7", "valkey")
async def test_large_results_are_not_read_to_find_what_still_hangs_on_a_run(shard: Shard, server: RealServer) -> None:
    held = await parent(shard)
    await invoke(shard, held)
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "big", "d", b"x" * 1_100_000, b"")])
    await cancel(shard, held.run)
    await shard.command("CONFIG", "RESETSTAT")
    assert await shard.cancels.sweep_ended() is False
    assert "cmdstat_hgetall" not in (await shard.command("INFO", "commandstats")).decode()
    assert await fate(shard, CHILD) == "x"


@on("redis7", "valkey")
@pytest.mark.parametrize("others", [0, 1])
async def test_a_run_of_thousands_of_memos_is_swept_a_page_at_a_time(
    shard: Shard, server: RealServer, others: int
) -> None:
    held = await parent(shard)
    for start in range(0, 700, 100):
        steps = [StepWrite(held.run, held.epoch, start, f"s{start + n}", "d", b"", b"") for n in range(100)]
        await shard.runs.record_steps("L1", steps)
    writes = [write(held, key=f"k{n}", child=f"{n:026}")._replace(seen=700) for n in range(20)]
    await shard.invokes.invoke_runs("L1", writes)
    await cancel(shard, held.run)
    calls, waiting = 1, [await shard.waiting() for _ in range(others)]
    while await shard.cancels.sweep_ended(page=100):
        calls += 1
        assert calls <= 14, "it begins again and again"
        if calls == 2:
            await cancel(shard, *(other.run for other in waiting))
    assert calls >= 7
    stored = await shard.stored()
    assert {stored.of("run", f"{n:026}")["s"] for n in range(20)} == {"x"}
    assert "sweeping" not in stored.of("meta")


async def test_a_run_is_not_deleted_before_what_hangs_on_it_was_swept(shard: Shard) -> None:
    """Its children are found by its memos."""
    held = await parent(shard)
    await invoke(shard, held)
    await cancel(shard, held.run)
    shard.advance(1000)
    await shard.upkeep.prune_runs(completed_ms=0, failed_ms=0, bytes_max=0, events_ms=1)
    assert await fate(shard, held.run) == "x"
    await shard.cancels.sweep_ended()
    assert await fate(shard, CHILD) == "x"
    shard.advance(1000)
    await shard.upkeep.prune_runs(completed_ms=0, failed_ms=0, bytes_max=0, events_ms=1)
    assert dict((await shard.stored()).family("run")) == {}


async def test_a_child_that_was_given_up_goes_on(shard: Shard) -> None:
    held = await parent(shard)
    await invoke(shard, held)
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "call", "a", b"", b"")])
    await cancel(shard, held.run)
    await shard.cancels.sweep_ended()
    assert await fate(shard, CHILD) == "q"


# cancel_on


async def started(shard: Shard, extras: bytes, *, due_at_ms: int = 0, after: bool = True) -> str:
    """A run with extras, started in one batch with an event of the listener's name before and (if asked) behind it."""
    entries = await shard.sent(3 if after else 2)
    run = run_id(entries[1], "a/f", 0)
    backlog = await shard.events.unrouted(1)
    decisions: list[Decision] = []
    for entry in entries:
        if entry == entries[1]:
            decisions.append(Decision("run", entry, run, "a/f", due_at_ms, extras))
        decisions.append(Decision("heard", entry, function=NAME, detail=BUCKET.encode()))
    await shard.events.route_events(
        backlog.cursor, entries[-1], backlog.registry, len(entries), decisions, 1000, await names(shard)
    )
    return run


async def test_an_event_behind_the_trigger_in_its_own_batch_cancels(shard: Shard) -> None:
    run = await started(shard, listener())
    await deliver(shard)
    assert await fate(shard, run) == "x"
    await shard.cancels.sweep_ended()
    stored = await shard.stored()
    assert (stored.of("waits", BUCKET), stored.of("listens", run), stored.of("heard", NAME)["open"]) == ({}, [], "0")


async def test_the_trigger_and_what_was_before_it_do_not_cancel(shard: Shard) -> None:
    run = await started(shard, listener(), after=False)
    await deliver(shard)
    assert await fate(shard, run) == "q"
    await happened(shard)
    await deliver(shard)
    assert await fate(shard, run) == "x"


async def test_a_listener_holds_for_its_time(shard: Shard) -> None:
    run = await started(shard, listener(until_ms=1), after=False)
    seconds, micros = await shard.command("TIME")
    created = int((await shard.stored()).of("run", run)["c"])
    while int(seconds) * 1000 + int(micros) // 1000 <= created + 1:
        seconds, micros = await shard.command("TIME")
    await happened(shard)
    assert await deliver(shard) == 0
    assert await fate(shard, run) == "q"


async def test_a_run_that_waits_for_the_event_that_cancels_it_is_cancelled(shard: Shard) -> None:
    run = await started(shard, listener(), after=False)
    await shard.lease("L1")
    (mine,) = (await shard.claim()).runs
    await begin(shard, Held("L1", mine.id, mine.epoch))
    await happened(shard)
    await deliver(shard)
    assert await fate(shard, run) == "x"
    await shard.cancels.sweep_ended()


async def test_the_second_event_finds_it_cancelled(shard: Shard) -> None:
    run = await started(shard, listener())
    await happened(shard)
    assert await deliver(shard) == 1
    assert await fate(shard, run) == "x"


# Timeouts


async def timed(shard: Shard, timeouts: str = "5000 0") -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x", "f !": timeouts.encode()})


async def test_a_run_that_does_not_begin_in_time_is_cancelled(shard: Shard) -> None:
    await timed(shard)
    run = await started(shard, b"- 5000 ", after=False)
    created = int((await shard.stored()).of("run", run)["c"])
    shard.calls.now_ms = created + 4999
    await shard.timers.fire_timers()
    assert await fate(shard, run) == "q"
    shard.advance(1)
    await shard.timers.fire_timers()
    stored = await shard.stored()
    assert (stored.of("run", run)["s"], stored.of("timers")) == ("x", {})
    assert b"it had not begun within 5s (timeouts)" in stored.of("output", run)


async def test_a_run_that_has_begun_is_left_alone_by_its_start_timeout(shard: Shard) -> None:
    await timed(shard)
    run = await started(shard, b"- 5000 ", after=False)
    await shard.lease("L1")
    await shard.claim()
    shard.advance(10_000)
    await shard.timers.fire_timers()
    assert await fate(shard, run) == "r"


async def test_a_delayed_start_counts_from_its_due_time(shard: Shard) -> None:
    await timed(shard)
    due = shard.now_ms + 60_000
    run = await started(shard, b"- 5000 ", due_at_ms=due, after=False)
    shard.calls.now_ms = due + 4999
    await shard.timers.fire_timers()
    assert await fate(shard, run) == "q"
    shard.advance(1)
    await shard.timers.fire_timers()
    assert await fate(shard, run) == "x"


@pytest.mark.parametrize("state", ["in hand", "asleep"])
async def test_a_run_that_does_not_finish_in_time_is_cancelled(shard: Shard, state: str) -> None:
    await timed(shard, "0 3000")
    await shard.leases.register_lease("L1", "w", ["a"], "r", ["a/f"], finish_ms={"a/f": 3000})
    held = await shard.claimed()
    if state == "asleep":
        await shard.suspend(held, key="nap", kind="w", due_at_ms=shard.now_ms + 9000)
    shard.advance(3000)
    await shard.timers.fire_timers()
    assert await fate(shard, held.run) == "x"
    await shard.cancels.sweep_ended()
    assert (await shard.stored()).of("timers") == {}


async def test_a_longer_timeout_of_a_delayed_start_counts_from_its_due_time_too(shard: Shard) -> None:
    await timed(shard)
    due = shard.now_ms + 60_000
    run = await started(shard, b"- 5000 ", due_at_ms=due, after=False)
    await shard.registry.register_app("a", "r2", {"f": b"x", "f !": b"9000 0"})
    shard.calls.now_ms = due + 8999
    await shard.timers.fire_timers()
    assert await fate(shard, run) == "q"
    shard.advance(1)
    await shard.timers.fire_timers()
    assert await fate(shard, run) == "x"


async def test_a_run_that_finishes_in_time_leaves_no_timer(shard: Shard) -> None:
    await timed(shard, "0 3000")
    await shard.leases.register_lease("L1", "w", ["a"], "r", ["a/f"], finish_ms={"a/f": 3000})
    held = await shard.claimed()
    assert len((await shard.stored()).of("timers")) == 1
    await shard.runs.finish_runs("L1", [FinishWrite(held.run, held.epoch, "c", b"")], 10, 10)
    stored = await shard.stored()
    assert (stored.of("timers"), stored.of("void")) == ({}, set())


@pytest.mark.parametrize(("now", "then"), [("0 9000", "x"), ("0 0", "r")])
async def test_a_deployment_moves_or_drops_a_timeout_at_once(shard: Shard, now: str, then: str) -> None:
    await timed(shard, "0 3000")
    await shard.leases.register_lease("L1", "w", ["a"], "r", ["a/f"], finish_ms={"a/f": 3000})
    held = await shard.claimed()
    await shard.registry.register_app("a", "r2", {"f": b"x", "f !": now.encode()})
    shard.advance(3000)
    await shard.timers.fire_timers()
    assert await fate(shard, held.run) == "r"
    shard.advance(6000)
    await shard.timers.fire_timers()
    assert await fate(shard, held.run) == then


# System events


async def emitted(shard: Shard) -> list[str]:
    stored = await shard.stored()
    return [fields[1].decode() for _, fields in stored.of("events") if fields[1].startswith(b"S")]


async def test_system_events_are_written_only_when_somebody_listens(shard: Shard) -> None:
    await shard.finished("c")
    await shard.finished("f")
    assert await emitted(shard) == []
    await shard.registry.register_app("a", "r1", {"f": b"x", " !": b"ex"})
    held = await shard.claimed()
    await shard.finished("c")
    failed = await shard.finished("f")
    await cancel(shard, held.run)
    assert await emitted(shard) == [f"Se {failed.run}", f"Sx {held.run}"]
    assert [entry.blob[:2] for entry in (await shard.events.unrouted(10)).entries] == [b"Se", b"Sx"]


async def test_waiting_for_a_system_event_makes_it_heard(shard: Shard) -> None:
    held = await asleep(shard, event_name="durableq/function.finished")
    other = await shard.finished("c")
    assert await emitted(shard) == [f"Sf {other.run}"]
    assert held


async def route_nothing(shard: Shard) -> None:
    """Move the cursor to the end of the stream."""
    backlog = await shard.events.unrouted(100)
    names = int(await shard.command("HGET", shard.key("meta"), "names"))
    upto = backlog.entries[-1].id
    await shard.events.route_events(backlog.cursor, upto, backlog.registry, len(backlog.entries), [], 1000, names)


async def test_a_system_event_that_nothing_waits_for_any_more_is_not_written_any_more(shard: Shard) -> None:
    for name in ("durableq/function.finished", "durableq/function.failed"):
        await asleep(shard, event_name=name)
    assert (await shard.stored()).of("meta")["echo"] == "fe"
    await shard.run_to_the_end()
    while await shard.cancels.sweep_ended():
        pass
    shard.advance(900_001)
    await shard.registry.register_app("a", "r1", {"f": b"x", " !": b"x"})
    assert (await shard.waits.retire_names(900_000)).forgotten == 2
    assert ((await shard.stored()).of("meta")["echo"], (await shard.stored()).of("echoes")) == ("x", {"a": "x"})
    await route_nothing(shard)
    before = await emitted(shard)
    await shard.finished("f")
    assert await emitted(shard) == before
    await asleep(shard, event_name="durableq/function.finished")
    assert (await shard.stored()).of("meta")["echo"] == "fx"


async def test_a_silent_run_and_what_it_invokes_emit_nothing(shard: Shard) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x", " !": b"fexi"})
    run = await started(shard, b"s 0 ", after=False)
    await shard.lease("L1")
    (mine,) = (await shard.claim()).runs
    assert mine.id == run
    await shard.invokes.invoke_runs("L1", [write(Held("L1", run, mine.epoch))])
    await cancel(shard, run)
    await shard.cancels.sweep_ended()
    assert await fate(shard, CHILD) == "x"
    assert await emitted(shard) == []


async def test_a_reference_becomes_the_event_that_the_router_made_of_it(shard: Shard) -> None:
    entry = await accept(shard, b"Sf R")
    backlog = await shard.events.unrouted(1)
    decisions = [Decision("event", entry, detail=b"the event"), Decision("run", entry, "R" * 26, "a/f")]
    await shard.events.route_events(backlog.cursor, entry, backlog.registry, 1, decisions, 1000)
    assert (await shard.stored()).of("input", "R" * 26) == b"the event"
