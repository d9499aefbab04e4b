"""Which runs a filter means while they move on, and that each is met once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from durableq.model.failure import Failure
from durableq.model.run import State
from durableq.model.run_filter import RunFilter
from durableq.services.picking import Picking
from durableq.store import paging
from durableq.store.reads import RunRow
from durableq.words import codec
from durableq.words.ids import run_created_at_ms
from tests.servers import Server
from tests.store.gates import deploy, fire, triggered
from tests.store.shard import Shard


@pytest.fixture
async def shard(server: Server) -> AsyncIterator[Shard]:
    found = Shard(server)
    await found.calls.open()
    await found.registry.register_app("a", "r1", {"f": codec.encode({"name": "F", "triggers": [], "retries": 4})})
    yield found
    await found.close()


async def picked(
    shard: Shard, wanted: RunFilter | None = None, states: frozenset[State] = frozenset(State)
) -> list[str]:
    picking = Picking(shard.calls, wanted or RunFilter(), states, shard.now_ms)
    return [row.id async for hundred in picking.hundreds() for row in hundred]


async def test_a_run_is_picked_under_its_state_wherever_it_is(shard: Shard) -> None:
    await deploy(shard, f=" 0=1 ")
    running = await shard.claimed()
    completed, failed = await shard.finished("c"), await shard.finished("f")
    waiting = await shard.waiting()
    queued, suspect = await shard.queued(), await shard.suspected("a/g")
    parked = await triggered(shard, "c0=p", "c0=p")
    expected = {
        State.RUNNING: {running.run},
        State.COMPLETED: {completed.run},
        State.FAILED: {failed.run},
        State.WAITING: {waiting.run},
        State.QUEUED: {queued, suspect, *parked},
    }
    for state, runs in expected.items():
        assert set(await picked(shard, states=frozenset({state}))) == runs
    everything = await picked(shard)
    assert sorted(everything) == sorted(run for runs in expected.values() for run in runs), "each once"


async def test_more_runs_than_a_page_come_in_hundreds_the_oldest_first(shard: Shard) -> None:
    await deploy(shard)
    runs = []
    for _ in range(5):
        runs += await triggered(shard, *[""] * 50)
        shard.advance(1)
    picking = Picking(shard.calls, RunFilter(), {State.QUEUED}, shard.now_ms)
    hundreds = [[row.id for row in hundred] async for hundred in picking.hundreds()]
    assert [len(hundred) for hundred in hundreds] == [100, 100, 50]
    assert {*hundreds[0]} == {*runs[:100]}


class Between(Picking):
    """Something happens after the first page was read."""

    def __init__(self, shard: Shard, states: set[State], act: Callable[[], Awaitable[object]]) -> None:
        super().__init__(shard.calls, RunFilter(), states, shard.now_ms)
        self.acts = [act]

    async def _picked(self, ids: list[str], functions: list[str]) -> list[RunRow]:  # type: ignore[override]
        found = await super()._picked(ids, functions)
        if self.acts:
            await self.acts.pop()()
        return found


async def test_what_moves_on_meanwhile_is_met_and_met_once(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 2)
    await deploy(shard)
    await shard.lease("L1", "a/f", "a/g")
    runs = await triggered(shard, *[""] * 7)
    picking = Between(shard, {State.QUEUED, State.RUNNING, State.WAITING}, lambda: shard.claim("L1", 3))
    met = [row.id async for hundred in picking.hundreds() for row in hundred]
    assert sorted(met) == sorted(runs)


async def test_what_goes_back_to_where_this_has_been_is_met_all_the_same(shard: Shard) -> None:
    await deploy(shard)
    asleep = await shard.waiting(due_in_ms=1000)
    queued = await shard.queued()

    async def wake() -> None:
        shard.advance(1000)
        assert await fire(shard) == 1

    picking = Between(shard, {State.QUEUED, State.WAITING}, wake)
    met = [row.id async for hundred in picking.hundreds() for row in hundred]
    assert sorted(met) == sorted([asleep.run, queued])
    assert picking.acts == []


async def test_what_was_created_after_it_began_is_not_meant(shard: Shard) -> None:
    await deploy(shard)
    (before,) = await triggered(shard, "")
    began_at_ms = run_created_at_ms(before)
    after = before
    while run_created_at_ms(after) == began_at_ms:  # entries have the server's own time
        (after,) = await triggered(shard, "")
    picking = Picking(shard.calls, RunFilter(), State, began_at_ms)
    met = [row.id async for hundred in picking.hundreds() for row in hundred]
    assert before in met
    assert after not in met


@pytest.mark.parametrize("out", [b"", b"\xc1", b"TStepTimeout\ntoo slow"], ids=repr)
async def test_an_error_that_cannot_be_read_matches_nothing(shard: Shard, out: bytes) -> None:
    await shard.finished("f", out=out)
    expected = 1 if out.startswith(b"T") else 0
    assert len(await picked(shard, RunFilter(error="StepTimeout"))) == expected
    assert len(await picked(shard, RunFilter(error=TimeoutError))) == expected, "bases included"
    assert await picked(shard, RunFilter(error=ValueError)) == []
    assert len(await picked(shard, RunFilter(where="run.error == null"))) == 1 - expected


async def test_an_error_in_a_module_of_somebody_s_is_found_by_either_name(shard: Shard) -> None:
    class Declined(Exception):
        __module__ = "shop.payments"
        __qualname__ = "Declined"

    await shard.finished("f", out=Failure.of(Declined("no")).encode())
    for error in ("Declined", "shop.payments.Declined", Declined, "Exception"):
        assert len(await picked(shard, RunFilter(error=error))) == 1
    for error in ("payments.Declined", "declined", "other.Declined"):
        assert await picked(shard, RunFilter(error=error)) == []
