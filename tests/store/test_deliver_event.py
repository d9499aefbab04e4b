"""Routing posts what may be waited for; deliver_event answers it, in order, once, and never what has looked at it itself."""

from __future__ import annotations

import pytest

from durableq.store.events import Decision
from durableq.store.failures import DeliveriesBehind, NamesChanged, PostMoved
from durableq.store.runs import RetryWrite, StepWrite
from durableq.store.waits import InHands, Page, ToLookAt, Waits
from tests.servers import RealServer, on
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
    deliver_entry,
    happened,
    listener,
    memo,
    names,
    route,
)
from tests.store.recording import RecordingLink, recording_calls
from tests.store.shard import DELIVERIES, Held, Shard

OTHER = "f" * 24


async def test_an_event_that_nobody_waits_for_by_this_value_is_kept_to_look_back_at_and_not_posted(
    shard: Shard,
) -> None:
    await asleep(shard)
    before = await shard.stored()
    entry = await accept(shard)
    routed = await route(shard, [entry], [OTHER])
    after = await shard.stored()
    assert routed.posted == 0
    assert before.changed(after) == {"meta", "events", "seen", "event_bell", "recent"}
    assert after.of("recent", NAME) == [(entry, [b"b", b"paid"])]


async def test_a_name_that_only_routers_still_know_leaves_nothing_behind(shard: Shard) -> None:
    routed = await route(shard, [await accept(shard)], [BUCKET], name="never/heard")
    assert routed.posted == 0
    assert {"recent", "post", "heard"} & {name for name, _ in (await shard.stored()).items} == set()


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_an_event_wakes_the_run_that_waits_for_it(shard: Shard, delivery: str) -> None:
    held = await asleep(shard)
    entry = await happened(shard)
    page = await shard.waits.read_posts()
    assert page is not None
    assert (page.event_name, page.entry, page.blob, page.bucket, page.number) == (NAME, entry, b"paid", BUCKET, 0)
    (filed,) = page.filed
    assert (filed.kind, filed.run_id, filed.key, filed.tail) == ("v", held.run, "wait", b"tail")
    before = await shard.stored()

    async def act() -> object:
        try:
            return await shard.waits.deliver_event(NAME, entry, [(BUCKET, filed.ticket)], done=True, keep_failed=10)
        except PostMoved:
            return "moved"

    answer = await shard.deliver(delivery, act)
    after = await shard.stored()
    assert answer == ("moved" if delivery == "reply lost" else (shard.now_ms, 1, 0))
    assert before.changed(after) == {
        "meta", "run", "steps", "history", "timers", "waiting", "ready", "bell", "waits", "heard", "idle", "post", "posts",
    }  # fmt: skip
    assert after.of("steps", held.run) == {"wait": f"1 {shard.now_ms} m {entry} paid"}
    grown = len(f"{entry} paid") - len("waiting")
    assert int(after.of("run", held.run)["m"]) == int(before.of("run", held.run)["m"]) + grown
    assert after.of("run", held.run)["s"] == "q"
    assert after.of("timers") == {}


async def test_the_holder_of_a_run_in_hand_is_told_and_its_suspension_is_not_accepted(shard: Shard) -> None:
    held = await awaiting(shard)
    entry = await happened(shard)
    assert await deliver(shard) == 1
    (news,) = await shard.suspend(held)
    assert (news[0], news[1].number, news[1].blob) == ("wait", 1, f"{entry} paid".encode())


@on("redis7", "valkey")
async def test_the_inbox_brings_a_large_event_too(shard: Shard, server: RealServer) -> None:
    await awaiting(shard)
    entry = await happened(shard, b"x" * 50_000)
    await deliver(shard)
    stored = await shard.stored()
    assert sum(len(part) for _, fields in stored.of("inbox", "L1") for part in fields) < 200
    rung = await shard.bells.wait(apps=[], events=False, timers=False, inbox="L1", block_ms=100)
    ((_, key, found),) = rung.news
    assert (key, found.blob) == ("wait", f"{entry} ".encode() + b"x" * 50_000)
    held = Held("L1", rung.news[0][0], 1)
    (news,) = await shard.suspend(held)
    assert news[1].blob == found.blob, "and the list of news has it by its key"


async def test_one_event_resolves_any_number_of_runs_a_hundred_a_page(shard: Shard) -> None:
    count = 230
    runs = await shard.backlog(count)
    await shard.lease("L1")
    for _ in range(3):
        for mine in (await shard.claim(room=100)).runs:
            held = Held("L1", mine.id, mine.epoch)
            # Together with the look-back of the others' triggers it would be slow.
            await begin(shard, held, looked="9999999999999-0")
            await shard.suspend(held)
    await happened(shard)
    pages, page = [], await shard.waits.read_posts()
    while page is not None:
        pages.append(len(page.filed))
        tickets = [(page.bucket, filed.ticket) for filed in page.filed]
        last = page.number == 0
        await shard.waits.deliver_event(NAME, page.entry, tickets, done=last, keep_failed=10)
        page = None if last else await shard.waits.read_posts(page)
    assert pages == [100, 100, 30]
    stored = await shard.stored()
    assert {stored.of("run", run)["s"] for run in runs} == {"q"}


async def test_a_deliverer_that_dies_between_pages_is_followed_by_another(shard: Shard) -> None:
    first, second = await asleep(shard, bucket=BUCKET), await asleep(shard, path="-", bucket=ANYHOW)
    await happened(shard, buckets=(BUCKET, ANYHOW))
    page = await shard.waits.read_posts()
    assert page is not None
    assert page.number == 2
    await shard.waits.deliver_event(NAME, page.entry, [(BUCKET, page.filed[0].ticket)], done=False, keep_failed=10)
    assert await shard.waits.read_posts() is None, "it is left to who has it for a while"
    shard.advance(200)
    assert await deliver(shard) == 1
    stored = await shard.stored()
    assert [stored.of("run", held.run)["s"] for held in (first, second)] == ["q", "q"]
    assert stored.of("meta")["posts"] == "0"


async def test_two_deliverers_answer_each_wait_once(shard: Shard) -> None:
    held = await asleep(shard)
    await happened(shard)
    mine = await shard.waits.read_posts()
    shard.advance(200)
    theirs = await shard.waits.read_posts()
    assert mine == theirs
    assert [await deliver_entry(shard, mine), await deliver_entry(shard, theirs)] == [1, 0]
    assert (await shard.stored()).of("run", held.run)["q"] == "1"


async def test_what_somebody_has_read_is_left_to_them_for_200_ms(shard: Shard) -> None:
    await asleep(shard)
    await happened(shard)
    assert await shard.waits.read_posts() is not None
    assert await shard.waits.next_post() == InHands(200)
    shard.advance(199)
    assert await shard.waits.next_post() == InHands(1)
    shard.advance(1)
    assert await shard.waits.read_posts() is not None


async def test_a_name_is_not_forgotten_while_it_has_something_to_deliver(shard: Shard) -> None:
    held = await awaiting(shard)
    await happened(shard)
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "wait", "a", b"", b"")])
    shard.advance(1000)
    assert (await shard.waits.retire_names(500)).forgotten == 0
    assert await deliver(shard) == 0
    shard.advance(1000)
    assert (await shard.waits.retire_names(500)).forgotten == 1


async def test_a_further_page_of_an_entry_that_somebody_else_has_delivered_is_not_that_of_the_next(
    shard: Shard,
) -> None:
    await asleep(shard)
    second = await asleep(shard, path="-", bucket=ANYHOW)
    await happened(shard, b"1", buckets=(BUCKET, ANYHOW))
    next_entry = await happened(shard, b"2", buckets=(BUCKET, ANYHOW))
    mine = await shard.waits.read_posts()
    assert mine is not None
    assert mine.number == 2
    shard.advance(200)
    theirs = await shard.waits.read_posts()
    await deliver_entry(shard, theirs, lambda filed: False)
    assert await shard.waits.read_posts(mine) is None
    assert await deliver(shard) == 2
    assert (await memo(shard, second.run)).endswith(f"m {next_entry} 2")


async def test_the_earliest_match_wins(shard: Shard) -> None:
    held = await asleep(shard)
    first, second = await accept(shard, b"1"), await accept(shard, b"2")
    await route(shard, [first, second])
    with pytest.raises(PostMoved):
        await shard.waits.deliver_event(NAME, second, [(BUCKET, 1)], done=False, keep_failed=10)
    await deliver(shard)
    assert (await memo(shard, held.run)).endswith(f"m {first} 1")


async def test_the_first_that_does_not_match_leaves_it_to_the_second(shard: Shard) -> None:
    held = await asleep(shard)
    await happened(shard, b"1")
    second = await happened(shard, b"2")
    page = await shard.waits.read_posts()
    assert await deliver_entry(shard, page, lambda filed: False) == 0
    assert await deliver(shard) == 1
    assert (await memo(shard, held.run)).endswith(f"m {second} 2")


async def test_a_wait_that_begins_while_an_event_is_delivered_is_not_given_it_again(shard: Shard) -> None:
    await asleep(shard)
    entry = await happened(shard)
    late = await shard.claimed()
    await begin(shard, late)  # looks at the event itself
    page = await shard.waits.read_posts()
    assert page is not None
    assert [filed.run_id == late.run for filed in page.filed] == [False]
    assert await deliver_entry(shard, page) == 1
    assert (await memo(shard, late.run)).startswith("0 ")
    assert entry


async def test_a_wait_above_the_bound_is_not_answered_whoever_asks(shard: Shard) -> None:
    """It began when the event was routed already, looked at it, and found that it was not the one."""
    await asleep(shard)
    entry = await happened(shard)
    late = await shard.claimed()
    await begin(shard, late, behind="1-0")
    done = await shard.waits.deliver_event(NAME, entry, [(BUCKET, 2)], done=True, keep_failed=10)
    assert done.reached == 0
    assert (await memo(shard, late.run)).startswith("0 ")


async def test_entries_of_one_ms_are_in_the_order_of_their_numbers(shard: Shard) -> None:
    """10 comes behind 9."""
    held = await shard.claimed()
    at_ms = shard.now_ms
    for entry in (f"{at_ms}-9", f"{at_ms}-10"):
        await shard.command("XADD", shard.key("events"), entry, "b", b"paid")
        await shard.command("HINCRBY", shard.key("meta"), "sent", 1)
        await route(shard, [entry])
        if entry.endswith("-9"):
            await begin(shard, held, behind=entry)
    assert await deliver(shard) == 1
    assert (await memo(shard, held.run)).endswith(f"m {at_ms}-10 paid")


async def test_a_loop_of_waits_reads_its_events_one_by_one_while_they_are_being_delivered(shard: Shard) -> None:
    held = await awaiting(shard, "w1")
    entries = [await happened(shard, str(number).encode()) for number in range(3)]
    page = await shard.waits.read_posts()
    await deliver_entry(shard, page)
    assert (await memo(shard, held.run, "w1")).endswith(f"m {entries[0]} 0")
    answer = await ask(shard, held, key="w2", seen=1, behind=entries[0])
    assert isinstance(answer, ToLookAt)
    assert [entry.id for entry in answer.entries] == entries[1:]
    assert await deliver(shard) == 0, "the second and third are its own to find"


async def test_an_event_before_the_wait_s_place_does_not_answer_it(shard: Shard) -> None:
    """A run that starts in the middle of a batch, with a listener: entries before its own are not later than it."""
    await asleep(shard)
    early, own = await accept(shard, b"early"), await accept(shard, b"own")
    extras = listener(until_ms=0)
    backlog = await shard.events.unrouted(10)
    decisions = [
        Decision("heard", early, function=NAME, detail=BUCKET.encode()),
        Decision("run", own, "R" * 26, "a/f", 0, extras),
        Decision("heard", own, function=NAME, detail=BUCKET.encode()),
    ]
    await shard.events.route_events(backlog.cursor, own, backlog.registry, 2, decisions, 1000, await names(shard))
    await deliver(shard, lambda filed: filed.kind == "x")
    assert (await shard.stored()).of("run", "R" * 26)["s"] == "q"


async def test_a_backoff_holds_a_run_that_an_event_has_answered(shard: Shard) -> None:
    held = await awaiting(shard)
    await shard.runs.retry_runs("L1", [RetryWrite(held.run, held.epoch, 1, shard.now_ms + 5000, b"")])
    await happened(shard)
    assert await deliver(shard) == 1
    assert (await shard.stored()).of("run", held.run)["s"] == "w"
    shard.advance(5000)
    await shard.timers.fire_timers()
    assert (await shard.stored()).of("run", held.run)["s"] == "q"


async def test_a_run_that_was_rescued_is_answered_while_it_is_queued(shard: Shard) -> None:
    held = await awaiting(shard)
    await shard.crash("L1")
    await happened(shard)
    assert await deliver(shard) == 1
    stored = await shard.stored()
    assert (stored.of("run", held.run)["s"], stored.of("news", held.run)) == ("q", [])


async def test_a_final_run_is_not_answered(shard: Shard) -> None:
    held = await asleep(shard)
    await shard.cancels.cancel_runs([held.run], "why")
    await happened(shard)
    assert await deliver(shard) == 0
    await shard.cancels.sweep_ended()
    assert (await shard.stored()).of("waits", BUCKET) == {}


async def test_routing_pauses_while_a_thousand_entries_wait_to_be_delivered(shard: Shard) -> None:
    await asleep(shard)
    for _ in range(10):
        await route(shard, await shard.sent(100))
    entry = await accept(shard)
    before = await shard.stored()
    with pytest.raises(DeliveriesBehind):
        await route(shard, [entry])
    assert before.changed(await shard.stored()) == set()
    await deliver(shard)
    assert (await route(shard, [entry])).created == 0


async def test_routing_pauses_while_64_mb_wait_to_be_delivered(shard: Shard) -> None:
    await asleep(shard)
    await happened(shard, b"x" * 1_000_000)
    small = await happened(shard, b"small")
    held_back = 64 * 1024 * 1024 - int((await shard.stored()).of("meta")["post_bytes"])
    await shard.command("HINCRBY", shard.key("meta"), "post_bytes", held_back)
    entry = await accept(shard)
    with pytest.raises(DeliveriesBehind):
        await route(shard, [entry])
    page = await shard.waits.read_posts()
    await deliver_entry(shard, page)
    await route(shard, [entry])
    await shard.command("HINCRBY", shard.key("meta"), "post_bytes", -held_back)
    assert await deliver(shard) == 0
    assert (await shard.stored()).of("meta")["post_bytes"] == "0"
    assert small < entry


async def test_a_page_ends_at_256_kb_of_what_is_filed(shard: Shard) -> None:
    runs = [await asleep(shard, tail=b"t" * 4000) for _ in range(70)]
    await happened(shard)
    first = await shard.waits.read_posts()
    assert first is not None
    assert (len(first.filed), first.number) == (65, 1)
    second = await shard.waits.read_posts(first)
    assert second is not None
    assert ([filed.run_id for filed in second.filed], second.number) == ([held.run for held in runs[65:]], 0)


@pytest.mark.parametrize(("size", "calls"), [(10, [50, 50, 20]), (400_000, [2] * 60), (3_000_000, [1] * 120)])
async def test_a_page_is_answered_in_calls_that_redis_has_no_trouble_with(size: int, calls: list[int]) -> None:
    link = RecordingLink([0, 1, 0])
    page = Page(NAME, "1-0", b"", BUCKET, [], 0, 0)
    assert await Waits(recording_calls(link)).answer(page, range(120), size, keep_failed=10) == len(calls)
    assert [(len(args) - 4) // 2 for _, args in link.scripts] == calls
    assert [args[2] for _, args in link.scripts] == [0] * (len(calls) - 1) + [1], "the last one takes the entry off"
    assert [args[i] for _, args in link.scripts for i in range(5, len(args), 2)] == list(range(120))


async def test_a_page_that_answers_nobody_still_takes_the_entry_off() -> None:
    link = RecordingLink([0, 0, 0])
    assert await Waits(recording_calls(link)).answer(Page(NAME, "1-0", b"", BUCKET, [], 0, 0), [], 10, 10) == 0
    assert [args for _, args in link.scripts] == [(NAME, "1-0", 1, 10)]


async def test_a_page_that_is_not_the_last_leaves_the_entry() -> None:
    link = RecordingLink([0, 1, 1])
    await Waits(recording_calls(link)).answer(Page(NAME, "1-0", b"", BUCKET, [], 2, 0), range(60), 10, 10)
    assert [args[2] for _, args in link.scripts] == [0, 0]


async def test_a_clock_that_steps_back_keeps_nobody_from_delivering(shard: Shard) -> None:
    await asleep(shard)
    await happened(shard)
    assert await shard.waits.read_posts() is not None
    shard.advance(-3_600_000)
    assert await deliver(shard) == 1


async def test_new_names_do_not_keep_others_from_being_routed(shard: Shard) -> None:
    await awaiting(shard, event_name="one of thousands")
    await awaiting(shard, event_name=NAME)
    entry = await accept(shard)
    backlog = await shard.events.unrouted(1)
    rest = (backlog.cursor, entry, backlog.registry, 1, [], 1000, 0)
    for about in ((), {"order/made", NAME}):
        with pytest.raises(NamesChanged):
            await shard.events.route_events(*rest, about)
    assert (await shard.events.route_events(*rest, {"order/made"})).created == 0


async def test_a_claim_says_that_something_is_to_be_delivered(shard: Shard) -> None:
    await asleep(shard)
    assert not (await shard.claim()).posted
    await happened(shard)
    claim = await shard.claim()
    assert (claim.posted, claim.unrouted) == (True, False), "who has nothing to deliver is not sent to look"
    await accept(shard)
    claim = await shard.claim()
    assert (claim.posted, claim.unrouted) == (True, True)
    await deliver(shard)
    assert not (await shard.claim()).posted


@pytest.mark.slow
@on("redis7")
async def test_an_event_among_a_hundred_thousand_waits_costs_redis_less_than_2_ms(shard: Shard) -> None:
    held = await asleep(shard)
    fill = (
        "for i = 1, 100000 do local b = string.format('%024d', i) "
        "redis.call('ZADD', KEYS[1] .. 'waits:' .. b, i + 10, 'v R' .. i .. ' wait 1-0 0 tail') end"
    )
    await shard.command("EVAL", fill, 1, shard.calls.keys.base)
    await shard.command("HSET", shard.key("meta"), "tickets", 200_000)
    entry = await accept(shard)
    await shard.command("CONFIG", "RESETSTAT")
    await route(shard, [entry], (BUCKET, OTHER))
    await deliver(shard)
    raw = await shard.command("INFO", "commandstats")
    line = next(line for line in raw.decode().splitlines() if line.startswith("cmdstat_evalsha:"))
    assert int(line.split("usec=")[1].split(",")[0]) < 2000
    assert (await shard.stored()).of("run", held.run)["s"] == "q"
    await shard.command("FLUSHDB")
