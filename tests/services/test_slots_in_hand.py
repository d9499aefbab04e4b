"""Slots of what executes: none returns before the code that has it has ended, however its run is lost (decision 013)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from durableq import App, Context, EventTrigger, SyncContext
from tests.servers import Server
from tests.services.hands import Hands
from tests.services.overlaps import Overlaps

GO = "go"
KINDS = ["async", "def", "async step in a thread"]


@pytest_asyncio.fixture
async def hands(server: Server) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    await found.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that does not end is given up on after a tenth of a second, not after five."""
    monkeypatch.setattr("durableq.engine.leaving.LEAVE_S", 0.1)


class Deaf:
    """Bodies of one step that end when they are let, whatever cancels them; `let` by run, or all from then on."""

    def __init__(self) -> None:
        self.ledger = Overlaps()
        self.let_all = threading.Event()
        self._let: dict[str, threading.Event] = {}

    def let(self, run_id: str) -> None:
        self._of(run_id).set()

    def _of(self, run_id: str) -> threading.Event:
        return self._let.setdefault(run_id, threading.Event())

    def _may_end(self, run_id: str) -> bool:
        return self.let_all.is_set() or self._of(run_id).is_set()

    async def awaits(self, run_id: str) -> None:
        with self.ledger.body(run_id):
            while not self._may_end(run_id):
                try:
                    await asyncio.sleep(0.002)
                except asyncio.CancelledError:
                    continue

    def blocks(self, run_id: str) -> None:
        with self.ledger.body(run_id):
            while not self._may_end(run_id):
                self._of(run_id).wait(0.002)


def app_of(deaf: Deaf, kind: str, **options: Any) -> App:
    app = App("shop")
    declare = app.function("deaf", triggers=[EventTrigger(GO)], retries=0, **({"concurrency": 1} | options))
    if kind == "def":

        @declare
        def plainly(ctx: SyncContext) -> str:
            ctx.step.run("body", deaf.blocks, ctx.run_id)
            return "done"

    else:
        body: Callable[[str], Any] = deaf.awaits if kind == "async" else deaf.blocks

        @declare
        async def function(ctx: Context) -> str:
            await ctx.step.run("body", body, ctx.run_id)
            return "done"

    return app


async def one_begins(hands: Hands, deaf: Deaf, count: int = 1) -> str:
    """Wait until this many bodies have begun. Returns the run of the last."""
    await hands.until(lambda: len(deaf.ledger.began) >= count, f"{count} bodies have begun")
    assert len(deaf.ledger.began) == count
    return deaf.ledger.began[-1]


async def given_up(hands: Hands) -> None:
    """Wait until the code in the first worker's hand was given up on, and hands were compared once more."""
    worker = hands.workers[0]
    await hands.until(lambda: worker.environment.abandoned and not worker.executions, "it was given up on")
    await worker._reconciler.compare()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_body_that_goes_on_keeps_its_slot_until_it_ends(hands: Hands, kind: str) -> None:
    """91, 92: whatever compares hands meanwhile; and it returns at once then, without a comparison."""
    deaf = Deaf()
    await hands.begin(app_of(deaf, kind))
    async with hands.turning():
        await hands.send(GO, {}, {}, {})
        run = await one_begins(hands, deaf)
        await hands.cancel(run)
        await given_up(hands)
        worker = hands.workers[0]
        assert worker.hand.lingering == {run}
        assert worker.hand.room == 99
        assert deaf.ledger.began == [run]
        worker._reconciler.compare = None  # type: ignore[assignment,method-assign]
        deaf.let(run)
        second = await one_begins(hands, deaf, 2)
        assert worker.hand.room == 99
        assert not worker.hand.lingering
        deaf.let_all.set()
        states = {details.row.id: details.row.state for details in await hands.ended("shop/deaf", 3)}
    assert (states[run], states[second]) == ("x", "c")
    assert deaf.ledger.most[""] == 1
