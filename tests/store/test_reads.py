"""What screens read: every run is found in exactly one place, whatever its state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from durableq.model.run import State
from durableq.store.calls import Calls
from durableq.store.reads import QueueRow, Reads
from durableq.store.runs import FinishWrite, StepWrite, WaitWrite
from tests.servers import on
from tests.store.shard import EVENT, Shard


async def test_each_run_is_listed_under_its_state(shard: Shard) -> None:
    running = await shard.claimed()
    completed, failed = await shard.finished("c"), await shard.finished("f")
    waiting = await shard.waiting()
    queued = await shard.queued()
    suspect = await shard.suspected("a/g")
    expected = {
        State.RUNNING: {running.run},
        State.COMPLETED: {completed.run},
        State.FAILED: {failed.run},
        State.WAITING: {waiting.run},
        State.QUEUED: {queued, suspect},
    }
    for state, runs in expected.items():
        rows = await shard.reads.newest(["a/f", "a/g"], [state], 10)
        assert {row.id for row in rows} == runs
        assert {row.state for row in rows} == {state}
    everything = await shard.reads.newest(["a/f", "a/g"], list(State), 10)
    assert [row.id for row in everything] == sorted((row.id for row in everything), reverse=True)
    assert len(everything) == 6
    assert len(await shard.reads.newest(["a/f", "a/g"], list(State), 2)) == 2
    assert [row.id for row in await shard.reads.newest(["a/g"], list(State), 10)] == [suspect]
    assert await shard.reads.queue("a/f") == QueueRow(1, 1, 1, 1, 0)


class Meanwhile(Reads):
    """Reads during which something happens: one act after each index."""

    def __init__(self, calls: Calls, *acts: Callable[[], Awaitable[object]]) -> None:
        super().__init__(calls)
        self._acts = list(acts)

    async def _index(self, name: str, argument: str, limit: int) -> list[str]:
        return await self._then(await super()._index(name, argument, limit))

    async def _in_hand(self) -> list[str]:
        return await self._then(await super()._in_hand())

    async def _then(self, found: list[str]) -> list[str]:
        if self._acts:
            await self._acts.pop(0)()
        return found


@pytest.mark.parametrize("idle", [0, 1, 2])
async def test_a_run_that_moves_on_while_a_list_is_read_is_in_it(shard: Shard, idle: int) -> None:
    """From waiting to its end, from any moment on."""
    held = await shard.waiting()
    claimed = []

    async def nothing() -> None: ...

    async def wakes() -> None:
        shard.advance(1000)
        await shard.timers.fire_timers()

    async def is_claimed() -> None:
        claimed.extend((await shard.claim("L1", 1, "a")).runs)

    async def ends() -> None:
        await shard.runs.finish_runs("L1", [FinishWrite(held.run, claimed[0].epoch, "c", b"")], 100, 100)

    reads = Meanwhile(shard.calls, *[nothing] * idle, wakes, is_claimed, ends)
    assert [row.id for row in await reads.newest(["a/f"], list(State), 10)] == [held.run]


@pytest.mark.parametrize("behind", range(8))
async def test_a_run_that_moves_while_the_indexes_are_read_is_listed(
    shard: Shard, monkeypatch: pytest.MonkeyPatch, behind: int
) -> None:
    # It wakes behind any of the reads: from an index that is yet to be read to one that has been, among others.
    held = await shard.waiting(due_in_ms=0)
    read, reads = shard.calls.read, 0

    async def with_a_wake_up(*command: object) -> object:
        nonlocal reads
        answer = await read(*command)
        reads += 1
        if reads == behind:
            await shard.timers.fire_timers()
        return answer

    monkeypatch.setattr(type(shard.calls), "read", lambda _self, *command: with_a_wake_up(*command))
    rows = await shard.reads.newest(["a/f"], [State.QUEUED, State.RUNNING, State.WAITING, State.COMPLETED], 10)
    assert [row.id for row in rows] == [held.run]


async def test_a_run_is_shown_with_everything_that_is_kept_of_it(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.runs.record_steps("L1", [StepWrite(held.run, held.epoch, 0, "k", "d", b"v", b"\xff note")])
    nap = WaitWrite(held.run, held.epoch, 1, "nap", "w", b"z", shard.now_ms + 9, b"\xff nap")
    await shard.runs.record_waits("L1", [nap])
    details = await shard.reads.details(held.run)
    assert details is not None
    assert (details.input, details.output) == (EVENT, b"")
    assert details.memos["k"].blob == b"v"
    assert details.notes == {"k": b"\xff note"}
    assert [(entry.verb, entry.key, entry.note) for entry in details.history] == [("w", "nap", b"\xff nap")]
    row = details.row
    assert (row.state, row.function, row.epoch, row.lease, row.results) == (State.RUNNING, "a/f", 1, "L1", 1)
    assert (row.begun_at_ms, row.ended_at_ms) == (shard.now_ms, 0)


async def test_a_run_that_is_not_there_is_none(shard: Shard) -> None:
    assert await shard.reads.row("nobody") is None
    assert await shard.reads.details("nobody") is None


async def test_the_namespace_and_its_children_are_shown(shard: Shard) -> None:
    await shard.lease("L1", "a/f", "b/g")
    await shard.sent(3)
    (row,) = await shard.reads.leases()
    assert (row.lease, row.apps, row.functions, row.in_hand) == ("L1", ("a", "b"), ("a/f", "b/g"), 0)
    assert (await shard.reads.namespace())["sent"] == "3"


@on("redis7", "valkey")
@pytest.mark.parametrize("section", ["memory", "server"])
async def test_a_server_that_tells_nothing_of_itself_is_no_error(shard: Shard, section: str) -> None:
    await shard.command("ACL", "SETUSER", "default", "-info")
    try:
        assert (await getattr(shard.upkeep, section)()) in (None, {})
    finally:
        await shard.command("ACL", "SETUSER", "default", "+info")
