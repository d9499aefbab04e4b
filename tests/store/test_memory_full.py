"""A Redis without memory refuses new work, whole, and lets every run in flight go on to its end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from durableq.store.crons import Settled, TickWrite
from durableq.store.events import Decision, NewEvent
from durableq.store.failures import PostMoved
from durableq.store.flow_reads import FlowReads
from durableq.store.runs import (
    FinishWrite,
    FireWrite,
    LeaveWrite,
    ReleaseWrite,
    RetryWrite,
    StepWrite,
    SuspendWrite,
    WaitWrite,
)
from durableq.store.signals import NewSignal, SignalWait
from durableq.store.work import Work
from durableq.words import codec
from durableq.words.errors import QueueFull
from tests.servers import on
from tests.store.awaiting import wait_for
from tests.store.shard import SCRIPTS, Held, Shard

pytestmark = on("redis7", "valkey")


def declared() -> bytes:
    """A declaration with a cron trigger."""
    return codec.encode({"triggers": [{"cron": "* * * * *", "key": "key"}]})


@pytest_asyncio.fixture
async def full(shard: Shard) -> AsyncIterator[Shard]:
    """A shard with nine runs in hand and nine queued, on a server that has used all it may."""
    await shard.registry.register_app("a", "r1", {"f": b"x", "old": b"x"})
    await shard.registry.register_app("a", "r2", {"f": declared()})
    await shard.lease("L1")
    await shard.backlog(9)
    await shard.claim(room=9)
    await shard.backlog(9)
    await shard.sent(2)
    await shard.command("CONFIG", "SET", "maxmemory", "1mb")
    yield shard
    await shard.command("CONFIG", "SET", "maxmemory", "0")


async def in_hand(shard: Shard) -> list[Held]:
    stored = await shard.stored()
    return [Held("L1", run, 1) for run in sorted(stored.of("held", "L1"))]


async def test_an_event_is_refused_and_nothing_of_it_stored(full: Shard) -> None:
    before = await full.stored()
    with pytest.raises(QueueFull):
        await full.events.send_events([NewEvent("n1", 60_000, b""), NewEvent("n2", 60_000, b"")])
    assert before.changed(await full.stored()) == set()


@pytest.mark.parametrize("kind", ["run", "heard", "aside", "fault"])
async def test_routing_is_refused_and_the_cursor_stays(full: Shard, kind: str) -> None:
    backlog = await full.events.unrouted(10)
    assert len(backlog.entries) == 2
    upto = backlog.entries[-1].id
    decision = Decision(kind, upto, "R", "a/f", 0, b"why")
    before = await full.stored()
    with pytest.raises(QueueFull):
        await full.events.route_events(backlog.cursor, upto, backlog.registry, 2, [decision], 1000)
    assert before.changed(await full.stored()) == set()


async def test_a_tick_is_refused_and_stays_due(full: Shard) -> None:
    (cron,) = (await full.crons.read_crons(10)).crons
    at = full.advance(60_000)
    before = await full.stored()
    with pytest.raises(QueueFull):
        await full.crons.tick_cron(cron, Settled(at, 1, at + 1, at + 1), "skip", [TickWrite(at, "01RUN", b"event")])
    assert before.changed(await full.stored()) == set()


async def test_every_other_verb_goes_through_and_runs_in_flight_finish(full: Shard) -> None:
    one, two, three, four, five, six, *rest = await in_hand(full)
    now = full.now_ms
    done: list[str] = []

    async def through(script: str, answering: object) -> None:
        done.append(script)
        answers = await answering  # type: ignore[misc]
        if isinstance(answers, tuple) and hasattr(answers, "items"):
            assert "STALE" not in repr(answers.items), f"{script}: {answers}"

    runs = full.runs
    await through("open_namespace", full.calls.open())
    await through("read_crons", full.crons.read_crons(10))
    await through("read_unrouted", full.events.unrouted(10))
    await through("register_app", full.registry.register_app("b", "r1", {"f": b"x" * 100}))
    await through("register_lease", full.lease("L2"))
    await through("renew_leases", full.leases.renew_leases(["L1", "L2"]))
    await through("record_steps", runs.record_steps("L1", [StepWrite(one.run, 1, 0, "k", "d", b"x" * 10_000, b"")]))
    await through("finish_runs", runs.finish_runs("L1", [FinishWrite(one.run, 1, "c", b"x" * 10_000)], 10, 10))
    await through("record_waits", runs.record_waits("L1", [WaitWrite(two.run, 1, 0, "k", "w", b"x", now, b"")]))
    await through("fire_waits", runs.fire_waits("L1", [FireWrite(two.run, 1, 0, "k")]))
    await through("record_waits", runs.record_waits("L1", [WaitWrite(six.run, 1, 0, "k", "w", b"x", now + 9, b"")]))
    await through("finish_runs", runs.finish_runs("L1", [FinishWrite(six.run, 1, "f", b"x")], 10, 10))
    write = wait_for(three, looked="9999999999999-0", due_at_ms=now + 9)
    await through("await_events", full.waits.await_events("L1", [write]))
    signal = SignalWait(three.run, 1, 0, "go", b"", now + 9, b"", "go", 0)
    await through("await_signals", full.signals.await_signals("L1", [signal]))
    await through("send_signals", full.signals.send_signals([NewSignal("go", "t", 1000, b"x" * 1000)]))
    await through("read_names", full.waits.read_names(0))
    await through("read_posts", full.waits.read_posts())
    with pytest.raises(PostMoved):
        await through("deliver_event", full.waits.deliver_event("x", "1-0", [], done=True, keep_failed=1))
    await through("watch_runs", full.invokes.watch_runs("me", [three.run]))
    await through("cancel_runs", full.cancels.cancel_runs([three.run], "why"))
    three = rest.pop()
    await through("suspend_runs", runs.suspend_runs("L1", [SuspendWrite(three.run, 1, 0, "k", "w", b"x", now + 1)]))
    await through("leave_slots", runs.leave_slots("L1", [LeaveWrite(four.run, 1)]))
    await through("retry_runs", runs.retry_runs("L1", [RetryWrite(four.run, 1, 1, now + 1, b"")]))
    await through("release_runs", runs.release_runs("L1", [ReleaseWrite(five.run, 1)]))
    await through("note_doing", runs.note_doing("L1", "step"))
    full.advance(1)
    await through("fire_timers", full.timers.fire_timers())
    await through("sweep_ended", full.cancels.sweep_ended())
    await through("retire_names", full.waits.retire_names(0))
    await through("claim_runs", full.claim("L2"))
    await through("release_strangers", runs.release_strangers("L2", full.number("L2"), []))
    await through("set_gate", full.upkeep.set_gate(1.0, prunable=False))
    await through("close_lease", full.leases.close_lease("L1", crashed=True, reason="signal 9", keep_failed=10))
    await through("rescue_leases", full.leases.rescue_leases(keep_failed=10))
    await through("retire_functions", full.registry.retire_functions(0))
    await through("promote_deployment", full.registry.promote_deployment("a", "r1"))
    await through("count_work", Work(full.calls).left(["L2"]))
    await through("pause_functions", full.flow.pause_functions(["a/f"], ""))
    await through("note_faults", full.registry.note_faults([("a/f debounce", "why")]))
    await through("read_gates", FlowReads(full.calls).gates("a/f"))
    await through("free_slots", full.flow.free_slots("L2", ["nobody"]))
    await through("prune_runs", full.upkeep.prune_runs(completed_ms=0, failed_ms=0, bytes_max=0, events_ms=1))
    assert set(done) | {"send_events", "route_events", "tick_cron", "invoke_runs", "start_runs", "rerun_runs"} == set(
        SCRIPTS
    )
    assert len(rest) == 2
    await full.run_to_the_end()


async def test_a_server_that_is_full_says_so_in_a_code_that_is_understood(full: Shard) -> None:
    with pytest.raises(QueueFull, match=re.escape("80 % of its maxmemory")):
        await full.sent()
