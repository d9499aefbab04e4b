"""The part of the fixture that is flow control: every key of it, and every field of a run that it writes."""

from __future__ import annotations

from collections.abc import Callable

from durableq.model.flow import with_gates
from durableq.store.events import Decision
from durableq.store.reruns import Rerun, Reruns
from durableq.words.ids import run_id
from tests.store.shard import Shard

FLOW = "shop/flow"
NUMBERS = " 0=1 t=1/1000/5 i=86400000 l=5/1000 d=1000/0 b=5/1000 s=skip "


async def fill_flow(shard: Shard, event: Callable[[int], bytes], source: str) -> None:
    """Runs in hand, parked and open, a body that is leaving, what is held back, what was skipped, a pause and a rerun.

    Registered are `shop/flow`, with NUMBERS, and `shop/idle`, which has no runs. `source` is a final run with a memo `pay`.
    """
    await shard.lease("flows", FLOW)

    async def triggered(number: int, gates: str) -> str:
        (entry,) = await shard.sent(blob=event(number))
        backlog = await shard.events.unrouted(1)
        names = (await shard.waits.read_names(0)).version
        run = run_id(entry, FLOW, 0)
        decision = Decision("run", entry, run, FLOW, 0, with_gates(gates, b""))
        await shard.events.route_events(backlog.cursor, entry, backlog.registry, 1, [decision], 1000, names)
        return run

    async def claim() -> None:
        await shard.claim("flows", 5, "shop")

    await triggered(30, "i=shop/flow:a l=shop/flow:a s=shop/flow:s:a t=shop/flow:t c0=+n:x")
    await triggered(31, "i=shop/flow:a")
    leaving = await triggered(32, "c0=+n:y")
    await claim()
    await shard.cancels.cancel_runs([leaving], "by hand")
    await triggered(33, "c0=+n:x")
    await claim()
    await triggered(34, "c0=+n:z")
    await triggered(35, "d=shop/flow:d e=5")
    await triggered(36, "b=shop/flow:b")
    await shard.flow.pause_functions(["shop/idle"], "wait")
    rerun = Rerun("0" * 25 + "1", source, event(37), 1, with_gates("c0=+n:z", b""))
    (answer,) = await Reruns(shard.calls).rerun_runs("", [rerun])
    assert answer == ""
