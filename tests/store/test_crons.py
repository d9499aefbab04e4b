"""tick_cron, read_crons, and what registrations do to cron triggers: a tick is settled once, whoever performs it, or dies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durableq.store.crons import CronToLookAt, Settled, Ticked, TickWrite
from durableq.store.failures import CronMoved
from durableq.store.runs import FinishWrite
from durableq.words import codec
from durableq.words.errors import QueueFull
from durableq.words.ids import tick_run_id
from tests.store.awaiting import listener
from tests.store.shard import DELIVERIES, REPLY_LOST, START_MS, TWICE, Held, Shard

MINUTE_MS = 60_000
TEN_MINUTES_MS = 600_000
TRIGGER = "a/f key1"


def declared(*crons: dict[str, Any]) -> bytes:
    """A declaration with cron triggers, as the registry stores it."""
    return codec.encode(
        {"triggers": [{"event": "e"}, *({"key": "key1", "cron": "* * * * *", **cron} for cron in crons)]}
    )


async def registered(shard: Shard, *crons: dict[str, Any], release: str = "r1", **functions: bytes) -> CronToLookAt:
    """The trigger of a/f, as it stands after a deployment."""
    await shard.registry.register_app("a", release, {"f": declared(*(crons or ({},))), **functions})
    return await looked_at(shard)


async def looked_at(shard: Shard, trigger: str = TRIGGER) -> CronToLookAt:
    """A trigger as anybody would read it, whether it is due or not."""
    (row,) = [row for row in await shard.crons.listed() if row.trigger == trigger]
    return CronToLookAt(row.trigger, row.spec, row.upto_ms)


def writes(*ticks_ms: int) -> list[TickWrite]:
    return [TickWrite(tick, tick_run_id("a/f", "key1", tick, 0), b"tick %d" % tick) for tick in ticks_ms]


def settled(upto_ms: int, missed: int = 0) -> Settled:
    return Settled(upto_ms, missed, upto_ms + MINUTE_MS, upto_ms + MINUTE_MS + 7)


async def tick(shard: Shard, cron: CronToLookAt, *ticks_ms: int, overlap: str = "allow") -> Ticked:
    return await shard.crons.tick_cron(cron, settled(ticks_ms[-1]), overlap, writes(*ticks_ms))


async def due(shard: Shard) -> CronToLookAt:
    """A registered trigger, one minute later."""
    cron = await registered(shard)
    shard.advance(MINUTE_MS)
    return cron


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_tick_creates_its_run_and_moves_the_trigger(shard: Shard, delivery: str) -> None:
    cron = await due(shard)
    before = await shard.stored()

    async def act() -> Ticked | None:
        try:
            return await tick(shard, cron, shard.now_ms)
        except CronMoved:
            return None

    if delivery == TWICE:
        assert [await act(), await act()] == [Ticked(1, 0, False), None]
    elif delivery == REPLY_LOST:
        # What was lost is sent again, and told that the trigger has moved: that is all that its sender must know.
        assert await shard.deliver(delivery, act) is None
    else:
        assert await act() == Ticked(1, 0, False)
    after = await shard.stored()
    assert before.changed(after) == {"run", "input", "ready", "work", "crons", "cron", "started"}
    (run,) = dict(after.family("run"))
    assert after.of("run", run) == {"s": "q", "f": "a/f", "c": str(shard.now_ms), "p": "0-0"}
    assert after.of("input", run) == b"tick %d" % shard.now_ms
    assert after.of("ready", "a/f") == {run: shard.now_ms}
    assert after.of("started", TRIGGER) == {run}
    assert after.of("crons") == {TRIGGER: shard.now_ms + MINUTE_MS + 7}
    assert after.of("cron", TRIGGER).items() >= {
        "upto": str(shard.now_ms), "next": str(shard.now_ms + MINUTE_MS), "ticks": "1", "tick": str(shard.now_ms), "run": run,
    }.items()  # fmt: skip
    await shard.run_to_the_end()


async def test_of_many_at_once_one_performs_a_tick(shard: Shard) -> None:
    cron = await due(shard)
    answers = await asyncio.gather(*(tick(shard, cron, shard.now_ms) for _ in range(5)), return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, Ticked)] == [Ticked(1, 0, False)]
    assert [type(answer) for answer in answers if not isinstance(answer, Ticked)] == [CronMoved] * 4
    assert len(dict((await shard.stored()).family("run"))) == 1


async def test_a_bell_rings_for_the_run_of_a_tick(shard: Shard) -> None:
    await shard.lease("L1", "a/f")
    cron = await due(shard)
    await tick(shard, cron, shard.now_ms)
    rung = await shard.bells.wait(apps=["a"], events=False, timers=False, inbox="", block_ms=1)
    assert rung.ready
    assert [run.function for run in (await shard.claim()).runs] == ["a/f"]


@pytest.mark.parametrize(
    "change", ["another spec", "settled further", "not settled so far", "absent trigger", "in the future", "backwards"]
)
async def test_whoever_believes_something_else_is_refused_and_nothing_changes(shard: Shard, change: str) -> None:
    cron = await due(shard)
    at = shard.now_ms
    before = await shard.stored()
    believed = {
        "another spec": cron._replace(spec=cron.spec + b"x"),
        "settled further": cron._replace(upto_ms=cron.upto_ms + 1),
        "not settled so far": cron._replace(upto_ms=cron.upto_ms - 1),
        "absent trigger": cron._replace(trigger="a/f key2"),
    }.get(change, cron)
    to = {"in the future": at + 1, "backwards": cron.upto_ms - 1}.get(change, at)
    with pytest.raises(CronMoved):
        await tick(shard, believed, to)
    assert before.changed(await shard.stored()) == set()


async def test_a_clock_that_goes_back_performs_no_tick_again(shard: Shard) -> None:
    cron = await due(shard)
    at = shard.now_ms
    await tick(shard, cron, at)
    shard.advance(-10 * MINUTE_MS)
    moved = await looked_at(shard)
    assert moved.upto_ms == at
    assert (await shard.crons.read_crons(10)).crons == []
    with pytest.raises(CronMoved):
        await tick(shard, moved, at)
    with pytest.raises(CronMoved):
        await tick(shard, moved, at - MINUTE_MS)
    assert len(dict((await shard.stored()).family("run"))) == 1


async def test_a_run_that_is_there_already_is_not_created_again(shard: Shard) -> None:
    """A failover has lost that the tick was settled, and not the run."""
    cron = await due(shard)
    await tick(shard, cron, shard.now_ms)
    await shard.command("HSET", shard.key("cron", TRIGGER), "upto", cron.upto_ms)
    before = await shard.stored()
    assert await tick(shard, cron, shard.now_ms) == Ticked(0, 0, False)
    assert before.changed(await shard.stored()) == {"cron"}


async def test_many_ticks_in_one_call_are_runs_of_their_own(shard: Shard) -> None:
    cron = await registered(shard)
    ticks = [shard.advance(MINUTE_MS) for _ in range(100)]
    assert await tick(shard, cron, *ticks) == Ticked(100, 0, False)
    runs = dict((await shard.stored()).family("run"))
    assert len(runs) == 100
    assert {(await shard.stored()).of("input", run) for run in runs} == {b"tick %d" % at for at in ticks}


async def test_missed_ticks_are_settled_and_counted(shard: Shard) -> None:
    cron = await due(shard)
    before = await shard.stored()
    assert await shard.crons.tick_cron(cron, settled(shard.now_ms, missed=7), "allow") == Ticked(0, 0, False)
    after = await shard.stored()
    assert before.changed(after) == {"cron", "crons"}
    assert after.of("cron", TRIGGER).items() >= {"missed": "7", "missed_at": str(shard.now_ms)}.items()


async def test_only_the_next_look_may_be_set(shard: Shard) -> None:
    cron = await registered(shard)
    await shard.crons.tick_cron(cron, Settled(cron.upto_ms, 0, START_MS + MINUTE_MS, START_MS + MINUTE_MS + 3), "allow")
    assert (await looked_at(shard)).upto_ms == cron.upto_ms
    look = await shard.crons.read_crons(10)
    assert (look.crons, look.next_ms) == ([], MINUTE_MS + 3)


@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
async def test_a_tick_is_skipped_while_the_run_before_is_not_finished(shard: Shard, state: str) -> None:
    cron = await due(shard)
    await tick(shard, cron, shard.now_ms, overlap="skip")
    (run,) = dict((await shard.stored()).family("run"))
    if state != "queued":
        await shard.lease("L1")
        (mine,) = (await shard.claim()).runs
        if state == "waiting":
            held = Held("L1", mine.id, mine.epoch)
            await shard.suspend(held, key="nap", kind="w", blob=b"sleep", due_at_ms=shard.now_ms + 9 * MINUTE_MS)
    at = shard.advance(MINUTE_MS)
    assert await tick(shard, await looked_at(shard), at, overlap="skip") == Ticked(0, 1, False)
    stored = await shard.stored()
    assert dict(stored.family("run")).keys() == {run}
    assert stored.of("cron", TRIGGER).items() >= {"skipped": "1", "skipped_tick": str(at), "skipped_for": run}.items()
    await shard.run_to_the_end()
    assert await tick(shard, await looked_at(shard), shard.now_ms, overlap="skip") == Ticked(1, 0, False)
    assert len((await shard.stored()).of("started", TRIGGER)) == 1


async def test_a_run_of_an_event_or_of_another_trigger_skips_nothing(shard: Shard) -> None:
    await registered(shard, {}, {"key": "key2"})
    await shard.queued("a/f")
    at = shard.advance(MINUTE_MS)
    other = await looked_at(shard, "a/f key2")
    await shard.crons.tick_cron(other, settled(at), "skip", [TickWrite(at, "01OTHER", b"")])
    assert await tick(shard, await looked_at(shard), at, overlap="skip") == Ticked(1, 0, False)


async def test_where_overlap_becomes_skip_every_run_before_counts(shard: Shard) -> None:
    cron = await due(shard)
    await tick(shard, cron, shard.now_ms)
    shard.advance(MINUTE_MS)
    await tick(shard, await looked_at(shard), shard.now_ms)
    await shard.lease("L1")
    newest = (await shard.claim(room=2)).runs[1]
    await shard.runs.finish_runs("L1", [FinishWrite(newest.id, newest.epoch, "c", b"")], 10, 10)
    shard.advance(MINUTE_MS)
    assert await tick(shard, await looked_at(shard), shard.now_ms, overlap="skip") == Ticked(0, 1, False)


async def test_finished_runs_are_forgotten_by_the_ticks_that_follow(shard: Shard) -> None:
    cron = await registered(shard)
    for _ in range(5):
        at = shard.advance(MINUTE_MS)
        await tick(shard, cron, at)
        cron = await looked_at(shard)
        await shard.run_to_the_end()
    assert len((await shard.stored()).of("started", TRIGGER)) == 1


async def test_a_closed_gate_refuses_ticks_and_changes_nothing(shard: Shard) -> None:
    cron = await due(shard)
    await shard.upkeep.set_gate(0.9, prunable=False)
    before = await shard.stored()
    with pytest.raises(QueueFull):
        await tick(shard, cron, shard.now_ms)
    assert before.changed(await shard.stored()) == set()
    await shard.upkeep.set_gate(0.1, prunable=False)
    assert await tick(shard, cron, shard.now_ms) == Ticked(1, 0, False)


# ---- registrations


async def test_a_new_trigger_ticks_from_its_registration_on_and_rings(shard: Shard) -> None:
    cron = await registered(shard)
    assert cron.upto_ms == START_MS
    look = await shard.crons.read_crons(10)
    assert (look.now_ms, look.crons) == (START_MS, [cron])
    rung = await shard.bells.wait(apps=[], events=False, timers=True, inbox="", block_ms=1)
    assert rung.timers


@pytest.mark.parametrize("release", ["r1", "r2"])
async def test_the_same_trigger_registered_again_changes_nothing(shard: Shard, release: str) -> None:
    cron = await due(shard)
    await tick(shard, cron, shard.now_ms)
    before = await shard.stored()
    shard.advance(10)
    await registered(shard, release=release)
    after = await shard.stored()
    assert before.changed(after) <= {"deployments", "event_bell"}
    assert after.of("crons") == before.of("crons")


async def test_another_option_keeps_where_the_ticks_stand_and_has_it_looked_at(shard: Shard) -> None:
    cron = await due(shard)
    changed = await registered(shard, {"overlap": "skip"}, release="r2")
    assert changed.upto_ms == cron.upto_ms
    assert changed.spec != cron.spec
    assert (await shard.crons.read_crons(10)).crons == [changed]
    with pytest.raises(CronMoved):
        await tick(shard, cron, shard.now_ms)
    assert await tick(shard, changed, shard.now_ms) == Ticked(1, 0, False)


async def test_another_expression_replaces_the_schedule(shard: Shard) -> None:
    cron = await due(shard)
    await shard.registry.register_app("a", "r2", {"f": declared({"key": "key2"})})
    (row,) = await shard.crons.listed()
    assert (row.trigger, row.upto_ms) == ("a/f key2", shard.now_ms)
    with pytest.raises(CronMoved):
        await tick(shard, cron, shard.now_ms)


async def test_a_trigger_that_is_removed_leaves_nothing_and_its_runs_go_on(shard: Shard) -> None:
    cron = await due(shard)
    await tick(shard, cron, shard.now_ms)
    await shard.registry.register_app("a", "r2", {"f": declared()})
    stored = await shard.stored()
    assert (stored.of("crons"), dict(stored.family("cron")), dict(stored.family("started"))) == ({}, {}, {})
    assert len(dict(stored.family("run"))) == 1


async def test_an_older_release_brings_nothing_back_and_takes_nothing_away(shard: Shard) -> None:
    await registered(shard, {"key": "old"}, {}, release="r1")
    await registered(shard, {}, {"key": "key2"}, release="r2")
    before = await shard.stored()
    await shard.registry.register_app("a", "r1", {"f": declared({"key": "old"}, {})})
    assert before.changed(await shard.stored()) <= {"event_bell"}
    assert {row.trigger for row in await shard.crons.listed()} == {TRIGGER, "a/f key2"}


async def test_an_app_leaves_the_triggers_of_others_alone(shard: Shard) -> None:
    await registered(shard)
    await shard.registry.register_app("ab", "r1", {"f": declared({})})
    await shard.registry.register_app("a", "r2", {"f": declared(), "ff": declared({})})
    assert {row.trigger for row in await shard.crons.listed()} == {"a/ff key1", "ab/f key1"}


async def test_a_function_that_is_missing_ticks_for_as_long_as_a_living_worker_has_it(shard: Shard) -> None:
    await registered(shard)
    await shard.lease("L1", "a/f")
    await shard.registry.register_app("a", "r2", {"g": b"x"})
    at = shard.advance(MINUTE_MS)
    assert await tick(shard, await looked_at(shard), at) == Ticked(1, 0, False)
    await shard.leases.close_lease("L1", crashed=False, reason="left", keep_failed=1)
    at = shard.advance(MINUTE_MS)
    before = await shard.stored()
    assert await tick(shard, await looked_at(shard), at) == Ticked(0, 0, True)
    assert before.changed(await shard.stored()) == {"crons"}
    assert (await shard.crons.read_crons(10)).next_ms == 10_000
    # It comes back: the tick that waited is still there.
    await registered(shard, release="r3")
    assert await tick(shard, await looked_at(shard), at) == Ticked(1, 0, False)


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_retired_function_takes_its_triggers_with_it(shard: Shard, delivery: str) -> None:
    cron = await due(shard)
    await tick(shard, cron, shard.now_ms)
    await shard.registry.register_app("a", "r2", {"g": declared({})})
    shard.advance(TEN_MINUTES_MS)
    await shard.deliver(delivery, lambda: shard.registry.retire_functions(TEN_MINUTES_MS))
    stored = await shard.stored()
    assert stored.of("crons").keys() == {"a/g key1"} == dict(stored.family("cron")).keys()
    assert dict(stored.family("started")) == {}


async def test_the_longest_overdue_are_read_first_and_the_rest_later(shard: Shard) -> None:
    for number in range(5):
        await shard.registry.register_app("a", f"r{number}", {f"f{n}": declared({}) for n in range(number + 1)})
        shard.advance(10)
    look = await shard.crons.read_crons(2)
    assert ([cron.trigger for cron in look.crons], look.next_ms) == (["a/f0 key1", "a/f1 key1"], 0)
    look = await shard.crons.read_crons(10)
    assert (len(look.crons), look.next_ms) == (5, None)


async def test_a_trigger_whose_hash_somebody_deleted_is_left_out(shard: Shard) -> None:
    await registered(shard)
    await shard.command("DEL", shard.key("cron", TRIGGER))
    assert (await shard.crons.read_crons(10)).crons == []
    assert (await shard.stored()).of("crons") == {}


async def test_a_tick_gives_its_run_what_the_declaration_asks_for_and_is_told(shard: Shard) -> None:
    cron = await due(shard)
    await shard.registry.register_app("a", "r1", {"f": declared({}), " !": b"t"})
    (plain, dressed) = writes(shard.now_ms - 1, shard.now_ms)
    dressed = dressed._replace(extras=listener(start_ms=5000))
    assert await shard.crons.tick_cron(cron, settled(shard.now_ms), "allow", [plain, dressed]) == Ticked(2, 0, False)
    stored = await shard.stored()
    assert stored.of("run", dressed.run_id)["k"] == "lt"
    assert stored.of("timers") == {f"b {dressed.run_id}": shard.now_ms + 5000}
    assert len(stored.of("listens", dressed.run_id)) == 1
    assert "k" not in stored.of("run", plain.run_id)
    entries = [entry.blob.decode() for entry in (await shard.events.unrouted(10)).entries]
    assert entries == [f"St {plain.run_id}", f"St {dressed.run_id}"]


async def test_a_tick_that_is_skipped_is_told_to_nobody(shard: Shard) -> None:
    cron = await due(shard)
    await shard.registry.register_app("a", "r1", {"f": declared({}), " !": b"t"})
    assert await tick(shard, cron, shard.now_ms - 1, shard.now_ms, overlap="skip") == Ticked(1, 1, False)
    assert len((await shard.events.unrouted(10)).entries) == 1
