"""What the verbs of holders have in common: who has seen more than there is, is stale; and to begin something is progress."""

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


@pytest.mark.parametrize("verb", ["await_events", "await_signals", "invoke_runs"])
async def test_to_begin_a_wait_is_progress(shard: Shard, verb: str) -> None:
    """A run that was executed alone, after two deaths of its worker, lets its child claim others again."""
    await shard.registry.register_app("a", "r1", {"f": b"x"})
    run = await shard.suspected()
    await shard.lease("L1")
    (mine,) = (await shard.claim(alone=True)).runs
    held = Held("L1", run, mine.epoch)
    begin = {
        "await_events": lambda: shard.waits.await_events(
            "L1", [wait_for(held, due_at_ms=2**41, looked="9999999999999-0")]
        ),
        "await_signals": lambda: shard.signals.await_signals("L1", [wait(held)]),
        "invoke_runs": lambda: shard.invokes.invoke_runs("L1", [write(held)]),
    }
    assert (await begin[verb]()).items != [STALE]
    stored = await shard.stored()
    assert ("x" in stored.of("run", run), "alone" in stored.of("lease", "L1")) == (False, False)
