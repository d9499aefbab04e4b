"""Faults of flow control, made by hand, since no verb leads there; and that none is told where there is none."""

from __future__ import annotations

import pytest
import pytest_asyncio

from durableq.services.doctor.finding import Severity
from durableq.store.flow import WAIT
from durableq.store.registry import Registry
from tests.services.doctor.conftest import Examine
from tests.services.flowing import PER_CUSTOMER, Flowing
from tests.store.gates import finish, fire
from tests.store.shard import Shard

THROTTLE = {"limit": 1, "period_ms": 60_000, "burst": 1, "key": None}
DEBOUNCE = {"period_ms": 60_000, "timeout_ms": 0, "key": "event.data.doc"}
BATCH = {"size": 9, "timeout_ms": 60_000, "key": None, "if": None}


@pytest_asyncio.fixture
async def flowing(shard: Shard) -> Flowing:
    return Flowing(shard)


async def test_flow_control_at_work_is_in_order(flowing: Flowing, examined: Examine) -> None:
    singleton = {"mode": "cancel", "key": None}
    await flowing.declare(
        f={"concurrency": [PER_CUSTOMER], "throttle": THROTTLE}, g={"singleton": singleton}, h={"debounce": DEBOUNCE}
    )
    await flowing.send(*[{"customer": n % 3} for n in range(9)])
    await flowing.send({}, {}, function="g")
    await flowing.send({"doc": 1}, {"doc": 2}, function="h")
    held = await flowing.claim()
    await flowing.shard.cancels.cancel_runs([held[0].run], "by the test")
    found = await examined()
    assert {finding.id for finding in found.values() if finding.check == "limits"} == {"limits"}
    assert found["limits"].severity is Severity.OK
    assert found["limits"].seen.endswith("2 debounced or batched")


async def test_a_parked_lane_whose_gate_is_open_is_told(flowing: Flowing, examined: Examine) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    await fire(flowing.shard)  # the numbers' own timer, which opens what it can
    await flowing.send({"customer": "a b"}, {"customer": "a b"})
    (held,) = await flowing.claim()
    assert "parked-for-ever" not in await examined()
    await finish(flowing.shard, held)
    # As if the end of the first had opened nothing.
    ((lane, score),) = (await flowing.shard.stored()).of("lanes", "a/f").items()
    pool = lane.partition("=")[2]
    key = flowing.shard.key
    await flowing.shard.command("ZREM", key("lanes", "a/f"), lane)
    await flowing.shard.command("ZADD", key("parked", f"{pool} a/f"), score, lane)
    await flowing.shard.command("SADD", key("blocked", "a/f"), pool)
    finding = (await examined())["parked-for-ever"]
    assert (finding.severity, finding.seen) == (
        Severity.PROBLEM,
        "parked at limits that have room: a/f, key 'a b' (1 lane)",
    )
    # What the finding says helps.
    await flowing.declare(f={"concurrency": [{**PER_CUSTOMER, "limit": 2}]})
    assert "parked-for-ever" not in await examined(), "the new numbers' timer is going to open it"
    await fire(flowing.shard)
    assert len(await flowing.claim()) == 1
    assert "parked-for-ever" not in await examined()


async def test_a_throttle_without_a_timer_is_told(flowing: Flowing, examined: Examine) -> None:
    await flowing.declare(f={"throttle": THROTTLE})
    await fire(flowing.shard)
    await flowing.send({}, {})
    await flowing.claim()
    assert "parked-for-ever" not in await examined()
    await flowing.shard.command("ZREM", flowing.shard.key("timers"), "T a/f:t: a/f")
    assert (await examined())["parked-for-ever"].seen.endswith("a/f, its limit without a key (1 lane)")


async def test_a_slot_of_a_run_that_has_ended_is_told_unless_its_body_goes_on(
    flowing: Flowing, examined: Examine
) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    runs = await flowing.send({"customer": 1}, {"customer": 1})
    (held,) = await flowing.claim()
    assert await flowing.claim() == []
    await flowing.shard.cancels.cancel_runs([held.run], "by the test")
    assert "slots-of-ended-runs" not in await examined()
    await flowing.shard.command("DEL", flowing.shard.key("leaving", "L1"))
    finding = (await examined())["slots-of-ended-runs"]
    assert finding.seen.startswith(f"1 slot: run {runs[0]} in dq:{{t:0}}:slots:a/f:")
    assert finding.severity is Severity.PROBLEM


@pytest.mark.parametrize(("options", "letter"), [({"debounce": DEBOUNCE}, "D"), ({"batch": BATCH}, "B")])
async def test_what_is_held_back_without_a_timer_is_told(
    flowing: Flowing, examined: Examine, options: dict[str, object], letter: str
) -> None:
    await flowing.declare(f=options)
    await flowing.send({"doc": "a b"})
    assert "held-back-without-timer" not in await examined()
    timers = (await flowing.shard.stored()).of("timers")
    (timer,) = (one for one in timers if one.startswith(letter))
    await flowing.shard.command("ZREM", flowing.shard.key("timers"), timer)
    named = "key 'a b'" if letter == "D" else "its limit without a key"
    assert (await examined())["held-back-without-timer"].seen == f"1 key: a/f, {named}"


async def test_the_key_of_a_run_that_has_ended_is_told_and_no_problem(flowing: Flowing, examined: Examine) -> None:
    await flowing.declare(f={"singleton": {"mode": "skip", "key": "event.data.customer"}})
    runs = await flowing.send({"customer": 1}, {"customer": 1})
    (held,) = await flowing.claim()
    assert "keys-of-ended-runs" not in await examined()
    ((name, _),) = list((await flowing.shard.stored()).family("lock"))
    await finish(flowing.shard, held)
    await flowing.shard.command("SET", flowing.shard.key("lock", name), runs[0])
    finding = (await examined())["keys-of-ended-runs"]
    assert (finding.severity, finding.seen) == (Severity.INFO, f"singleton: run {runs[0]} in dq:{{t:0}}:lock:{name}")


async def test_keys_without_a_value_are_told_with_the_worst(flowing: Flowing, examined: Examine) -> None:
    await flowing.declare(f={"throttle": THROTTLE}, g={"throttle": THROTTLE})
    registry = Registry(flowing.shard.calls)
    await registry.note_faults([("a/f throttle", "one")])
    await registry.note_faults([("a/g throttle", "event.data.x came to nothing")] * 2)
    assert (await examined())["keys-without-value"].seen == (
        "a/g, throttle (2), a/f, throttle (1); the last of a/g, throttle: event.data.x came to nothing"
    )


async def test_paused_functions_are_named(flowing: Flowing, examined: Examine) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    await flowing.shard.flow.pause_functions(["a/f"], WAIT)
    flowing.shard.advance(60_000)
    finding = (await examined())["functions-paused"]
    assert (finding.severity, finding.seen) == (Severity.INFO, "a/f for 1m")
