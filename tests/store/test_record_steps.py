"""record_steps: what a step came to is written once; every later write is answered with the first."""

from __future__ import annotations

from itertools import chain

import pytest

from durableq.model.memo import Memo, MemoKind
from durableq.store.records import STALE, Recorded, result
from durableq.store.runs import Answers, StepWrite, WaitWrite
from tests.store.guards import check_items_are_answered_apart, check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, Held, Shard


async def record(
    shard: Shard, held: Held, key: str = "k", blob: bytes = b"v", kind: str = "d", seen: int = 0
) -> Answers:
    write = StepWrite(held.run, held.epoch, seen, key, kind, blob, b"note")
    return await shard.runs.record_steps(held.lease, [write])


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, record)


@lease_gone
async def test_a_lease_that_is_gone_is_refused(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, record)


async def test_each_item_is_answered_by_itself(shard: Shard) -> None:
    async def act(helds: list[Held]) -> Answers:
        return await shard.runs.record_steps(
            "L1", [StepWrite(held.run, held.epoch, 0, "k", "d", b"", b"") for held in helds]
        )

    await check_items_are_answered_apart(shard, act)


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_result_is_written_once_with_the_next_number(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    before = await shard.stored()
    answers = await shard.deliver(delivery, lambda: record(shard, held, blob=b"\x00 \n\xff"))
    after = await shard.stored()
    assert answers == Answers(shard.now_ms, [Recorded(1, shard.now_ms, [])])
    assert before.changed(after) == {"run", "steps"}
    memo = (await shard.runs.read_memos(held.run))["k"]
    assert memo == Memo(1, shard.now_ms, MemoKind.DATA, b"\x00 \n\xff")
    stored = f"1 {shard.now_ms} d4 note".encode() + b"\x00 \n\xff"
    assert after.of("steps", held.run) == {"k": stored}
    bytes_before = int(before.of("run", held.run)["m"])
    assert after.of("run", held.run) == before.of("run", held.run) | {"q": "1", "m": str(bytes_before + len(stored))}


async def test_the_first_write_wins(shard: Shard) -> None:
    held = await shard.claimed()
    await record(shard, held, blob=b"first")
    shard.advance(50)
    answers = await record(shard, held, blob=b"second", kind="e", seen=1)
    assert answers.items == [Recorded(1, shard.now_ms - 50, [])]
    assert (await shard.runs.read_memos(held.run))["k"].blob == b"first"
    assert (await shard.stored()).of("run", held.run)["q"] == "1"


async def test_two_results_of_one_call_take_two_numbers_and_the_first_of_one_key_wins(shard: Shard) -> None:
    held = await shard.claimed()
    keys = ("a", "b", "a")
    writes = [StepWrite(held.run, held.epoch, 0, key, "d", b"%d" % i, b"") for i, key in enumerate(keys)]
    answers = (await shard.runs.record_steps(held.lease, writes)).items
    assert [answer.number for answer in answers] == [1, 2, 1]
    memos = await shard.runs.read_memos(held.run)
    assert {key: memo.blob for key, memo in memos.items()} == {"a": b"0", "b": b"1"}


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_result_in_place_of_a_pending_retry_ends_it_and_its_timer(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    due = shard.now_ms + 5000
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "k", "r", b"again", due, b"")])
    assert f"r {held.run} k" in (await shard.stored()).of("timers")
    await shard.deliver(delivery, lambda: record(shard, held))
    after = await shard.stored()
    assert after.of("timers") == {}
    assert after.of("run", held.run)["t"] == "0"
    assert after.of("steps", held.run) == {"k": f"1 {shard.now_ms} d4 notev"}


async def test_what_came_from_outside_comes_with_the_answer_until_it_was_seen(shard: Shard) -> None:
    held = await shard.claimed()
    due = shard.now_ms + 10
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "nap", "w", b"zz", due, b"")])
    shard.advance(10)
    await shard.timers.fire_timers()
    woken = ("nap", Memo(1, shard.now_ms, MemoKind.WOKEN, b"zz"))
    for _ in range(2):
        assert (await record(shard, held, seen=0)).items == [Recorded(2, shard.now_ms, [woken])]
    assert (await record(shard, held, "other", seen=2)).items == [Recorded(3, shard.now_ms, [])]
    after = await shard.stored()
    assert "o" not in after.of("run", held.run)
    assert after.of("news", held.run) == []


async def test_a_holder_that_has_seen_more_than_there_is_is_stale(shard: Shard) -> None:
    """Redis came back older than it was: what the holder has in mind is not what is recorded."""
    held = await shard.claimed()
    before = await shard.stored()
    assert (await record(shard, held, seen=1)).items == [STALE]
    assert before.changed(await shard.stored()) == set()


async def test_a_recorded_step_forgives_the_deaths_before_it(shard: Shard) -> None:
    run = await shard.suspected()
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    await record(shard, Held("L1", run, mine.epoch))
    after = await shard.stored()
    assert "x" not in after.of("run", run)
    assert "alone" not in after.of("lease", "L1")


@pytest.mark.parametrize("note", [b"", b"5 d ", b"\x00\xff" * 700])
@pytest.mark.parametrize("blob", [b"", b"12 ", b"\x00 \n\xff" * 700])
async def test_any_note_and_any_value_come_back_apart(shard: Shard, note: bytes, blob: bytes) -> None:
    held = await shard.claimed()
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "k", "d", blob, note)])
    details = await shard.reads.details(held.run)
    assert details is not None
    assert (details.notes.get("k", b""), details.memos["k"].blob) == (note, blob)


async def test_a_result_beside_news_is_answered_with_its_time_and_a_known_one_with_the_first(shard: Shard) -> None:
    """The short answer, a number alone, is only for what was written now with nothing newer."""
    held = await shard.claimed()
    await record(shard, held)
    shard.advance(7)
    writes = [StepWrite(held.run, held.epoch, 1, key, "d", b"", b"") for key in ("k", "other")]
    items = [(write.run_id, write.epoch, 1, write.key, result("d", b"", b"")) for write in writes]
    raw = await shard.calls.run("record_steps", "L1", *chain.from_iterable(items))
    assert raw == [shard.now_ms, [[1, shard.now_ms - 7, []], 2]]
    assert (await shard.runs.record_steps("L1", writes)).items == [
        Recorded(1, shard.now_ms - 7, []),
        Recorded(2, shard.now_ms, []),
    ]
