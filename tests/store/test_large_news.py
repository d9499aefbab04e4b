"""A reply ends at 256 KB of news; results beyond that are only named in it, and read one by one. The holder is told all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durableq.model.memo import Memo
from durableq.store.runs import FinishWrite, FireWrite, StepWrite, SuspendWrite, WaitWrite
from tests.store.awaiting import wait_for
from tests.store.shard import Held, Shard
from tests.store.test_invokes import parent, write
from tests.store.test_signals import wait

Act = Callable[[Shard, Held], Awaitable[Any]]
SIZES = (200_000, 100, 200_000, 3000)


async def _record(shard: Shard, held: Held) -> Any:
    step = StepWrite(held.run, held.epoch, 0, "step", "d", b"", b"")
    return (await shard.runs.record_steps(held.lease, [step])).items[0].news


async def _wait(shard: Shard, held: Held) -> Any:
    nap = WaitWrite(held.run, held.epoch, 0, "nap", "w", b"", shard.now_ms + 1000, b"")
    return (await shard.runs.record_waits(held.lease, [nap])).items[0].news


async def _fire(shard: Shard, held: Held) -> Any:
    return (await shard.runs.fire_waits(held.lease, [FireWrite(held.run, held.epoch, 0, "later")])).items[0].news


async def _suspend(shard: Shard, held: Held) -> Any:
    return (await shard.runs.suspend_runs(held.lease, [SuspendWrite(held.run, held.epoch, 0)])).items[0]


async def _await_event(shard: Shard, held: Held) -> Any:
    begun = wait_for(held, due_at_ms=2**41, behind="1-0", looked="9999999999999-0")
    return (await shard.waits.await_events(held.lease, [begun])).items[0].news


async def _await_signal(shard: Shard, held: Held) -> Any:
    return (await shard.signals.await_signals(held.lease, [wait(held)])).items[0].news


async def _invoke(shard: Shard, held: Held) -> Any:
    return (await shard.invokes.invoke_runs(held.lease, [write(held, "other", "D" * 26)])).items[0].news


ACTS: dict[str, Act] = {
    "record_steps": _record,
    "record_waits": _wait,
    "fire_waits": _fire,
    "suspend_runs": _suspend,
    "await_events": _await_event,
    "await_signals": _await_signal,
    "invoke_runs": _invoke,
}


async def _told(shard: Shard, sizes: tuple[int, ...] = SIZES) -> Held:
    """A run in hand that has the results of some children before it, and a sleep."""
    held = await parent(shard)
    for number in range(len(sizes)):
        await shard.invokes.invoke_runs("L1", [write(held, f"c{number}", f"{number}" * 26)])
    nap = WaitWrite(held.run, held.epoch, 0, "later", "w", b"", shard.now_ms + 60_000, b"")
    await shard.runs.record_waits("L1", [nap])
    epochs = {mine.id: mine.epoch for mine in (await shard.claim()).runs}
    for number, size in enumerate(sizes):
        child = f"{number}" * 26
        await shard.runs.finish_runs("L1", [FinishWrite(child, epochs[child], "c", b"x" * size)], 10, 10)
    return held


@pytest.mark.parametrize("script", ACTS)
async def test_the_holder_is_told_everything_in_a_reply_of_bounded_length(
    shard: Shard, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await _told(shard)
    replies = []
    run = shard.calls.link.run

    def watched(*args: Any) -> Any:
        future = run(*args)
        future.add_done_callback(lambda done: replies.append(done.result()))
        return future

    monkeypatch.setattr(shard.calls.link, "run", watched, raising=False)
    news = await ACTS[script](shard, held)
    assert [(key, memo.number, len(memo.blob)) for key, memo in news] == [
        (f"c{number}", number + 1, size) for number, size in enumerate(SIZES)
    ]
    assert all(isinstance(memo, Memo) for _, memo in news)
    assert sum(map(_length, replies)) < 256 * 1024
    assert replies[0][-1] == 1, "the reply says that something was left out"


async def test_the_smallest_always_come_along(shard: Shard) -> None:
    held = await _told(shard, (262_000, 200, 300))
    _, ((_, first, _, second, _, third),), apart = await shard.calls.run(
        "suspend_runs", "L1", held.run, held.epoch, 0, "", "", b"", 0, b"", 1
    )
    assert (len(first) > 262_000, len(second) > 200, third, apart) == (True, True, b"", 1)


async def test_what_is_gone_by_then_is_left_out(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    held = await _told(shard)
    read = shard.calls.link.command

    async def pruned(*args: Any) -> Any:
        return None if args[0] == "HGET" else await read(*args)

    monkeypatch.setattr(shard.calls.link, "command", pruned, raising=False)
    assert [key for key, _ in await ACTS["suspend_runs"](shard, held)] == ["c0", "c1", "c3"]


def _length(reply: Any) -> int:
    return sum(map(_length, reply)) if isinstance(reply, list) else len(reply) if isinstance(reply, bytes) else 8
