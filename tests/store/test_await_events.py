"""await_events: a wait is filed when everything that is there already has been looked at, and is nothing before."""

from __future__ import annotations

import pytest

from durableq.store.events import Decision
from durableq.store.failures import NamesChanged
from durableq.store.records import Recorded
from durableq.store.runs import FinishWrite, FireWrite, StepWrite
from durableq.store.waits import ToLookAt
from tests.store.awaiting import (
    ANYHOW,
    BUCKET,
    NAME,
    accept,
    ask,
    asleep,
    awaiting,
    begin,
    deliver,
    happened,
    memo,
    names,
    route,
    wait_for,
)
from tests.store.guards import check_items_are_answered_apart, check_lease_lost, check_refused, lease_gone, not_in_hand
from tests.store.shard import DELIVERIES, Held, Shard


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_wait_is_recorded_filed_and_timed_in_one_act(shard: Shard, delivery: str) -> None:
    held = await shard.claimed()
    before = await shard.stored()
    answer = await shard.deliver(delivery, lambda: ask(shard, held))
    after = await shard.stored()
    assert answer == Recorded(0, 0, [])
    changed = {"meta", "run", "steps", "history", "timers", "timer_bell", "names", "heard", "waits"}
    assert before.changed(after) == changed
    place = f"{(await shard.stored()).of('run', held.run)['c']}"
    (member,) = after.of("waits", BUCKET)
    assert member.startswith(f"v {held.run} wait {place}-")
    assert member.endswith(f" {shard.now_ms + 60_000} tail")
    assert after.of("waits", BUCKET) == {member: 1}
    assert after.of("steps", held.run) == {"wait": f"0 {shard.now_ms} v37 {BUCKET} 1 {NAME}waiting"}
    assert after.of("timers") == {f"v {held.run} wait": shard.now_ms + 60_000}
    assert after.of("run", held.run) == before.of("run", held.run) | {
        "t": "1",
        "m": str(int(before.of("run", held.run)["m"]) + 7),
    }
    assert after.of("heard", NAME) == {"p data.id": "1", "since": after.of("meta")["routed_upto"], "open": "1"}


@not_in_hand
async def test_who_does_not_hold_the_run_is_refused(shard: Shard, situation: str) -> None:
    await check_refused(shard, situation, lambda s, h: s.waits.await_events(h.lease, [wait_for(h)]))


@lease_gone
async def test_a_lease_that_is_gone_writes_nothing(shard: Shard, situation: str) -> None:
    await check_lease_lost(shard, situation, lambda s, h: s.waits.await_events(h.lease, [wait_for(h)]))


async def test_each_item_is_answered_by_itself(shard: Shard) -> None:
    await check_items_are_answered_apart(
        shard, lambda runs: shard.waits.await_events("L1", [wait_for(held, looked="9999999999999-0") for held in runs])
    )


async def test_what_came_before_the_wait_but_after_the_trigger_is_looked_at_first(shard: Shard) -> None:
    held = await shard.claimed()
    entry = await accept(shard, b"early")
    await shard.route([entry], ["b/other"])
    before = await shard.stored()
    answer = await ask(shard, held)
    assert isinstance(answer, ToLookAt)
    assert [(found.id, found.blob) for found in answer.entries] == [(entry, b"early")]
    assert before.changed(await shard.stored()) == {"meta", "names", "heard", "idle"}, "nothing has begun"
    assert await ask(shard, held, looked=entry) == Recorded(0, 0, [])


async def test_the_trigger_itself_is_not_looked_at_nor_what_came_before_it(shard: Shard) -> None:
    await shard.lease("L1")
    entries = await shard.sent(3)
    runs = await shard.route(entries, ["b/x", "a/f", "b/x"])
    (mine,) = (await shard.claim()).runs
    assert mine.id == runs[1]
    answer = await ask(shard, Held("L1", mine.id, mine.epoch))
    assert isinstance(answer, ToLookAt)
    assert [entry.id for entry in answer.entries] == [entries[2]]


async def test_a_heard_name_is_looked_up_in_its_own_buffer(shard: Shard) -> None:
    await awaiting(shard)
    held = await shard.claimed()
    noise = await shard.sent(30)
    await shard.route(noise, ["b/other"] * 30)
    entry = await happened(shard, b"mine")
    answer = await ask(shard, held)
    assert isinstance(answer, ToLookAt)
    assert [(found.id, found.blob) for found in answer.entries] == [(entry, b"mine")]


async def test_a_large_event_is_found_in_the_stream_and_passed_over_when_it_is_gone(shard: Shard) -> None:
    await awaiting(shard)
    held = await shard.claimed()
    entry = await happened(shard, b"x" * 5000)
    answer = await ask(shard, held)
    assert isinstance(answer, ToLookAt)
    assert answer.entries[0].blob == b"x" * 5000
    await shard.command("XDEL", shard.key("events"), entry)
    answer = await ask(shard, held)
    assert isinstance(answer, ToLookAt)
    assert answer.entries[0].blob == b""


async def test_the_next_wait_begins_behind_the_event_that_the_last_one_had(shard: Shard) -> None:
    await awaiting(shard)
    held = await shard.claimed()
    first, second, third = [await happened(shard, blob) for blob in (b"1", b"2", b"3")]
    answer = await ask(shard, held, behind=first)
    assert isinstance(answer, ToLookAt)
    assert [entry.id for entry in answer.entries] == [second, third]
    assert await ask(shard, held, behind=third) == Recorded(0, 0, [])


async def test_a_page_is_bounded_and_the_next_one_goes_on(shard: Shard) -> None:
    held = await shard.claimed()
    for _ in range(3):
        await shard.route(await shard.sent(70), ["b/other"] * 70)
    looked, pages = "", []
    while isinstance(answer := await ask(shard, held, looked=looked), ToLookAt):
        pages.append(len(answer.entries))
        looked = answer.entries[-1].id
    assert pages == [100, 100, 10]


async def test_an_event_between_two_looks_is_not_missed(shard: Shard) -> None:
    held = await shard.claimed()
    old = await accept(shard)
    await shard.route([old], ["b/other"])
    await ask(shard, held)
    late = await happened(shard, b"late", buckets=(BUCKET,))
    answer = await ask(shard, held, looked=old)
    assert isinstance(answer, ToLookAt)
    assert [entry.id for entry in answer.entries] == [late]


async def test_an_event_that_was_accepted_and_not_routed_is_posted_for_it(shard: Shard) -> None:
    held = await shard.claimed()
    entry = await accept(shard)
    assert await ask(shard, held) == Recorded(0, 0, [])
    await route(shard, [entry])
    assert await deliver(shard) == 1
    assert (await memo(shard, held.run)).startswith("1 ")


async def test_routing_that_does_not_know_the_name_is_refused(shard: Shard) -> None:
    held = await shard.claimed()
    entry = await accept(shard)
    backlog = await shard.events.unrouted(1)
    version = await names(shard)
    await ask(shard, held)
    before = await shard.stored()
    decision = [Decision("run", entry, "R", "a/f")]
    with pytest.raises(NamesChanged):
        await shard.events.route_events(backlog.cursor, entry, backlog.registry, 1, decision, 1000, version)
    assert before.changed(await shard.stored()) == set()
    found = await shard.waits.read_names(version)
    assert found.paths == {NAME: ["data.id"]}
    assert await shard.waits.read_names(found.version) == (found.version, {})


async def test_another_path_of_a_name_is_news_to_routers(shard: Shard) -> None:
    await awaiting(shard)
    known = await shard.waits.read_names(0)
    await awaiting(shard, path="-", bucket=ANYHOW)
    changed = await shard.waits.read_names(known.version)
    assert set(changed.paths[NAME]) == {"data.id", "-"}


async def test_the_33rd_path_of_a_name_is_filed_without_one(shard: Shard) -> None:
    for number in range(33):
        await awaiting(shard, path=f"data.p{number}", bucket=f"{number:024}x")
    stored = await shard.stored()
    assert len(stored.of("waits", ANYHOW)) == 1
    assert {"-", "data.p31"} < set((await shard.waits.read_names(0)).paths[NAME])


async def test_the_look_back_ends_ten_minutes_before_the_cursor(shard: Shard) -> None:
    await shard.lease("L1")
    now_ms = 3_000_000_000_000
    for at_ms in (now_ms - 700_000, now_ms - 650_000, now_ms - 500_000, now_ms):
        await shard.command("XADD", shard.key("events"), f"{at_ms}-0", "b", b"old")
        await shard.command("HINCRBY", shard.key("meta"), "sent", 1)
    entries = [f"{now_ms - 700_000}-0", f"{now_ms - 650_000}-0", f"{now_ms - 500_000}-0", f"{now_ms}-0"]
    await shard.route(entries, ["a/f", "b/x", "b/x", "b/x"])
    (mine,) = (await shard.claim()).runs
    answer = await ask(shard, Held("L1", mine.id, mine.epoch))
    assert isinstance(answer, ToLookAt)
    assert [entry.id for entry in answer.entries] == entries[2:]
    assert mine.created_at_ms == now_ms - 700_000
    assert await ask(shard, Held("L1", mine.id, mine.epoch), looked=entries[0]) == answer, (
        "nor if it has looked at less"
    )


async def test_a_result_that_is_there_already_stays_and_comes_back(shard: Shard) -> None:
    held = await awaiting(shard)
    await happened(shard)
    await deliver(shard)
    answer = await ask(shard, held, seen=0)
    assert isinstance(answer, Recorded)
    assert {key for key, _ in answer.news} == {"wait"}
    assert answer.news[0][1].number == 1


# The end of a wait, otherwise than by an event


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_timeout_ends_it_and_takes_it_out_of_its_bucket(shard: Shard, delivery: str) -> None:
    held = await asleep(shard)
    shard.advance(60_000)
    before = await shard.stored()
    await shard.deliver(delivery, shard.timers.fire_timers)
    after = await shard.stored()
    assert before.changed(after) == {
        "run", "steps", "history", "timers", "waiting", "ready", "bell", "waits", "heard", "idle",
    }  # fmt: skip
    assert after.of("steps", held.run) == {"wait": f"1 {shard.now_ms} z waiting"}
    assert after.of("run", held.run)["s"] == "q"


async def test_the_timeout_of_a_final_run_s_wait_does_the_sweep_s_work(shard: Shard) -> None:
    held = await awaiting(shard)
    await shard.runs.finish_runs("L1", [FinishWrite(held.run, held.epoch, "c", b"")], 10, 10)
    shard.advance(60_000)
    await shard.timers.fire_timers()
    after = await shard.stored()
    assert (after.of("waits", BUCKET), after.of("timers"), after.of("heard", NAME)["open"]) == ({}, {}, "0")
    assert await memo(shard, held.run) == after.of("steps", held.run)["wait"]
    assert (await memo(shard, held.run)).startswith("0 "), "nothing is recorded of a final run"


async def test_the_holder_s_clock_ends_it_too(shard: Shard) -> None:
    held = await awaiting(shard)
    shard.advance(60_000)
    (answer,) = (await shard.runs.fire_waits("L1", [FireWrite(held.run, held.epoch, 0, "wait")])).items
    assert answer == Recorded(1, shard.now_ms, [])
    assert await memo(shard, held.run) == f"1 {shard.now_ms} z waiting"
    assert (await shard.stored()).of("waits", BUCKET) == {}


async def test_a_wait_that_user_code_gives_up_is_not_filed_any_more(shard: Shard) -> None:
    held = await awaiting(shard)
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "wait", "a", b"", b"")])
    after = await shard.stored()
    assert (after.of("waits", BUCKET), after.of("timers")) == ({}, {})
    assert after.of("heard", NAME)["open"] == "0"
    await happened(shard)
    assert await deliver(shard) == 0


async def test_event_or_timeout_never_both(shard: Shard) -> None:
    held = await asleep(shard)
    await happened(shard)
    page = await shard.waits.read_posts()
    assert page is not None
    # As if it had been accepted behind the wait's time: Redis numbers entries by its own clock, not by the test's.
    past = int(page.entry.partition("-")[0]) - 1
    (member,) = await shard.command("ZRANGE", shard.calls.key("waits", BUCKET), 0, -1)
    await shard.command("ZREM", shard.calls.key("waits", BUCKET), member)
    await shard.command(
        "ZADD", shard.calls.key("waits", BUCKET), 1, member.replace(b"%d" % (shard.now_ms + 60_000), b"%d" % past)
    )
    shard.advance(60_000)
    await shard.timers.fire_timers()
    timed_out = await memo(shard, held.run)
    done = await shard.waits.deliver_event(NAME, page.entry, [(BUCKET, 1)], done=True, keep_failed=10)
    assert (done.reached, done.left) == (0, 0)
    assert await memo(shard, held.run) == timed_out


async def test_a_name_that_nothing_waits_for_is_forgotten_with_its_buffer(shard: Shard) -> None:
    held = await asleep(shard)
    await happened(shard, b"other")
    await deliver(shard, lambda filed: False)
    shard.advance(60_000)
    await shard.timers.fire_timers()
    assert (await shard.waits.retire_names(900_000)).forgotten == 0
    shard.advance(900_000)
    assert await shard.waits.retire_names(900_000) == (1, False, 0)
    after = await shard.stored()
    assert [after.of(name) for name in ("names", "idle")] == [{}, {}]
    assert (after.of("heard", NAME), after.of("recent", NAME)) == ({}, [])
    again = (await shard.claim()).runs[0]
    assert again.id == held.run
    await begin(shard, Held("L1", again.id, again.epoch), "again", seen=1)
    assert (await shard.waits.read_names(0)).paths == {NAME: ["data.id"]}


async def test_a_buffer_keeps_nothing_that_nobody_looks_back_at(shard: Shard) -> None:
    """Also of a name that has no events any more: others' move the cursor, or the clock of an hour does."""
    await asleep(shard, key="quiet", event_name="quiet")
    await asleep(shard)
    old, young = shard.now_ms + 1000, shard.now_ms + 300_000
    await _happened_at(shard, "quiet", old, young)
    assert await _trimmed(shard, "quiet") == [old, young], "young enough"
    await _happened_at(shard, NAME, old + 600_001)
    shard.advance(-1_000_000)
    assert await _trimmed(shard, "quiet") == [young], "by the entries' clock, wherever that of the host is"
    shard.calls.now_ms = young + 3_600_000
    assert await _trimmed(shard, "quiet") == [young]
    shard.advance(1)
    assert await _trimmed(shard, "quiet") == []


async def test_buffers_are_trimmed_a_hundred_names_a_call(shard: Shard) -> None:
    held = await shard.claimed()
    for number in range(150):
        await begin(shard, held, f"k{number}", event_name=f"name {number}", looked="9999999999999-0")
    assert len((await shard.waits.read_names(0)).paths) == 150, "and told a hundred names a call"
    first = await shard.waits.retire_names(900_000)
    assert first.above == 100
    assert (await shard.waits.retire_names(900_000, first.above)).above == 0


async def _happened_at(shard: Shard, name: str, *times_ms: int) -> None:
    """Events of these times: each fills a node of its stream, which is what is trimmed."""
    for at_ms in times_ms:
        await shard.command("XADD", shard.key("events"), f"{at_ms}-0", "b", b"x" * 4096)
        await shard.command("HINCRBY", shard.key("meta"), "sent", 1)
        await route(shard, [f"{at_ms}-0"], buckets=(), name=name)


async def _trimmed(shard: Shard, name: str) -> list[int]:
    await shard.waits.retire_names(10**12)
    return [int(entry.partition("-")[0]) for entry, _ in (await shard.stored()).of("recent", name)]
