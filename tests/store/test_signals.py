"""Signals: a name that one wait in the namespace has; who gives it is told which run has it, or that nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from durableq.model.memo import MemoKind
from durableq.store.records import Recorded
from durableq.store.runs import StepWrite
from durableq.store.signals import NewSignal, SignalWait
from tests.store.awaiting import memo
from tests.store.guards import check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, Held, Shard


def wait(
    held: Held, key: str = "go", signal: str = "approved 7", replace: int = 0, due_at_ms: int = 2**41
) -> SignalWait:
    return SignalWait(held.run, held.epoch, 0, key, b"blob", due_at_ms, b"note", signal, replace)


async def begin(shard: Shard, held: Held, **options: Any) -> Recorded:
    (answer,) = (await shard.signals.await_signals(held.lease, [wait(held, **options)])).items
    assert isinstance(answer, Recorded)
    return answer


async def asleep(shard: Shard, **options: Any) -> Held:
    held = await shard.claimed()
    await begin(shard, held, **options)
    assert await shard.suspend(held) is None
    return held


async def give(shard: Shard, token: str = "t1", signal: str = "approved 7") -> str:
    (run,) = await shard.signals.send_signals([NewSignal(signal, token, 60_000, b"yes")])
    return run


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_wait_takes_its_name(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    before = await shard.stored()
    assert await shard.deliver(delivery, lambda: begin(shard, held)) == Recorded(0, 0, [])
    after = await shard.stored()
    assert before.changed(after) == {"run", "steps", "history", "timers", "timer_bell", "signals"}
    assert after.of("signals") == {"approved 7": f"{held.run} go"}
    assert await memo(shard, held.run, "go") == f"0 {shard.now_ms} g10 approved 7blob"


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, lambda s, h: s.signals.await_signals(h.lease, [wait(h)]))


@lease_gone
async def test_a_lease_that_is_gone_writes_nothing(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, lambda s, h: s.signals.await_signals(h.lease, [wait(h)]))


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_signal_wakes_the_run_that_waits_and_its_giver_is_told_which(shard: Shard, delivery: str) -> None:
    held = await asleep(shard)
    assert await shard.deliver(delivery, lambda: give(shard)) == held.run
    after = await shard.stored()
    assert after.of("steps", held.run) == {"go": f"1 {shard.now_ms} d yes"}
    assert (after.of("run", held.run)["s"], after.of("signals"), after.of("timers")) == ("q", {}, {})


async def test_a_signal_to_nobody_says_so_and_may_be_given_again(shard: Shard) -> None:
    assert await give(shard) == ""
    held = await asleep(shard)
    assert await give(shard) == held.run


async def test_a_signal_given_twice_under_one_token_leaves_the_next_wait_alone(shard: Shard) -> None:
    held = await asleep(shard)
    assert await give(shard) == held.run
    (mine,) = (await shard.claim()).runs
    await begin(shard, Held("L1", mine.id, mine.epoch), key="again")
    assert await give(shard) == held.run
    assert (await memo(shard, held.run, "again")).startswith("0 ")
    assert await give(shard, "t2") == held.run
    assert (await memo(shard, held.run, "again")).startswith("2 ")


async def test_the_second_wait_for_a_name_has_a_failure_for_a_result(shard: Shard) -> None:
    first, second = await shard.claimed(), await shard.claimed()
    answers = (await shard.signals.await_signals("L1", [wait(first), wait(second)])).items
    ((key, found),) = answers[1].news
    assert (answers[0].news, key, found.number, found.kind) == ([], "go", 1, MemoKind.ERROR)
    assert found.blob == f"TSignalTaken\nrun {first.run} waits for signal {wait(second).signal} already".encode()
    (again,) = (await shard.signals.await_signals("L1", [wait(second)._replace(seen=1)])).items
    assert [memo.number for _, memo in again.news] == [1], "decided once"
    details = await shard.reads.details(second.run)
    assert details is not None
    assert details.notes == {"go": b"note"}, "screens show which step it was"


async def test_replacing_takes_the_name_over_and_the_first_can_only_time_out(shard: Shard) -> None:
    first = await asleep(shard, due_at_ms=shard.now_ms + 1000)
    second = await asleep(shard, replace=1)
    shard.advance(1000)
    await shard.timers.fire_timers()
    assert (await memo(shard, first.run, "go")).startswith("1 ")
    assert await give(shard) == second.run


async def test_a_name_is_free_again_when_its_run_has_ended(shard: Shard) -> None:
    first = await asleep(shard)
    await shard.cancels.cancel_runs([first.run], "why")
    second = await asleep(shard)
    await shard.cancels.sweep_ended()
    assert await give(shard) == second.run


async def test_signal_or_timeout_never_both(shard: Shard) -> None:
    held = await asleep(shard, due_at_ms=shard.now_ms + 1000)
    shard.advance(1000)
    await shard.timers.fire_timers()
    assert await give(shard) == ""
    assert await memo(shard, held.run, "go") == f"1 {shard.now_ms} z blob"


async def test_the_holder_is_told(shard: Shard) -> None:
    held = await shard.claimed()
    await begin(shard, held)
    await give(shard)
    ((key, found),) = await shard.suspend(held)
    assert (key, found.blob) == ("go", b"yes")
    seen = StepWrite(held.run, held.epoch, 1, "k", "d", b"", b"")
    assert (await shard.runs.record_steps("L1", [seen])).items[0].news == []
    stored = await shard.stored()
    assert ("o" in stored.of("run", held.run), stored.of("news", held.run)) == (False, []), "what was seen is forgotten"


@pytest.mark.parametrize("damage", ["no such step", "a wait for something else"])
async def test_a_name_that_leads_to_no_wait_of_its_own_is_free(shard: Shard, damage: str) -> None:
    """No script leaves this behind; whoever has edited keys by hand must not have locked a name for ever."""
    other = await asleep(shard, signal="something else")
    owner = f"{other.run} {'gone' if damage == 'no such step' else 'go'}"
    await shard.command("HSET", shard.key("signals"), "approved 7", owner)
    assert await give(shard) == ""
    held = await asleep(shard)
    assert await give(shard) == held.run
    assert (await memo(shard, other.run, "go")).startswith("0 ")


async def test_user_code_that_gives_a_wait_up_leaves_the_name_free(shard: Shard) -> None:
    held = await shard.claimed()
    await begin(shard, held)
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "go", "a", b"", b"")])
    assert (await shard.stored()).of("signals") == {}
    assert await give(shard) == ""


async def test_user_code_that_gives_a_replaced_wait_up_leaves_the_name_with_who_has_it(shard: Shard) -> None:
    first = await shard.claimed()
    await begin(shard, first)
    second = await asleep(shard, replace=1)
    await shard.runs.record_steps("L1", [StepWrite(first.run, first.epoch, 0, "go", "a", b"", b"")])
    assert await give(shard) == second.run


async def test_replacing_one_s_own_wait_leaves_the_later_one(shard: Shard) -> None:
    held = await shard.claimed()
    await begin(shard, held)
    await begin(shard, held, key="again", replace=1)
    assert await give(shard) == held.run
    assert (await memo(shard, held.run, "go")).startswith("0 ")
    assert (await memo(shard, held.run, "again")).startswith("1 ")
