"""send, read_unrouted and route: an event is accepted once, routed in order, and starts a run of a function once."""

from __future__ import annotations

import pytest

from durableq.store.events import UNROUTED_BYTES, Decision, NewEvent
from durableq.store.failures import CursorMoved, RegistryChanged
from durableq.words.ids import run_id
from tests.store.shard import DELIVERIES, EVENT, ONCE, Shard

# Sending


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_an_event_is_accepted_once(shard: Shard, delivery: str) -> None:
    before = await shard.stored()
    events = [NewEvent("k1", 60_000, b"one"), NewEvent("k2", 60_000, b"two")]
    entries = await shard.deliver(delivery, lambda: shard.events.send_events(events))
    after = await shard.stored()
    assert before.changed(after) == {"events", "seen", "meta", "event_bell"}
    assert [fields for _, fields in after.of("events")] == [[b"b", b"one"], [b"b", b"two"]]
    assert after.of("meta") == before.of("meta") | {"sent": "2", "rung_at_ms": str(shard.now_ms)}
    if delivery == ONCE:
        assert entries == [entry for entry, _ in after.of("events")]
    if delivery == "reply lost":
        assert entries == ["", ""], "accepted before"


async def test_a_key_is_remembered_for_its_time_and_then_accepted_again(shard: Shard) -> None:
    await shard.events.send_events([NewEvent("k", 60_000, b"1")])
    assert await shard.events.send_events([NewEvent("k", 60_000, b"2"), NewEvent("other", 60_000, b"3")]) != ["", ""]
    ttl_ms = await shard.command("PTTL", shard.key("seen", "k"))
    assert 50_000 < ttl_ms <= 60_000
    await shard.command("PEXPIRE", shard.key("seen", "k"), 0)
    assert (await shard.events.send_events([NewEvent("k", 60_000, b"4")]))[0] != ""
    assert [fields[1] for _, fields in (await shard.stored()).of("events")] == [b"1", b"3", b"4"]


async def test_twice_in_one_call_is_accepted_once(shard: Shard) -> None:
    first, second = await shard.events.send_events([NewEvent("k", 60_000, b"1")] * 2)
    assert first != ""
    assert second == ""


async def test_one_ring_per_backlog_repeated_when_nobody_answers(shard: Shard) -> None:
    await shard.sent()
    rung = await shard.stored()
    await shard.sent()
    assert "event_bell" not in rung.changed(await shard.stored())
    shard.advance(201)
    await shard.sent()
    assert "event_bell" in rung.changed(again := await shard.stored())
    shard.advance(-3_600_000)
    await shard.sent()
    assert "event_bell" in again.changed(await shard.stored()), "a clock that stepped back silences no bell"


# Reading what is not routed


async def test_the_backlog_is_what_lies_behind_the_cursor(shard: Shard) -> None:
    assert await shard.events.unrouted(10) == ("0-0", 0, [])
    entries = await shard.sent(25)
    backlog = await shard.events.unrouted(22)
    assert [entry.id for entry in backlog.entries] == entries[:22]
    assert backlog.entries[0].blob == EVENT
    await shard.route(entries[:20], ["a/f"] * 20)
    backlog = await shard.events.unrouted(100)
    assert (backlog.cursor, [entry.id for entry in backlog.entries]) == (entries[19], entries[20:])


async def test_a_batch_ends_behind_the_entries_that_pass_its_bytes(shard: Shard) -> None:
    await shard.sent(45, blob=b"x" * (UNROUTED_BYTES // 30))
    found = len((await shard.events.unrouted(100)).entries)
    assert 30 <= found <= 40


# Routing


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_routing_creates_the_runs_and_moves_the_cursor_in_one_act(shard: Shard, delivery: str) -> None:
    await shard.lease("L1", "a/f", "a/g")
    entries = await shard.sent(3)
    ids = [run_id(entries[0], "a/f", 0), run_id(entries[2], "a/g", 0)]
    decisions = [Decision("run", entries[0], ids[0], "a/f"), Decision("run", entries[2], ids[1], "a/g")]
    before = await shard.stored()

    async def route() -> object:
        try:
            return await shard.events.route_events("0-0", entries[2], 0, 3, decisions, 1000)
        except CursorMoved:
            return "moved"

    answer = await shard.deliver(delivery, route)
    after = await shard.stored()
    assert answer == ("moved" if delivery == "reply lost" else (2, False, 0))
    assert before.changed(after) == {"run", "input", "ready", "work", "bell", "meta"}
    created = entries[0].partition("-")[0]
    assert after.of("run", ids[0]) == {"s": "q", "f": "a/f", "c": created}
    assert after.of("input", ids[0]) == EVENT
    assert after.of("ready", "a/f") == {ids[0]: int(created)}
    assert after.of("meta") == before.of("meta") | {"routed_upto": entries[2], "routed": "3"}


async def test_an_event_of_the_future_starts_its_run_then(shard: Shard) -> None:
    entries = await shard.sent()
    before = await shard.stored()
    (run,) = await shard.route(entries, ["a/f"], due_at_ms=shard.now_ms + 500)
    after = await shard.stored()
    assert before.changed(after) == {"run", "input", "waiting", "timers", "timer_bell", "meta"}
    created = entries[0].partition("-")[0]
    due = str(shard.now_ms + 500)
    assert after.of("run", run) == {"s": "w", "f": "a/f", "c": created, "d": due, "y": due, "t": "1"}
    assert after.of("timers") == {f"d {run}": shard.now_ms + 500}


async def test_a_time_that_has_passed_already_delays_nothing(shard: Shard) -> None:
    run = await shard.queued(due_at_ms=shard.now_ms)
    assert (await shard.stored()).of("run", run)["s"] == "q"


async def test_who_routes_from_an_old_cursor_is_refused(shard: Shard) -> None:
    entries = await shard.sent(2)
    await shard.route(entries[:1], ["a/f"])
    before = await shard.stored()
    decision = Decision("run", entries[0], run_id(entries[0], "a/f", 0), "a/f")
    for after in ("0-0", entries[1], "9-9"):
        with pytest.raises(CursorMoved):
            await shard.events.route_events(after, entries[1], 0, 1, [decision], 1000)
    assert before.changed(await shard.stored()) == set()


@pytest.mark.parametrize("decided", ["with a run", "unheard"])
async def test_the_cursor_moves_over_nothing_but_what_was_decided(shard: Shard, decided: str) -> None:
    """After a failover a bell may have brought what the new server lacks, or lacks what it has."""
    entries = await shard.sent(2)
    lost = f"{int(entries[1].partition('-')[0]) + 1000}-0"
    before = await shard.stored()
    for upto, count in ((lost, 1), (lost, 3), (entries[1], 1), (entries[0], 2)):
        decisions = [Decision("run", upto, "R", "a/f")] if decided == "with a run" else []
        with pytest.raises(CursorMoved):
            await shard.events.route_events("0-0", upto, 0, count, decisions, 1000)
    assert before.changed(await shard.stored()) == set()
    await shard.events.route_events("0-0", entries[1], 0, 2, [], 1000)
    assert (await shard.events.unrouted(10)).entries == []


async def test_decisions_that_rest_on_old_functions_are_refused(shard: Shard) -> None:
    (entry,) = await shard.sent()
    await shard.registry.register_app("a", "r1", {"f": b"declared"})
    before = await shard.stored()
    with pytest.raises(RegistryChanged):
        await shard.events.route_events("0-0", entry, 0, 1, [Decision("run", entry, "R", "a/f")], 1000)
    assert before.changed(await shard.stored()) == set()


async def test_a_run_that_is_there_already_is_not_created_again(shard: Shard) -> None:
    """After a failover the cursor may be older than the runs: they go on as they are."""
    held = await shard.claimed()
    (entry,) = [entry for entry, _ in (await shard.stored()).of("events")]
    await shard.command("HSET", shard.key("meta"), "routed_upto", "0-0", "routed", 0)
    before = await shard.stored()
    decision = Decision("run", entry, held.run, "a/f")
    assert (await shard.events.route_events("0-0", entry, 0, 1, [decision], 1000))[0] == 0
    assert before.changed(await shard.stored()) == {"meta"}


async def test_an_entry_that_cannot_be_routed_is_set_aside_with_the_reason(shard: Shard) -> None:
    (entry,) = await shard.sent()
    decisions = [
        Decision("aside", entry, detail=b"too deep: \xff"),
        Decision("fault", entry, function="a/f", detail=b"no such field"),
        Decision("fault", entry, function="a/f", detail=b"no such field either"),
    ]
    await shard.events.route_events("0-0", entry, 0, 1, decisions, 1000)
    ((at_ms, aside, reason),) = await shard.reads.aside()
    assert (at_ms, aside, reason) == (shard.now_ms, entry, "too deep: �")
    assert await shard.registry.faults() == {"a/f": (2, shard.now_ms, "no such field either")}
    assert (await shard.stored()).of("meta")["routed_upto"] == entry


async def test_a_thousand_entries_are_kept_aside(shard: Shard) -> None:
    cursor = "0-0"
    for _ in range(11):
        entries = await shard.sent(100)
        decisions = [Decision("aside", entry, detail=b"why") for entry in entries]
        await shard.events.route_events(cursor, entries[-1], 0, 100, decisions, 0)
        cursor = entries[-1]
    aside = await shard.reads.aside()
    assert len(aside) == 1000
    assert aside[-1][1] == cursor


async def test_entries_deleted_by_hand_do_not_keep_the_routers_busy(shard: Shard) -> None:
    await shard.lease()
    entries = await shard.sent(2)
    for entry in entries:
        await shard.command("XDEL", shard.key("events"), entry)
    assert (await shard.claim()).unrouted
    assert await shard.events.route_events("0-0", "0-0", 0, 0, [], 1000) == (0, False, 0)
    assert not (await shard.claim()).unrouted


async def test_the_log_is_trimmed_by_count_but_never_past_the_cursor(shard: Shard) -> None:
    cursor = "0-0"
    for _ in range(13):
        entries = await shard.sent(100)
        await shard.events.route_events(cursor, entries[-1], 0, 100, [], 10)
        cursor = entries[-1]
    waiting = [await shard.sent(100) for _ in range(13)]
    assert len((await shard.stored()).of("events")) < 13 * 100 + 1100, "what was routed is trimmed, about"
    first = waiting[0]
    await shard.events.route_events(cursor, first[0], 0, 1, [], 10)
    left = [entry for entry, _ in (await shard.stored()).of("events")]
    assert [entry for batch in waiting for entry in batch] == left[-1300:]
