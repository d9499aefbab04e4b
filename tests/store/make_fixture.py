"""Writes tests/store/fixtures/schema_N/full.json: a namespace in the middle of everything, as this release stores it.

    python -m tests.store.make_fixture

Run it once per schema, from the release that introduces it; what older releases wrote is never written again. It needs
redis-server on PATH. The scripts' clock is fixed; stream ids, and run ids made of them, are of the day it ran.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from durableq.engine.records import Abandonment, Delay, Sleep
from durableq.model.event import Event, encode_event
from durableq.model.failure import Failure
from durableq.model.trigger import CronTrigger
from durableq.store.calls import SCHEMA
from durableq.store.crons import Settled, TickWrite
from durableq.store.events import Decision, NewEvent
from durableq.store.invokes import InvokeWrite
from durableq.store.runs import FinishWrite, RetryWrite, StepWrite, WaitWrite
from durableq.store.signals import SignalWait
from durableq.words import codec
from durableq.words.ids import event_key, run_id, step_key, tick_run_id
from tests.servers import REDIS7, Server, ServerPool
from tests.store import awaiting
from tests.store.awaiting import BUCKET, NAME, listener
from tests.store.make_flow import FLOW, NUMBERS, fill_flow
from tests.store.shard import Held, Shard

FIXTURES = Path(__file__).parent / "fixtures"
SHOP = ("shop/charge", "shop/ship", "shop/report", FLOW)
BOOM = Failure.of(ValueError("card declined"))


def event(number: int) -> bytes:
    return encode_event(Event("order/created", {"order": number, "note": "héllo"}, id=f"o{number}"))


def report() -> bytes:
    """A declaration with a cron trigger."""
    trigger = CronTrigger("0 9 * * *", timezone="Europe/Paris", jitter="30s", overlap="skip")
    return codec.encode(
        {"id": "report", "name": "report", "triggers": [trigger.to_map()], "retries": 4, "backoff": None}
    )


def key(step: str) -> str:
    return step_key(step, 0)


def step(held: Held, name: str, kind: str, blob: bytes) -> StepWrite:
    return StepWrite(held.run, held.epoch, 0, key(name), kind, blob, codec.encode({"id": name, "attempt": 0}))


def wait(held: Held, name: str, kind: str, due_at_ms: int) -> WaitWrite:
    blob = Sleep("sleep", name, due_at_ms).encode() if kind == "w" else Delay(name, 1, due_at_ms, BOOM).encode()
    return WaitWrite(held.run, held.epoch, 0, key(name), kind, blob, due_at_ms, codec.encode({"id": name}))


async def fill(shard: Shard) -> None:
    """Bring the namespace into a state in which every key and every kind of memo is there."""
    await shard.registry.register_app("shop", "r1", dict.fromkeys(("charge", "ship", "old"), b"\xc1"))
    await shard.registry.register_app("shop", "r2", dict.fromkeys(("charge", "ship"), b"\xc1") | {"report": report()})
    now = shard.now_ms

    async def claimed(number: int, lease: str = "child") -> Held:
        run = await shard.queued("shop/charge", blob=event(number))
        (mine,) = (await shard.claim(lease, 1, "shop")).runs
        assert mine.id == run
        return Held(lease, run, mine.epoch)

    await shard.lease("child", *SHOP)
    write = shard.runs

    first = held = await claimed(1)  # completed, with a timer that is void
    await write.record_steps("child", [step(held, "pay", "d", codec.encode({"paid": 12.5, "by": b"card"}))])
    await write.record_waits("child", [wait(held, "nap", "w", now + 60_000)])
    await write.finish_runs("child", [FinishWrite(held.run, 1, "c", codec.encode(["done", None]))], 100, 100)

    held = await claimed(2)  # failed
    await write.record_steps("child", [step(held, "pay", "e", BOOM.encode())])
    await write.finish_runs("child", [FinishWrite(held.run, 1, "f", BOOM.encode())], 100, 100)

    held = await claimed(3)  # asleep, with a result, an abandoned step and a sleep that is over
    await write.record_waits("child", [wait(held, "short", "w", now)])
    await shard.timers.fire_timers()
    writes = [step(held, "pay", "d", b""), step(held, "slow", "a", Abandonment("slow", 100).encode())]
    await write.record_steps("child", writes)
    await write.record_waits("child", [wait(held, "long", "w", now + 30_000)])
    await shard.suspend(held, seen=3)

    held = await claimed(4)  # a step waits for its next attempt
    await write.record_waits("child", [wait(held, "flaky", "r", now + 40_000)])
    await shard.suspend(held)

    held = await claimed(5)  # the code between steps waits for its next attempt
    await write.retry_runs("child", [RetryWrite(held.run, 1, 1, now + 50_000, BOOM.encode())])

    await shard.queued("shop/ship", due_at_ms=now + 20_000, blob=event(6))  # delayed

    for death in ("x1", "x2"):  # saw two deaths
        await shard.lease(death, *SHOP)
        if death == "x1":
            await shard.queued("shop/charge", blob=event(7))
        await shard.claim(death, 1, "shop")
        await shard.crash(death)

    held = await claimed(8)  # in hand, with news that its holder has not seen
    await write.record_waits("child", [wait(held, "nap", "w", now)])
    await shard.timers.fire_timers()

    await fill_waits(shard, await waiters(shard))

    await shard.lease("dead", *SHOP)  # in hand of a child that was declared dead, half of it freed
    await claimed(9, "dead")
    await claimed(10, "dead")
    for _ in range(6):
        shard.advance(2_000)
        await shard.leases.renew_leases(["child"])
    await shard.leases.rescue_leases(keep_failed=100, limit=1)

    await shard.queued("shop/ship", blob=event(11))  # queued

    (cron,) = (await shard.crons.read_crons(1)).crons  # started by a tick, with one skipped and one missed since
    for tick in range(cron.upto_ms + 1, cron.upto_ms + 4):
        write = TickWrite(tick, tick_run_id("shop/report", "key", tick, 0), event(15))
        missed = int(tick == cron.upto_ms + 3)
        await shard.crons.tick_cron(cron, Settled(tick, missed, tick + 1, tick + 1), "skip", [] if missed else [write])
        cron = cron._replace(upto_ms=tick)

    await fill_flow(shard, event, first.run)

    entries = await shard.events.send_events([NewEvent(event_key("x", "aside"), 86_400_000, event(12))])
    backlog = await shard.events.unrouted(1)
    set_aside = [
        Decision("aside", entries[0], detail=b"cannot be read"),
        Decision("fault", entries[0], function="shop/ship", detail=b"no such field"),
    ]
    heard = Decision("heard", entries[0], function=NAME, detail=BUCKET.encode())
    names = (await shard.waits.read_names(0)).version
    routed = [*set_aside, heard]
    await shard.events.route_events(backlog.cursor, entries[0], backlog.registry, 1, routed, 1000, names)
    unrouted = [NewEvent(event_key("order/created", f"o{i}"), 86_400_000, event(i)) for i in (13, 14)]
    await shard.events.send_events(unrouted)


async def waiters(shard: Shard) -> list[Held]:
    """Seven runs in hand, with a time by which to finish; the last one with a listener and a time by which to begin."""
    functions = dict.fromkeys(("charge", "ship", "ship !", "flow", "idle"), b"500000 900000")
    functions |= {"report": report(), " !": b"e"}
    await shard.registry.register_app("shop", "r2", functions, {"flow": NUMBERS})
    await shard.leases.register_lease("child", "worker", ["shop"], "release", SHOP, finish_ms={"shop/charge": 900_000})
    held = []
    for number in range(16, 23):
        extras = listener(start_ms=500_000) if number == 22 else b""
        (entry,) = await shard.sent(blob=event(number))
        backlog = await shard.events.unrouted(1)
        run = run_id(entry, "shop/charge", 0)
        due_at_ms = shard.now_ms + 1 if number == 22 else 0
        decision = Decision("run", entry, run, "shop/charge", due_at_ms, extras)
        await shard.events.route_events(backlog.cursor, entry, backlog.registry, 1, [decision], 1000)
        shard.advance(1)
        await shard.timers.fire_timers()
        mine = next(mine for mine in (await shard.claim("child", 1, "shop")).runs if mine.id == run)
        held.append(Held("child", run, mine.epoch))
    return held


async def fill_waits(shard: Shard, held: list[Held]) -> None:
    """Every kind of wait, pending and over, a cancelled run, and somebody outside who watches."""
    pending, timed_out, signalled, invoking, idle, cancelled, _listening = held
    long = shard.now_ms + 600_000
    await awaiting.begin(shard, pending, key("paid"), due_at_ms=long, blob=codec.encode({"op": "wait_for_event"}))
    await awaiting.begin(shard, timed_out, key("paid"), due_at_ms=shard.now_ms)
    await awaiting.begin(shard, idle, key("other"), due_at_ms=shard.now_ms, event_name="order/other")
    await shard.timers.fire_timers()
    matched = StepWrite(pending.run, pending.epoch, 0, key("seen"), "m", b"1-0 " + event(1), b"")
    await shard.runs.record_steps("child", [matched])
    signal = SignalWait(signalled.run, signalled.epoch, 0, key("go"), b"", long, b"", "go", 0)
    await shard.signals.await_signals("child", [signal])
    call = InvokeWrite(
        invoking.run, invoking.epoch, 0, key("call"), b"", long, b"", "0" * 26, "shop/ship", event(23), b""
    )
    await shard.invokes.invoke_runs("child", [call])
    await shard.claim("child", 1, "shop")
    await shard.invokes.watch_runs("outside", [signalled.run, cancelled.run])
    await shard.cancels.cancel_runs([cancelled.run], "by hand")


async def made(server: Server) -> dict[str, Any]:
    """Everything stored, as JSON can hold it: bytes are latin-1 text."""
    shard = Shard(server, "shop")
    await shard.calls.open()
    await fill(shard)
    stored = await shard.stored()
    assert not stored.unknown
    keys = [await _dumped(shard, name, argument) for name, argument in sorted(stored.items)]
    found = {"schema": SCHEMA, "identity": shard.calls.identity, "now_ms": shard.now_ms, "keys": keys}
    await shard.close()
    return found


async def _dumped(shard: Shard, name: str, argument: str) -> dict[str, Any]:
    where = shard.key(name, argument)
    kind = (await shard.command("TYPE", where)).decode()
    read = {
        "hash": ("HGETALL", where),
        "zset": ("ZRANGE", where, 0, -1, "WITHSCORES"),
        "set": ("SMEMBERS", where),
        "list": ("LRANGE", where, 0, -1),
        "string": ("GET", where),
        "stream": ("XRANGE", where, "-", "+"),
    }[kind]
    entry = {"key": where, "type": kind, "value": _text(await shard.command(*read))}
    if kind == "stream":
        groups = await shard.command("XINFO", "GROUPS", where)
        entry["groups"] = [group[1].decode() for group in groups]
    if name in ("seen", "answer", "answers", "once", "rate", "tat"):
        entry["ttl_ms"] = 86_400_000
    return entry


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(inner) for inner in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        pool = ServerPool(Path(directory))
        try:
            found = asyncio.run(made(pool.shared(REDIS7)))
        finally:
            pool.close()
    path = FIXTURES / f"schema_{SCHEMA}" / "full.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{path.name}: {len(found['keys'])} keys\n")


if __name__ == "__main__":
    main()
