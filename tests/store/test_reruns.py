"""rerun_runs: a new run that does again what another did, with the memos that it is to keep (decision 015)."""

from __future__ import annotations

import pytest

from durableq.model.flow import with_gates
from durableq.store.reruns import Rerun, Reruns, last_before
from durableq.store.runs import FinishWrite, StepWrite, WaitWrite
from durableq.words.ids import run_id
from tests.store.gates import deploy, finish, held_by, states, triggered
from tests.store.shard import DELIVERIES, EVENT, Held, Shard

NEW = run_id("7-1", "again", 0)


async def worked(shard: Shard, *keys: str, final: bool = True) -> Held:
    """A run with a result per key, in this order."""
    await deploy(shard)
    held = await shard.claimed()
    for number, key in enumerate(keys):
        write = StepWrite(held.run, held.epoch, number, key, "d", key.encode(), b"")
        await shard.runs.record_steps(held.lease, [write])
    if final:
        await shard.runs.finish_runs(held.lease, [FinishWrite(held.run, held.epoch, "f", b"")], 100, 100)
    return held


async def rerun(shard: Shard, source: str, last: int = 0, *, given: bytes = b"", extras: bytes = b"") -> str:
    (reply,) = await Reruns(shard.calls).rerun_runs("", [Rerun(NEW, source, given, last, extras)])
    return reply


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_rerun_begins_anew_with_what_the_source_was_given(shard: Shard, delivery: str) -> None:
    held = await worked(shard, "a", "b")
    assert await shard.deliver(delivery, lambda: rerun(shard, held.run)) == ""
    (claimed,) = (await shard.claim()).runs
    assert (claimed.id, claimed.input, claimed.memos or {}) == (NEW, EVENT, {})
    assert (await shard.stored()).of("run", NEW)["v"] == held.run


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_rerun_from_a_step_has_what_was_recorded_before_it(shard: Shard, delivery: str) -> None:
    held = await worked(shard, "a", "b", "c", "d")
    last = last_before(await shard.runs.read_memos(held.run), "c")
    assert last == 2
    await shard.deliver(delivery, lambda: rerun(shard, held.run, last, given=b"\xc1 edited"))
    (claimed,) = (await shard.claim()).runs
    assert (claimed.id, claimed.input, claimed.sequence) == (NEW, b"\xc1 edited", 2)
    assert {key: memo.number for key, memo in (await shard.runs.read_memos(NEW)).items()} == {"a": 1, "b": 2}
    write = StepWrite(NEW, claimed.epoch, 2, "c", "d", b"again", b"")
    (answer,) = (await shard.runs.record_steps("L1", [write])).items
    assert answer.number == 3
    assert (await shard.runs.read_memos(held.run)).keys() == {"a", "b", "c", "d"}, "the source is as it was"


async def test_of_a_living_run_the_results_are_taken_and_what_it_waits_for_is_not(shard: Shard) -> None:
    held = await worked(shard, "a", "b", final=False)
    due = shard.now_ms + 1000
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 2, "nap", "w", b"", due, b"")])
    last = last_before(await shard.runs.read_memos(held.run), "nap")
    assert await rerun(shard, held.run, last) == ""
    assert (await shard.runs.read_memos(NEW)).keys() == {"a", "b"}


async def test_what_is_gone_or_unknown_is_not_rerun(shard: Shard) -> None:
    held = await worked(shard, "a")
    assert await rerun(shard, "nobody") == "GONE"
    await shard.registry.register_app("a", "without", {"g": b""})
    await shard.registry.retire_functions(0)
    await shard.leases.close_lease("L1", crashed=False, reason="left", keep_failed=10)
    await shard.registry.retire_functions(0)
    assert await rerun(shard, held.run) == "NO_FUNCTION"


async def test_a_rerun_passes_what_drops_and_meets_what_delays(shard: Shard) -> None:
    held = await worked(shard, "a")
    await deploy(shard, f=" 0=1 l=1/1000 i=86400000 s=skip ")
    gates = "i=a/f:k l=k c0=p"
    await triggered(shard, gates)
    assert await rerun(shard, held.run, extras=with_gates(gates, b"")) == ""
    assert len((await shard.claim()).runs) == 1


async def test_a_rerun_of_a_singleton_is_skipped_while_another_is_living(shard: Shard) -> None:
    held = await worked(shard, "a")
    await deploy(shard, f=" s=skip ")
    (other,) = await triggered(shard, "s=a/f:k")
    assert await rerun(shard, held.run, extras=with_gates("s=a/f:k", b"")) == f"SKIPPED singleton a/f:k {other}"
    assert await states(shard, [other, NEW]) == "q-"


async def test_what_was_done_again_is_not_once_more_even_when_that_is_pruned(shard: Shard) -> None:
    held = await worked(shard, "a")
    assert await rerun(shard, held.run) == ""
    assert (await shard.stored()).of("run", held.run)["r"] == NEW
    (again,) = await held_by(shard)
    await finish(shard, again)
    await shard.upkeep.prune_runs(completed_ms=0, failed_ms=1 << 40, bytes_max=1 << 40, events_ms=1 << 40)
    assert await states(shard, [held.run, NEW]) == "f-"
    assert await rerun(shard, held.run) == ""
    assert await states(shard, [NEW]) == "-"


async def test_a_rerun_passes_an_idempotency_key_that_another_run_has(shard: Shard) -> None:
    held = await worked(shard, "a")
    await deploy(shard, f=" i=60000 ")
    await triggered(shard, "i=a/f:k")
    assert await rerun(shard, held.run, extras=with_gates("i=a/f:k", b"")) == ""
    assert await states(shard, [NEW]) == "q"
