"""A holder that has seen more results than there are: Redis came back older than it was, and the holder is stale."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from durableq.store.records import STALE
from durableq.store.runs import Answers, FireWrite, StepWrite, WaitWrite
from tests.store.awaiting import wait_for
from tests.store.shard import Held, Shard
from tests.store.test_invokes import parent, write
from tests.store.test_signals import wait

VERBS: dict[str, Callable[[Shard, Held], Awaitable[Answers]]] = {
    "await_events": lambda s, h: s.waits.await_events("L1", [wait_for(h, seen=1)]),
    "await_signals": lambda s, h: s.signals.await_signals("L1", [wait(h)._replace(seen=1)]),
    "invoke_runs": lambda s, h: s.invokes.invoke_runs("L1", [write(h)._replace(seen=1)]),
    "record_steps": lambda s, h: s.runs.record_steps("L1", [StepWrite(h.run, h.epoch, 1, "k", "d", b"", b"")]),
    "record_waits": lambda s, h: s.runs.record_waits("L1", [WaitWrite(h.run, h.epoch, 1, "k", "w", b"", 2**41, b"")]),
    "fire_waits": lambda s, h: s.runs.fire_waits("L1", [FireWrite(h.run, h.epoch, 1, "nap")]),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_it_is_stale_and_nothing_is_written(shard: Shard, verb: str) -> None:
    held = await parent(shard)
    await shard.runs.record_waits("L1", [WaitWrite(held.run, held.epoch, 0, "nap", "w", b"", shard.now_ms, b"")])
    before = await shard.stored()
    assert (await VERBS[verb](shard, held)).items == [STALE]
    assert before.changed(await shard.stored()) == set()
