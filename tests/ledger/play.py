"""A ledger from its first run to its last: driver, rest, account. Of scripts/ledger, and a part of scripts/chaos."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from durableq.store.reads import RunDetails
from tests.acceptance.checks import executed_again
from tests.acceptance.harness import Stage
from tests.chaos.account import is_condemned
from tests.ledger.driver import Driver
from tests.ledger.entries import Entries, place_of
from tests.ledger.judge import Judge
from tests.ledger.rest import leftovers, open_runs

LEDGER_APP = "tests.ledger.programs:app"
LOOK_S = 0.5
STILL_S = 60.0
"""Longer than a lease and any delay between attempts of these programs, shorter than their long timeout."""
BEGUN_LATE_MS = 16_000
"""A worker that was frozen for 13 s may begin a body of a run that was cancelled meanwhile; nobody else."""


class Play:
    """One ledger on a stage whose workers have its app."""

    def __init__(self, stage: Stage, chance: Random, open_most: int = 4000) -> None:
        self.stage = stage
        self.entries = Entries(stage)
        self.driver = Driver(stage, self.entries, chance, stage.client())
        self._open_most = open_most
        self._looked_s, self._enough = 0.0, False

    async def perform(self, runs: int, per_second: float) -> None:
        """Start the runs and do to them what is to be done."""
        await self.driver.drive(runs, per_second, self._open_enough)

    async def _open_enough(self) -> bool:
        if time.monotonic() > self._looked_s + LOOK_S:
            found = await open_runs(await self.stage.calls())
            self._enough = found.get("queued", 0) + found.get("waiting", 0) >= self._open_most
            self._looked_s = time.monotonic()
        return self._enough

    async def come_to_rest(self, tend: Callable[[], None]) -> list[str]:
        """Wait until nothing of it is open. Returns a violation when that takes too long, or nothing moves any more."""
        changed_s, last = time.monotonic(), {}
        while found := await open_runs(await self.stage.calls()):
            tend()
            if found != last:
                changed_s, last = time.monotonic(), found
            if time.monotonic() > changed_s + STILL_S:
                return [f"nothing has moved for {STILL_S:g} s: {found}"]
            await asyncio.sleep(LOOK_S)
        return []

    async def account(self, runs: list[RunDetails]) -> list[str]:
        """Print what became of the runs. Returns the violations."""
        await self.entries.read()
        judge = Judge(self.driver.cases, runs, await self._places(runs), self.entries)
        problems = judge.violations()
        problems += executed_again(self.stage.ledger, runs)
        problems += self._begun_late(runs)
        problems += [
            f"a command was answered: {outcome}"
            for case in self.driver.cases
            for deed in case.deeds
            for outcome in deed.outcomes.values()
            if outcome.startswith("command:")
        ]
        plans = Counter(case.plan for case in self.driver.cases)
        deeds = Counter(deed.what for case in self.driver.cases for deed in case.deeds if deed.ended_ms)
        print(f"runs started        {self.driver.started}, of {len(self.driver.cases)} cases: {_listed(plans)}")
        print(f"done to them        {_listed(deeds)}; {self.driver.retried} calls were made again")
        print(f"killed thrice       {sum(map(is_condemned, runs))}")
        for outcome, count in sorted(judge.outcomes().items()):
            print(f"  {count:6d}  {outcome}")
        return problems

    async def clear(self) -> list[str]:
        """Delete what is finished. Returns what is left over. Nothing of the namespace is to be used afterwards."""
        return await leftovers(await self.stage.calls())

    async def _places(self, runs: list[RunDetails]) -> dict[str, tuple[int, int]]:
        calls = await self.stage.calls()
        found = {
            run_id: place
            for case in self.driver.cases
            if not case.outside
            for run_id, place in zip(case.runs, [place_of(entry) for entry in case.entries], strict=True)
        }
        for run in runs:
            if run.row.id not in found:
                place = await calls.read("HGET", calls.key("run", run.row.id), "p")
                found[run.row.id] = place_of((place or b"0-0").decode())
        return found

    def _begun_late(self, runs: list[RunDetails]) -> list[str]:
        ended = {run.row.id: run.row.ended_at_ms for run in runs if run.row.ended_at_ms}
        return [
            f"step {line.step} of run {line.run_id} began {line.at_ms - ended[line.run_id]:.0f} ms after its end"
            for line in self.stage.ledger.lines("start")
            if line.run_id in ended and line.at_ms > ended[line.run_id] + BEGUN_LATE_MS
        ]


def of_app(runs: list[RunDetails], app_id: str) -> list[RunDetails]:
    """The runs of one app."""
    return [run for run in runs if run.row.function.startswith(f"{app_id}/")]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())
