"""Ten thousand keys are looked at page by page: neither one reply nor ten thousand round trips."""

from __future__ import annotations

from collections import Counter
from typing import Any

from durableq.services.flow_looks import function_flow
from durableq.services.pressure import limits_view
from durableq.store.flow_reads import WAITING_MAX, FlowReads
from tests.servers import on
from tests.services.flowing import PER_CUSTOMER, Flowing
from tests.services.flowing import flowing as flowing

pytestmark = on("redis7")
KEYS = 10_000


class Counting:
    """Counts what a link sends."""

    def __init__(self, link: Any) -> None:
        self.sent: Counter[str] = Counter()
        enqueue = link._enqueue

        def counted(args: tuple[Any, ...], script: Any) -> Any:
            self.sent[script.name if script else str(args[0])] += 1
            return enqueue(args, script)

        link._enqueue = counted


async def park(flowing: Flowing, keys: int) -> None:
    """A run for each key that waits for the slot of another one, as claims leave them; of the last key three."""
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    (run,) = await flowing.send({"customer": "first"})
    stored = await flowing.shard.stored()
    gate = stored.of("run", run)["j"].split(" ")[1]
    letter, _, pool = gate.partition("=")
    key, now_ms = flowing.shard.key, flowing.shard.now_ms
    async with flowing.shard.server.client() as client:
        pipe = client.pipeline(transaction=False)
        for number in range(keys):
            name = pool.replace("first", f"k{number}")
            lane = f"a/f {letter}={name}"
            pipe.sadd(key("slots", name), f"holder{number}")
            pipe.sadd(key("blocked", "a/f"), name)
            pipe.zadd(key("parked", f"{name} a/f"), {lane: now_ms * 1000})
            waiting = {f"run{number}-{n}": now_ms * 1000 + n for n in range(3 if number == keys - 1 else 1)}
            pipe.zadd(key("lane", lane), waiting)
            for one in waiting:
                pipe.hset(key("run", one), mapping={"s": "q", "f": "a/f", "c": str(now_ms)})
        await pipe.execute()


async def test_the_worst_of_ten_thousand_keys_is_found_at_a_bounded_cost(flowing: Flowing) -> None:
    await park(flowing, KEYS)
    counting = Counting(flowing.shard.link)
    view = await limits_view(flowing.shard.calls, ["a/f"], 20)
    assert (view.keys[0].key, view.keys[0].parked) == (f"k{KEYS - 1}", 3)
    assert (len(view.keys), view.more, view.unseen, view.parked) == (20, KEYS - 20, 0, KEYS + 2)
    assert counting.sent["read_gates"] <= KEYS // 80
    assert sum(counting.sent.values()) - counting.sent["read_gates"] < 150, counting.sent
    shown = await function_flow(flowing.shard.calls, "a/f", 10)
    assert (len(shown.limits.keys), shown.limits.more) == (10, KEYS - 10)


async def test_keys_beyond_the_bound_are_counted_and_not_looked_at(flowing: Flowing) -> None:
    await park(flowing, 1_000)
    gates = await FlowReads(flowing.shard.calls).gates("a/f", at_most=400)
    assert len(gates.rows) + gates.unseen == 1_000
    assert 300 <= len(gates.rows) < 1_000


async def test_waiting_runs_beyond_the_bound_are_said_not_to_have_been_looked_at(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [{**PER_CUSTOMER, "hold": "run"}]})
    await flowing.send(*({"customer": n} for n in range(WAITING_MAX + 5)))
    while held := await flowing.claim():
        for run in held:
            await flowing.shard.suspend(run, key="nap", kind="w", blob=b"", due_at_ms=flowing.shard.now_ms + 60_000)
    view = await limits_view(flowing.shard.calls, ["a/f"], 20)
    assert (len(view.keys), view.more, view.unseen) == (20, WAITING_MAX - 20, 5)
