"""Debounce and batch: what is held back is in one run, whole, and in time (decision 014)."""

from __future__ import annotations

import asyncio

import pytest

from durableq.model.event.batch import each_given, is_batch
from durableq.model.flow import with_gates
from durableq.store.events import Decision
from durableq.store.flow import SKIP
from durableq.words.ids import run_id
from tests.store.gates import deploy, fire, held_by, reasons, states, triggered
from tests.store.shard import EVENT, Shard


async def sent_with(shard: Shard, blob: bytes, gates: str, function: str = "a/f") -> str:
    """One event of this content. Returns the run that it would be."""
    entries = await shard.sent(blob=blob)
    (run,) = await shard.route(entries, [function], 0, [with_gates(gates, b"")])
    return run


async def inputs(shard: Shard, function: str = "a/f") -> list[bytes]:
    """What the runs of a function were given, oldest first."""
    stored = await shard.stored()
    runs = sorted((v["c"], run) for run, v in stored.family("run") if v["f"] == function)
    return [stored.of("input", run) for _, run in runs]


async def batches(shard: Shard) -> list[list[bytes]]:
    """The events of each batch that is a run, oldest first."""
    given = await inputs(shard)
    assert all(map(is_batch, given))
    return [[event.blob for event in each_given(one, 0)] for one in given]


async def test_a_debounce_fires_once_with_the_newest_event_by_ts(shard: Shard) -> None:
    await deploy(shard, f=" d=1000/0 ")
    for ts, blob in ((5, b"five"), (9, b"nine"), (7, b"seven"), (9, b"nine again")):
        await sent_with(shard, blob, f"d=a/f:k e={ts}")
        shard.advance(999)
        assert await fire(shard) <= 1  # the numbers' timer, the first time
        assert await inputs(shard) == []
    shard.advance(1)
    await fire(shard)
    assert await inputs(shard) == [b"nine again"]
    assert await reasons(shard) == ["debounce"] * 3
    shard.advance(100_000)
    await fire(shard)
    assert len(await inputs(shard)) == 1


async def test_a_debounce_fires_by_its_timeout(shard: Shard) -> None:
    await deploy(shard, f=" d=1000/2500 ")
    for turn in range(8):
        await sent_with(shard, b"%d" % turn, f"d=a/f:k e={turn}")
        shard.advance(500)
        await fire(shard)
    # First at 0: fired at 2500, with what had come by 2000; the one at 2500 begins anew.
    assert await inputs(shard) == [b"4"]
    shard.advance(2500)
    await fire(shard)
    assert len(await inputs(shard)) == 2
    assert (await inputs(shard))[-1] == b"7"


async def test_each_key_is_debounced_by_itself(shard: Shard) -> None:
    await deploy(shard, f=" d=1000/0 ")
    await triggered(shard, "d=a/f:k1 e=1", "d=a/f:k2 e=1")
    shard.advance(1000)
    await fire(shard)
    assert len(await inputs(shard)) == 2


async def test_a_dropped_event_does_not_move_a_debounce(shard: Shard) -> None:
    await deploy(shard, f=" d=1000/0 i=86400000 ")
    await triggered(shard, "i=a/f:k d=a/f:k e=1")
    shard.advance(900)
    await triggered(shard, "i=a/f:k d=a/f:k e=2")
    shard.advance(100)
    await fire(shard)
    assert len(await inputs(shard)) == 1


async def test_what_follows_a_debounce_decides_when_it_fires(shard: Shard) -> None:
    await deploy(shard, f=" d=1000/0 s=skip 0=1 ")
    (first,) = await triggered(shard, "s=a/f:s d=a/f:k1 e=1 c0=p")
    shard.advance(1000)
    await fire(shard)
    await triggered(shard, "s=a/f:s d=a/f:k2 e=1 c0=p")
    shard.advance(1000)
    await fire(shard)
    assert await states(shard, [first]) == "q"
    assert await reasons(shard) == ["singleton"]
    assert len(await inputs(shard)) == 1


async def test_a_debounced_event_of_the_future_starts_a_run_then(shard: Shard) -> None:
    await deploy(shard, f=" d=1000/0 ")
    (run,) = await triggered(shard, "d=a/f:k e=9", due_at_ms=shard.now_ms + 5000)
    shard.advance(1000)
    await fire(shard)
    assert await states(shard, [run]) == "w"
    shard.advance(4000)
    await fire(shard)
    assert await states(shard, [run]) == "q"


async def test_a_batch_is_closed_when_it_is_full(shard: Shard) -> None:
    await deploy(shard, f=" b=3/60000 ")
    for number in range(7):
        await sent_with(shard, b"e%d" % number, "b=a/f:k")
    assert await batches(shard) == [[b"e0", b"e1", b"e2"], [b"e3", b"e4", b"e5"]]
    shard.advance(60_000)
    await fire(shard)
    assert (await batches(shard))[2] == [b"e6"]


async def test_a_batch_is_closed_by_its_time_and_sees_only_what_comes_after(shard: Shard) -> None:
    await deploy(shard, f=" b=100/5000 0=1 ")
    first = await sent_with(shard, b"one", "b=a/f:k c0=p")
    shard.advance(4999)
    await sent_with(shard, b"two", "b=a/f:k c0=other")
    assert await inputs(shard) == []
    shard.advance(1)
    await fire(shard)
    assert await batches(shard) == [[b"one", b"two"]]
    stored = await shard.stored()
    v = stored.of("run", first)
    assert v["p"] == stored.of("meta")["routed_upto"]
    assert v["j"].endswith("c0=p"), "the first event's keys"
    await shard.lease()
    assert [held.run for held in await held_by(shard)] == [first]


async def test_a_batch_is_closed_before_it_has_10_mib(shard: Shard) -> None:
    await deploy(shard, f=" b=100/5000 ")
    for number in range(5):
        await sent_with(shard, b"%d" % number * 3_000_000, "b=a/f:k")
    (closed,) = await inputs(shard)
    assert len(closed) < 10 * 1024 * 1024
    shard.advance(5000)
    await fire(shard)
    both = await inputs(shard)
    assert [len(one) // 3_000_000 for one in both] == [3, 2]


async def test_each_event_of_a_batch_has_the_time_at_which_it_was_accepted(shard: Shard) -> None:
    await deploy(shard, f=" b=9/5000 ")
    times = []
    for _ in range(3):
        await sent_with(shard, b"one", "b=a/f:k")
        times.append((await shard.stored()).of("meta")["routed_upto"].partition("-")[0])
        await asyncio.sleep(0.002)  # entries are told apart by the server's own ms
    assert len(set(times)) == 3
    shard.advance(5000)
    await fire(shard)
    (given,) = await inputs(shard)
    assert [event.entry for event in each_given(given, 0)] == [f"{time}-0" for time in times]


async def test_a_batch_of_a_paused_function_is_not_lost(shard: Shard) -> None:
    await deploy(shard, f=" b=100/5000 ")
    await sent_with(shard, b"one", "b=a/f:k")
    await shard.flow.pause_functions(["a/f"], SKIP)
    shard.advance(5000)
    await fire(shard)
    assert await batches(shard) == [[b"one"]]


async def test_a_smaller_batch_is_met_with_the_next_event(shard: Shard) -> None:
    await deploy(shard, f=" b=100/5000 ")
    for blob in (b"1", b"2", b"3"):
        await sent_with(shard, blob, "b=a/f:k")
    await deploy(shard, f=" b=2/5000 ")
    await sent_with(shard, b"4", "b=a/f:k")
    assert await batches(shard) == [[b"1", b"2", b"3", b"4"]]


@pytest.mark.parametrize("gates", ["d=a/f:k e=1", "b=a/f:k"])
async def test_routing_again_holds_nothing_back_twice(shard: Shard, gates: str) -> None:
    await deploy(shard, f=" d=1000/0 b=9/1000 ")
    backlog = await shard.events.unrouted(1)
    (entry,) = await shard.sent()
    decision = Decision("run", entry, run_id(entry, "a/f", 0), "a/f", 0, with_gates(gates, b""))

    async def route() -> None:
        await shard.events.route_events(backlog.cursor, entry, backlog.registry, 1, [decision], 1000)

    await route()
    with pytest.raises(Exception, match=r"CURSOR_MOVED|moved|cursor"):
        await route()
    shard.advance(1000)
    await fire(shard)
    assert await (batches(shard) if gates[0] == "b" else inputs(shard)) in ([EVENT], [[EVENT]])


@pytest.mark.parametrize("gates", ["d=a/f:k e=1", "b=a/f:k"])
async def test_what_is_held_back_fires_after_the_option_is_removed(shard: Shard, gates: str) -> None:
    await deploy(shard, f=" d=1000/0 b=9/1000 ")
    await triggered(shard, gates)
    await deploy(shard)
    await triggered(shard, gates)
    assert len(await inputs(shard)) == 1, "what comes now is not held back"
    shard.advance(1000)
    await fire(shard)
    assert len(await inputs(shard)) == 2


@pytest.mark.parametrize("numbers", [" d=10000/0 ", " b=9/10000 "])
async def test_what_is_held_back_has_its_whole_time_to_begin(shard: Shard, numbers: str) -> None:
    timeouts = {"f": b"", "g": b"", "f !": b"5000 0"}
    await shard.registry.register_app("a", "r1", timeouts, {"f": numbers})
    gates = f"{numbers[1]}=a/f:k" + (" e=1" if numbers[1] == "d" else "")
    (run,) = await triggered(shard, gates, extras=b"- 5000 ")
    shard.advance(10_000)
    await fire(shard)
    shard.advance(4_999)
    await fire(shard)
    assert await states(shard, [run]) == "q"
    shard.advance(1)
    await fire(shard)
    assert await states(shard, [run]) == "x"
