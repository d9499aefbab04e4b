"""What is admitted: idempotency, rate limit, singleton, pause; all are looked at before any token is taken (decision 012)."""

from __future__ import annotations

import pytest

from durableq.model.flow import NOTHING, key_name, numbers, with_gates
from durableq.store.flow import RESUME, SKIP, WAIT
from durableq.store.invokes import InvokeWrite, NewRun
from durableq.words.ids import run_id
from tests.store.gates import deploy, finish, fire, held_by, reasons, states, triggered
from tests.store.shard import DELIVERIES, Shard

DAY = 86_400_000


async def test_an_idempotency_key_admits_once_in_its_time(shard: Shard) -> None:
    await deploy(shard, f=f" i={DAY} ")
    runs = await triggered(shard, "i=a/f:k", "i=a/f:k", "i=a/f:other")
    assert await states(shard, runs) == "q-q"
    shard.advance(DAY - 1)
    assert await states(shard, await triggered(shard, "i=a/f:k")) == "-"
    shard.advance(1)
    assert await states(shard, await triggered(shard, "i=a/f:k")) == "q"
    assert await reasons(shard) == ["idempotency"] * 2
    (skip, _) = await shard.flow.skips("a/f")
    assert (skip.key, skip.other) == ("a/f:k", runs[0])
    assert await shard.flow.skipped("a") == {("f", "idempotency"): 2}


@pytest.mark.parametrize("delay_ms", [0, 60_000])
async def test_a_new_timeout_reaches_runs_in_lanes_from_when_they_were_due(shard: Shard, delay_ms: int) -> None:
    await shard.registry.register_app("a", "r1", {"f": b"x"}, {"f": " 0=1 "})
    runs = await triggered(shard, "c0=a/f", due_at_ms=shard.now_ms + delay_ms if delay_ms else 0)
    v = (await shard.stored()).of("run", runs[0])
    due = int(v["y"] if delay_ms else v["c"])
    if delay_ms:
        shard.calls.now_ms = due
        await fire(shard)
    assert await states(shard, runs) == "q"
    await shard.registry.register_app("a", "r2", {"f": b"x", "f !": b"5000 0"}, {"f": " 0=1 "})
    await fire(shard)
    shard.calls.now_ms = due + 4999
    await fire(shard)
    assert await states(shard, runs) == "q"
    shard.advance(1)
    await fire(shard)
    assert await states(shard, runs) == "x"


async def test_exactly_the_limit_in_any_period(shard: Shard) -> None:
    await deploy(shard, f=" l=3/1000 ")
    admitted = []
    for step in range(40):
        (run,) = await triggered(shard, "l=a/f:k")
        if await states(shard, [run]) == "q":
            admitted.append(step * 100)
        shard.advance(100)
    assert admitted == [0, 100, 200, 1000, 1100, 1200, 2000, 2100, 2200, 3000, 3100, 3200]


async def test_numbers_of_a_rate_limit_apply_at_once(shard: Shard) -> None:
    await deploy(shard, f=" l=2/1000 ")
    assert await states(shard, await triggered(shard, *["l=k"] * 3)) == "qq-"
    await deploy(shard, f=" l=5/1000 ")
    assert await states(shard, await triggered(shard, *["l=k"] * 4)) == "qqq-"
    await deploy(shard, f=" l=1/1000 ")
    shard.advance(999)
    assert await states(shard, await triggered(shard, "l=k")) == "-"
    shard.advance(1)
    assert await states(shard, await triggered(shard, "l=k", "l=k")) == "q-"


async def test_a_clock_that_steps_back_lengthens_a_window_by_a_period_at_most(shard: Shard) -> None:
    await deploy(shard, f=" l=1/1000 ")
    await triggered(shard, "l=k")
    shard.advance(-500)
    assert await states(shard, await triggered(shard, "l=k")) == "-"
    shard.advance(-5000)
    assert await states(shard, await triggered(shard, "l=k")) == "q"


async def test_what_a_later_gate_refuses_has_taken_no_token(shard: Shard) -> None:
    await deploy(shard, f=f" i={DAY} l=2/1000 s=skip ")
    gates = "i=a/f:{} l=r s=a/f:s"
    first, refused = await triggered(shard, gates.format("k1"), gates.format("k2"))
    assert await states(shard, [first, refused]) == "q-"
    await shard.cancels.cancel_runs([first], "by the test")
    assert await states(shard, await triggered(shard, gates.format("k2"))) == "q"
    assert await reasons(shard) == ["singleton"]


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_start_from_outside_that_is_sent_twice_is_counted_once(shard: Shard, delivery: str) -> None:
    await deploy(shard, f=" l=1/1000 ")
    extras = with_gates("l=k", b"")
    run = NewRun(run_id("5-1", "a/f", 0), "a/f", b"\xc1 given", extras)
    assert await shard.deliver(delivery, lambda: shard.invokes.start_runs("", [run])) == [True]
    other = NewRun(run_id("5-2", "a/f", 0), "a/f", b"\xc1 given", extras)
    assert await shard.deliver(delivery, lambda: shard.invokes.start_runs("", [other])) == ["rate_limit k -"]


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_an_invoke_that_is_skipped_says_so_to_its_parent(shard: Shard, delivery: str) -> None:
    await deploy(shard, f=" l=1/1000 ")
    await triggered(shard, "l=k")
    parent = await shard.claimed("P", "a/g")
    child = run_id("6-1", "a/f", 0)
    due = shard.now_ms + 1000
    write = InvokeWrite(
        parent.run, parent.epoch, 0, "ik", b"", due, b"", child, "a/f", b"\xc1 given", with_gates("l=k", b"")
    )
    await shard.deliver(delivery, lambda: shard.invokes.invoke_runs("P", [write]))
    memos = (await shard.stored()).of("steps", parent.run)
    assert "RunSkipped" in str(memos["ik"])
    assert "rate_limit" in str(memos["ik"])
    assert await states(shard, [child]) == "-"
    assert await reasons(shard) == ["rate_limit"], "decided once"


async def test_a_singleton_that_skips_has_one_living_run(shard: Shard) -> None:
    await deploy(shard, f=" s=skip ")
    first, second = await triggered(shard, "s=a/f:k", "s=a/f:k")
    assert await states(shard, [first, second]) == "q-"
    await shard.lease()
    (held,) = await held_by(shard)
    await shard.suspend(held, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 10)
    assert await states(shard, await triggered(shard, "s=a/f:k", "s=a/f:other")) == "-q"
    shard.advance(10)
    await fire(shard)
    held = next(one for one in await held_by(shard) if one.run == first)
    await finish(shard, held)
    assert await states(shard, await triggered(shard, "s=a/f:k")) == "q"


async def test_a_singleton_that_cancels_waits_for_the_body_of_the_other(shard: Shard) -> None:
    await deploy(shard, f=" s=cancel ")
    await shard.lease()
    (first,) = await triggered(shard, "s=a/f:k")
    await held_by(shard)
    (second,) = await triggered(shard, "s=a/f:k")
    assert await held_by(shard) == [], "one body at a time"
    await fire(shard)
    assert await states(shard, [first, second]) == "xq"
    assert await held_by(shard) == [], "the first one's body has not ended"
    await shard.flow.free_slots("L1", [first])
    assert [held.run for held in await held_by(shard)] == [second]


async def test_of_many_that_cancel_each_other_the_last_is_left(shard: Shard) -> None:
    await deploy(shard, f=" s=cancel ")
    runs = await triggered(shard, *["s=a/f:k"] * 4)
    while await fire(shard):
        pass
    assert await states(shard, runs) == "xxxq"


async def test_a_sleeping_singleton_that_is_displaced_makes_way_at_once(shard: Shard) -> None:
    await deploy(shard, f=" s=cancel ")
    await shard.lease()
    await triggered(shard, "s=a/f:k")
    (held,) = await held_by(shard)
    await shard.suspend(held, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 10_000)
    (second,) = await triggered(shard, "s=a/f:k")
    assert await held_by(shard) == []
    await fire(shard)
    assert [one.run for one in await held_by(shard)] == [second]
    await shard.cancels.sweep_ended()


async def test_a_key_that_was_not_declared_binds_nobody(shard: Shard) -> None:
    await deploy(shard, f=" ")
    gates = "i=a/f:k l=a/f:k s=a/f:k c0=p t=a/f:t"
    assert await states(shard, await triggered(shard, gates, gates, gates)) == "qqq"
    await shard.lease()
    assert len(await held_by(shard)) == 3


@pytest.mark.parametrize("gates", ["", "c0=p"])
async def test_a_paused_function_is_not_claimed_until_it_is_resumed(shard: Shard, gates: str) -> None:
    await deploy(shard, f=" 0=5 ")
    (before,) = await triggered(shard, gates)
    assert await shard.flow.pause_functions(["a/f", "a/unknown"], WAIT) == [True, None]
    assert await shard.flow.pause_functions(["a/f"], WAIT) == [False]
    await shard.lease("L1", "a/f", "a/g")
    assert await held_by(shard) == []
    (meanwhile,) = await triggered(shard, gates)
    (other,) = await triggered(shard, "", function="a/g")
    assert [held.run for held in await held_by(shard)] == [other]
    assert await shard.flow.paused("a") == {"f": (WAIT, shard.now_ms)}
    assert await shard.flow.pause_functions(["a/f"], RESUME) == [True]
    assert {held.run for held in await held_by(shard)} == {before, meanwhile}


@pytest.mark.parametrize("gates", ["", "c0=p"])
async def test_a_pause_that_skips_records_what_came(shard: Shard, gates: str) -> None:
    await deploy(shard, f=" 0=5 ")
    await shard.flow.pause_functions(["a/f"], SKIP)
    assert await states(shard, await triggered(shard, gates)) == "-"
    new = NewRun(run_id("5-1", "a/f", 0), "a/f", b"\xc1 given", with_gates(gates, b""))
    assert await shard.invokes.start_runs("", [new]) == ["paused - -"]
    assert await reasons(shard) == ["paused"] * 2
    await shard.flow.pause_functions(["a/f"], RESUME)
    assert await states(shard, await triggered(shard, gates)) == "q"


async def test_a_retired_function_takes_its_flow_control_with_it(shard: Shard) -> None:
    await deploy(shard, f=" l=1/1000 ")
    await triggered(shard, "l=k", "l=k")
    await shard.flow.pause_functions(["a/f"], WAIT)
    await shard.registry.register_app("a", "without", {"g": b""})
    assert await shard.registry.retire_functions(0) == ["a/f"]
    stored = await shard.stored()
    assert stored.of("meta")["paused"] == "0"
    assert not stored.of("flow", "a")
    assert not stored.of("paused", "a")
    assert not stored.of("skipped", "a")
    assert await shard.flow.skips("a/f") == []


@pytest.mark.parametrize("gates", ["", "c0=p"])
async def test_what_was_queued_of_a_paused_function_is_claimed_when_it_comes_back_from_retirement(
    shard: Shard, gates: str
) -> None:
    await deploy(shard, f=" 0=1 ")
    (run,) = await triggered(shard, gates)
    await shard.lease()
    await shard.flow.pause_functions(["a/f"], WAIT)
    assert await held_by(shard) == []
    await shard.crash("L1")
    await shard.registry.register_app("a", "without", {"g": b""})
    assert await shard.registry.retire_functions(0) == ["a/f"]
    await deploy(shard, f=" 0=1 ")
    await shard.lease("L2")
    assert [held.run for held in await held_by(shard, "L2")] == [run]


async def test_limits_of_a_retired_function_hold_nothing_up_when_it_comes_back_without_them(shard: Shard) -> None:
    await deploy(shard, f=" 1=1 ")
    await fire(shard)
    _, other = await triggered(shard, "r1=p", "r1=p")
    await shard.lease()
    (first,) = await held_by(shard)
    await shard.suspend(first, key="nap", kind="w", blob=b"", due_at_ms=shard.now_ms + 10**9)
    await shard.crash("L1")
    await shard.registry.register_app("a", "without", {"g": b""})
    assert await shard.registry.retire_functions(0) == ["a/f"]
    await deploy(shard, f="")
    await fire(shard)
    await shard.lease("L2")
    assert [held.run for held in await held_by(shard, "L2")] == [other]


async def test_a_gated_run_is_dressed_as_any_other(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    (run,) = await triggered(shard, "c0=p", extras=b"s 500 ")
    stored = await shard.stored()
    assert set(stored.of("run", run)["k"]) == set("st")
    assert f"b {run}" in stored.of("timers")


async def test_a_delayed_run_goes_to_its_lane_when_it_is_due(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    (run,) = await triggered(shard, "c0=p", due_at_ms=shard.now_ms + 1000)
    assert await states(shard, [run]) == "w"
    shard.advance(1000)
    await fire(shard)
    await shard.lease()
    assert [held.run for held in await held_by(shard)] == [run]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("cust-42", "cust-42"),
        ("a b\nc", "a%20b%0Ac"),
        ("", "%"),
        (NOTHING, "%7E"),
        ("naïve", "na%C3%AFve"),
        ("x=y", "x%3Dy"),
    ],
)
def test_a_key_is_readable_and_has_no_spaces(value: str, name: str) -> None:
    assert key_name(value) == name


def test_long_keys_are_cut_and_told_apart() -> None:
    one, other = key_name("k" * 5000 + "1"), key_name("k" * 5000 + "2")
    assert one != other
    assert len(one) < 97
    assert one.startswith("k" * 60)


def test_numbers_are_written_by_the_letters_of_the_gates() -> None:
    declared = {
        "concurrency": [{"limit": 10}, {"limit": 1, "hold": "run"}],
        "throttle": {"limit": 100, "period_ms": 60_000, "burst": 10},
        "rate_limit": {"limit": 5, "period_ms": 1000},
        "idempotency": {},
        "debounce": {"period_ms": 10, "timeout_ms": None},
        "batch": {"size": 9, "timeout_ms": 5},
        "singleton": {"mode": "skip"},
    }
    assert numbers(declared) == f" 0=10 1=1 t=100/60000/10 l=5/1000 i={DAY} d=10/0 b=9/5 s=skip "
    assert numbers({}) == ""
