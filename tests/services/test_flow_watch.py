"""What schedulers say of flow control: pauses, and what limits leave out, once a minute; in dev each thing at once."""

from __future__ import annotations

from typing import Any

from durableq.services.flow_watch import DEV_ROUND_S, ROUND_S, FlowWatch
from durableq.store.flow import RESUME, SKIP, WAIT
from tests.engine.world import Log
from tests.servers import on
from tests.services.flowing import PER_CUSTOMER, Flowing
from tests.services.flowing import flowing as flowing
from tests.store.gates import finish, fire

pytestmark = on("fake", "redis7")
RATE = {"limit": 1, "period_ms": 60_000, "key": "event.data.customer"}


class Watched:
    """A watch, and what it says in each round."""

    def __init__(self, flowing: Flowing, *, in_dev: bool = False) -> None:
        self.log = Log()
        self.watch = FlowWatch(flowing.shard.calls, self.log, in_dev=in_dev)  # type: ignore[arg-type]

    async def round(self) -> list[tuple[str, dict[str, Any]]]:
        self.log.lines.clear()
        await self.watch.run_once()
        return [(event, fields) for _, event, fields in self.log.lines]


async def test_what_is_left_out_is_one_line_for_each_function_and_round(flowing: Flowing) -> None:
    await flowing.declare(f={"rate_limit": RATE}, g={"rate_limit": RATE})
    await flowing.send(*[{"customer": 1}] * 3)
    watched = Watched(flowing)
    assert await watched.round() == [], "from before it began"
    await flowing.send(*[{"customer": n % 10} for n in range(50)])
    await flowing.send({"customer": 1}, {"customer": 1}, function="g")
    assert sorted(await watched.round(), key=str) == [
        ("triggers.left_out", {"function": "a/f", "count": 41, "reasons": "41 by rate_limit"}),
        ("triggers.left_out", {"function": "a/g", "count": 1, "reasons": "1 by rate_limit"}),
    ]
    assert await watched.round() == []
    assert await watched.watch.run_once() == ROUND_S == 60


async def test_what_debounces_replace_and_duplicates_are_not_told(flowing: Flowing) -> None:
    debounce = {"period_ms": 1000, "timeout_ms": 0, "key": None}
    await flowing.declare(f={"debounce": debounce, "idempotency": {"key": "event.data.n"}})
    watched = Watched(flowing)
    await watched.round()
    await flowing.send({"n": 1}, {"n": 2}, {"n": 2})
    assert await watched.round() == []


async def test_a_pause_is_told_once_and_its_end(flowing: Flowing) -> None:
    await flowing.declare(f={}, g={})
    pause = flowing.shard.flow.pause_functions
    await pause(["a/f"], WAIT)
    watched = Watched(flowing)
    assert await watched.round() == [("function.paused", {"function": "a/f", "meanwhile": "queued"})]
    assert await watched.round() == []
    await pause(["a/f"], SKIP)
    await pause(["a/g"], WAIT)
    assert sorted(await watched.round(), key=str) == [
        ("function.paused", {"function": "a/f", "meanwhile": "left out"}),
        ("function.paused", {"function": "a/g", "meanwhile": "queued"}),
    ]
    await pause(["a/f"], RESUME)
    assert await watched.round() == [("function.resumed", {"function": "a/f"})]
    assert await watched.round() == []


async def test_in_dev_each_skip_is_told_with_its_event_up_to_ten(flowing: Flowing) -> None:
    await flowing.declare(f={"rate_limit": RATE})
    watched = Watched(flowing, in_dev=True)
    await watched.round()
    await flowing.send({"customer": "a b"}, {"customer": "a b"})
    why = "as many as may had started for key 'a b'"
    told = {"function": "a/f", "what": "event order/created", "reason": "rate_limit", "why": why}
    assert await watched.round() == [("event.left_out", told)]
    await flowing.send(*[{"customer": "a b"}] * 12)
    lines = await watched.round()
    assert [event for event, _ in lines] == ["event.left_out"] * 10 + ["triggers.left_out"]
    assert lines[-1][1]["count"] == 2
    assert await watched.watch.run_once() == DEV_ROUND_S == 1


async def test_in_dev_what_begins_to_wait_at_a_limit_is_told_once(flowing: Flowing) -> None:
    await flowing.declare(f={"concurrency": [PER_CUSTOMER]})
    watched = Watched(flowing, in_dev=True)
    await flowing.send({"customer": 7}, {"customer": 7}, {"customer": 7})
    (held,) = await flowing.claim()
    told = {"function": "a/f", "runs": 2, "waits_for": "a slot of key '7' (1 of 1 held)"}
    assert await watched.round() == [("runs.parked", told)]
    assert await watched.round() == []
    await finish(flowing.shard, held)
    assert await watched.round() == []
    await flowing.claim()
    assert [fields["runs"] for _, fields in await watched.round()] == [1], "it waits again"


async def test_in_dev_what_is_held_back_is_told_with_when_it_fires(flowing: Flowing) -> None:
    debounce = {"period_ms": 5000, "timeout_ms": 0, "key": "event.data.doc"}
    await flowing.declare(f={"debounce": debounce})
    watched = Watched(flowing, in_dev=True)
    await flowing.send({"doc": 1})
    told = {"function": "a/f", "by": "debounce of key '1'", "fires_in": "5s"}
    assert await watched.round() == [("event.held_back", told)]
    assert await watched.round() == []
    flowing.shard.advance(5000)
    await fire(flowing.shard)
    assert await watched.round() == []
