"""Faults of a namespace, each produced by the verbs that lead there, on every kind of server."""

from __future__ import annotations

import pytest

from durableq.model.filing import ANYHOW, bucket_of
from durableq.services.doctor import of_waits
from durableq.services.doctor.examination import examine
from durableq.services.doctor.facts import Plan
from durableq.services.doctor.finding import CHECKS, UNSEEN, Severity
from durableq.store.calls import Calls
from durableq.store.events import Decision
from durableq.store.keys import Keys
from durableq.store.runs import StepWrite
from durableq.words import codec
from tests.servers import FAKE, Server
from tests.services.doctor.conftest import Examine, Hands
from tests.store.awaiting import NAME, asleep, begin, deliver, happened
from tests.store.shard import SCRIPTS, Shard
from tests.store.stored import read_stored

MINUTE_MS = 60_000
DECLARATION = codec.encode({"name": "f", "retries": 4, "triggers": []})


async def alive(shard: Shard, *leases: str) -> None:
    """What keeps a namespace going: renewals, and a scheduler's round."""
    if leases:
        await shard.leases.renew_leases(leases)
    await shard.leases.rescue_leases(keep_failed=10)


async def test_a_namespace_at_work_has_nothing_to_mend(shard: Shard, examined: Examine) -> None:
    await shard.registry.register_app("a", "release", {"f": DECLARATION})
    held = await shard.claimed()
    await shard.waiting("L1", due_in_ms=MINUTE_MS)
    await shard.queued()
    await alive(shard, held.lease)
    found = await examined(Plan(declared={"a": {"f": DECLARATION}}))
    of_namespace = [finding for finding in found.values() if finding.check in CHECKS[CHECKS.index("namespace") :]]
    assert {finding.severity for finding in of_namespace} == {Severity.OK}
    assert found["workers"].seen == "1 worker process, 1 run in hand"
    assert found["functions"].seen == "1 function, 1 run queued, 1 waiting"
    assert found["timers"].seen == "1 pending, the first in 1m"
    assert found["events"].seen == "3 accepted, 0 not routed yet, none set aside"


async def test_what_a_fake_cannot_tell_is_said_and_is_no_problem(shard: Shard) -> None:
    findings = await examine(shard.calls, Hands(), Plan())
    hidden = {finding.check for finding in findings if finding.id == UNSEEN}
    of_server = {"version", "persistence", "eviction", "memory", "replication", "connections", "settings"}
    assert hidden == (of_server if shard.server.kind is FAKE else set())


# Nothing is written


async def test_a_checkup_changes_nothing(shard: Shard, examined: Examine) -> None:
    await shard.registry.register_app("a", "release", {"f": DECLARATION})
    await shard.waiting()
    await shard.queued()
    await shard.suspected("a/g")
    await shard.sent(2)
    before = await read_stored(shard.calls)
    await examined()
    assert before.changed(await read_stored(shard.calls)) == set()


async def test_a_checkup_gives_a_new_namespace_no_identity(server: Server, shard: Shard) -> None:
    new = Calls(shard.link, SCRIPTS, Keys("another"))
    found = {finding.id: finding for finding in await examine(new, Hands(), Plan())}
    assert found["namespace-new"].severity is Severity.INFO
    assert "scheduler" not in {finding.check for finding in found.values()}
    with server.sync_client() as client:
        assert list(client.scan_iter("dq:{another*")) == []


async def test_a_checkup_is_no_write_to_the_server_either(shard: Shard, examined: Examine) -> None:
    if not shard.server.kind.real:
        return
    await shard.claimed()
    with shard.server.sync_client() as client:
        before = client.info("persistence")["rdb_changes_since_last_save"]
        await examined()
        assert client.info("persistence")["rdb_changes_since_last_save"] == before


# identity, schema


async def test_a_namespace_that_lost_its_identity_is_a_problem(shard: Shard, examined: Examine) -> None:
    await shard.queued()
    await shard.command("DEL", shard.key("meta"))
    assert (await examined())["identity-missing"].severity is Severity.PROBLEM


async def test_a_schema_of_another_release_is_a_problem(shard: Shard, examined: Examine) -> None:
    await shard.command("HSET", shard.key("meta"), "schema", 99)
    assert (await examined())["unknown-schema"].seen == "it is of schema 99; this release reads 1"


# schedulers, timers


async def test_no_scheduler_is_a_problem_until_one_makes_its_round(shard: Shard, examined: Examine) -> None:
    assert (await examined())["no-scheduler"].seen == "none was ever seen"
    await shard.leases.rescue_leases(keep_failed=10)
    assert (await examined())["scheduler"].seen == "seen 0ms ago"
    shard.advance(5 * MINUTE_MS)
    finding = (await examined())["no-scheduler"]
    assert (finding.severity, finding.seen) == (Severity.PROBLEM, "none seen for 5m")
    assert "`durableq scheduler`" in finding.mend


async def test_a_renewing_worker_is_not_taken_for_a_scheduler(shard: Shard, examined: Examine) -> None:
    await shard.lease("L1")
    await shard.leases.renew_leases(["L1"])
    assert "no-scheduler" in await examined()


async def test_overdue_timers_are_counted_with_how_late_they_are(shard: Shard, examined: Examine) -> None:
    await shard.waiting(due_in_ms=1_000, key="x")
    await shard.waiting(due_in_ms=3_000, key="y")
    await shard.waiting(due_in_ms=MINUTE_MS, key="z")
    shard.advance(2_000)
    assert "timers-overdue" not in await examined()
    shard.advance(10_000)
    finding = (await examined())["timers-overdue"]
    assert (finding.severity, finding.seen) == (Severity.PROBLEM, "2 timers overdue, the first by 11s")
    await shard.timers.fire_timers()
    assert (await examined())["timers"].seen == "1 pending, the first in 48s"


async def test_overdue_ticks_of_crons_are_counted_too(shard: Shard, examined: Examine) -> None:
    await shard.command("ZADD", shard.key("crons"), shard.now_ms, "a/f k1", shard.now_ms + MINUTE_MS, "a/f k2")
    assert (await examined())["timers"].seen == "0 pending and 2 crons, one due now"
    shard.advance(7_000)
    finding = (await examined())["ticks-overdue"]
    assert (finding.severity, finding.seen) == (Severity.PROBLEM, "1 cron overdue, the first by 7s")


# workers


async def test_no_worker_is_a_warning(shard: Shard, examined: Examine) -> None:
    assert (await examined())["no-workers"].severity is Severity.WARNING


async def test_a_lease_that_nobody_renews_is_told_before_it_is_over(shard: Shard, examined: Examine) -> None:
    await shard.claimed()
    shard.advance(4_000)
    assert "lease-not-renewed" not in await examined()
    shard.advance(3_000)
    assert (await examined())["lease-not-renewed"].seen == "1 lease not renewed in time: worker (1 run)"


# functions


async def test_queued_runs_that_no_worker_can_execute_are_a_problem(shard: Shard, examined: Examine) -> None:
    await shard.registry.register_app("a", "release", {"f": DECLARATION, "g": DECLARATION, "h": DECLARATION})
    await shard.lease("L1", "a/f")
    await shard.backlog(3, "a/g")
    found = await examined()
    assert found["queue-without-worker"].seen == "3 runs queued: a/g (3)"
    assert found["queue-without-worker"].severity is Severity.PROBLEM
    assert found["function-without-worker"].seen == "a/h"
    await shard.lease("L2", "a/g", "a/h")
    assert (await examined())["functions"].severity is Severity.OK


async def test_triggers_that_could_not_be_evaluated_are_told_with_the_last_reason(
    shard: Shard, examined: Examine
) -> None:
    await shard.registry.register_app("a", "release", {"f": DECLARATION})
    entries = await shard.sent(2)
    backlog = await shard.events.unrouted(10)
    faults = [Decision("fault", entry, "", "a/f", 0, f"reason {n}".encode()) for n, entry in enumerate(entries)]
    await shard.events.route_events(backlog.cursor, entries[-1], backlog.registry, 2, faults, 1000)
    assert (await examined())["trigger-faults"].seen == "a/f (2); the last of a/f: reason 1"


# runs


async def test_a_run_that_records_nothing_for_long_is_told(shard: Shard, examined: Examine) -> None:
    held = await shard.claimed()
    shard.advance(10 * MINUTE_MS)
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "one", "d", b"", b"")])
    shard.advance(10 * MINUTE_MS)
    assert "run-without-progress" not in await examined()
    shard.advance(10 * MINUTE_MS)
    finding = (await examined())["run-without-progress"]
    assert finding.seen == f"nothing recorded: a/f {held.run} for 20m"


async def test_suspects_that_wait_are_counted(shard: Shard, examined: Examine) -> None:
    await shard.registry.register_app("a", "release", {"f": DECLARATION})
    await shard.suspected()
    assert (await examined())["suspects-waiting"].seen == "runs suspected of killing their worker: a (1)"


# events


async def test_events_that_nobody_routes_are_a_problem(shard: Shard, examined: Examine) -> None:
    (first, _) = await shard.sent(2)
    accepted_ms = int(first.partition("-")[0])
    shard.calls.now_ms = accepted_ms + 5_000
    assert (await examined())["events"].seen == "2 accepted, 2 not routed yet, none set aside"
    shard.advance(15_000)
    finding = (await examined())["events-not-routed"]
    assert (finding.severity, finding.seen) == (Severity.PROBLEM, "2 events not routed, the oldest for 20s")


async def test_events_set_aside_are_told_with_the_last_reason(shard: Shard, examined: Examine) -> None:
    (entry,) = await shard.sent()
    backlog = await shard.events.unrouted(10)
    aside = [Decision("aside", entry, detail=b"it cannot be decoded")]
    await shard.events.route_events(backlog.cursor, entry, backlog.registry, 1, aside, 1000)
    assert (await examined())["events-set-aside"].seen == "1 event set aside, the last for: it cannot be decoded"


# waits


async def test_waits_that_no_index_finds_are_counted_per_name(
    shard: Shard, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = bucket_of(NAME, ANYHOW, "")
    held = await shard.claimed()
    for number in range(3):
        await begin(shard, held, f"wait {number}", path=ANYHOW, bucket=bucket, anyhow=bucket)
    await begin(shard, held, "found by value")
    assert (await examined())["waits"].seen == "3 that no index finds, 0 events to deliver, 0 ended runs to sweep"
    monkeypatch.setattr(of_waits, "UNINDEXED_MANY", 2)
    finding = (await examined())["waits-not-indexed"]
    assert (finding.severity, finding.seen) == (Severity.WARNING, "waits that no equality finds: order/paid (3)")


async def test_events_that_nobody_delivers_are_a_problem(shard: Shard, examined: Examine) -> None:
    await asleep(shard)
    entry = await happened(shard)
    shard.calls.now_ms = int(entry.partition("-")[0]) + 5_000
    assert (await examined())["waits"].seen == "0 that no index finds, 1 event to deliver, 0 ended runs to sweep"
    shard.advance(15_000)
    finding = (await examined())["deliveries-behind"]
    assert (finding.severity, finding.seen) == (Severity.PROBLEM, "1 event not delivered, the oldest of 20s ago")
    await deliver(shard)
    assert "deliveries-behind" not in await examined()


async def test_ended_runs_that_nobody_sweeps_are_counted(
    shard: Shard, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await asleep(shard)
    await shard.cancels.cancel_runs([held.run], "asked")
    monkeypatch.setattr(of_waits, "VOID_MANY", 0)
    finding = (await examined())["ended-not-swept"]
    assert (finding.severity, finding.seen) == (Severity.WARNING, "1 ended run not swept")
    await shard.cancels.sweep_ended()
    assert "ended-not-swept" not in await examined()


# releases, apps


async def test_workers_of_several_releases_are_told_and_which_is_newest(shard: Shard, examined: Examine) -> None:
    for release in ("v1", "v2", "v3"):
        await shard.registry.register_app("a", release, {"f": DECLARATION})
    for release in ("v1", "v2"):
        await shard.leases.register_lease(f"L{release}", "worker", ["a"], release, ["a/f"])
    found = await examined()
    assert found["several-releases"].severity is Severity.INFO
    assert found["newest-release-absent"].seen == "a: the newest is v3, alive are v1, v2"
    await shard.leases.register_lease("Lv3", "worker", ["a"], "v3", ["a/f"])
    found = await examined()
    assert found["several-releases"].seen == "a: v1, v2, v3 (newest)"
    assert "newest-release-absent" not in found


async def test_an_app_that_is_named_is_compared_with_what_is_registered(shard: Shard, examined: Examine) -> None:
    await shard.registry.register_app("a", "v1", {"f": DECLARATION, "g": DECLARATION})
    other = codec.encode({"name": "f", "retries": 9, "triggers": []})
    found = await examined(Plan(declared={"a": {"f": other, "new": DECLARATION}, "b": {"f": DECLARATION}}))
    assert found["app-differs"].seen == "a: new new; changed f; gone g"
    assert found["app-not-registered"].seen == "b: nothing of it is registered"


@pytest.mark.parametrize("key", ["meta", "timers", "leases", "apps", "aside", "faults", "posts", "void"])
async def test_a_key_of_another_type_is_no_crash(shard: Shard, examined: Examine, key: str) -> None:
    await shard.registry.register_app("a", "release", {"f": DECLARATION})
    await shard.queued()
    await shard.command("DEL", shard.key(key))
    await shard.command("SET", shard.key(key), "not ours")
    assert UNSEEN in await examined()
