"""A ledger of flow control from its first event to its last: sending, deploys, rest, account. Also a part of scripts/chaos."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import durableq as dq
from durableq.store.reads import RunDetails
from tests.acceptance.harness import Stage
from tests.chaos.faults import Blow
from tests.chaos.troupe import Troupe
from tests.ledger.flow import order, pacing
from tests.ledger.flow.concurrency import pools_of
from tests.ledger.flow.deploys import Deploys
from tests.ledger.flow.facts import Facts, worst
from tests.ledger.flow.gather import Skips, event_names, gather
from tests.ledger.flow.judge import violations
from tests.ledger.flow.names import APP_ID, OTHER_APP_ID
from tests.ledger.flow.traffic import Traffic
from tests.ledger.flow.watching import SlotWatch
from tests.ledger.rest import leftovers, open_runs

FLOW_APPS = ("tests.ledger.flow.programs:app", "tests.ledger.flow.other_programs:app")
APP_IDS = (APP_ID, OTHER_APP_ID)
LOOK_S = 0.5
STILL_S = 60.0
PAUSE_S = 0.3
FREE_EVERY_S = 0.25


class FlowPlay:
    """One ledger on a stage whose workers have its apps."""

    def __init__(self, stage: Stage, chance: Random, open_most: int = 2500) -> None:
        self.stage = stage
        self.sent = 0
        self.retried = 0
        self.skips = Skips(stage)
        self.slots = SlotWatch(stage)
        self.deploys = Deploys(stage, FLOW_APPS, Random(chance.random()))
        self._traffic = Traffic(chance)
        self._client = stage.client()
        self._open_most = open_most
        self._looked_s, self._enough = 0.0, False

    async def send_many(self, per_second: float, over: Callable[[], bool]) -> None:
        """Send at about this rate until it is over."""
        planned, began_s = self.sent, time.monotonic()
        while not over():
            while await self._open_enough():
                began_s = time.monotonic() - (self.sent - planned) / per_second  # what was missed is not made up for
                await asyncio.sleep(PAUSE_S)
            await self._send(self._traffic.events())
            await asyncio.sleep(max(0.0, began_s + (self.sent - planned) / per_second - time.monotonic()))

    async def block(self, count: int, seconds: float) -> None:
        """Let a run have a key for so long, with so many behind it, while runs of other keys come and go."""
        crowd, free = self._traffic.blocked(count, seconds)
        await self._send(crowd)
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            await self._send([next(free)])
            await asyncio.sleep(FREE_EVERY_S)

    async def keep_on(self, over: Callable[[], bool]) -> None:
        """Send what a debounce never sees the end of, until it is over."""
        while not over():
            await self._send([self._traffic.steady()])
            await asyncio.sleep(FREE_EVERY_S)

    async def deploy_often(self, troupe: Troupe, every_s: float, over: Callable[[], bool]) -> None:
        """Other numbers every so often, until it is over."""
        next_s = time.monotonic() + every_s
        while not over():
            await asyncio.sleep(PAUSE_S)
            if time.monotonic() > next_s:
                await self.deploys.another(troupe)
                next_s = time.monotonic() + every_s

    async def _send(self, events: list[dq.Event]) -> None:
        left = events
        while left:
            try:
                await self._client.send(left)
            except dq.SendError as error:
                self.retried += 1
                left = [*error.not_sent, *error.unknown]
                await asyncio.sleep(PAUSE_S)
            else:
                break
        self.sent += len(events)

    async def _open_enough(self) -> bool:
        if time.monotonic() > self._looked_s + LOOK_S:
            found = await open_runs(await self.stage.calls(), APP_IDS)
            self._enough = found.get("queued", 0) + found.get("waiting", 0) >= self._open_most
            await self.skips.read()
            await self.slots.look()
            self._looked_s = time.monotonic()
        return self._enough

    async def come_to_rest(self, tend: Callable[[], None]) -> list[str]:
        """Wait until nothing of it is open. Returns a violation when nothing moves any more."""
        changed_s, last = time.monotonic(), dict[str, int]()
        while found := await open_runs(await self.stage.calls(), APP_IDS):
            tend()
            await self.slots.look()
            if found != last:
                changed_s, last = time.monotonic(), found
            if time.monotonic() > changed_s + STILL_S:
                return [f"nothing has moved for {STILL_S:g} s: {found}"]
            await asyncio.sleep(LOOK_S)
        return []

    async def account(self, runs: list[RunDetails], blows: list[Blow]) -> list[str]:
        """Print what became of it all. Returns the violations."""
        await self.skips.read()
        facts, problems = await gather(self.stage, runs, self.skips, self.deploys.made, blows)
        for line in figures(facts):
            print(line)
        longest = f"kept by what had ended for at most {self.slots.longest_s:.1f} s"
        print(f"slots               looked at {self.slots.looks} times, {longest}")
        return problems + self.slots.problems() + violations(facts, event_names())

    async def clear(self) -> list[str]:
        """Delete what is finished. Returns what is left over."""
        return await leftovers(await self.stage.calls())


def figures(facts: Facts) -> list[str]:
    """What was seen, a line for each sort of it."""
    states = Counter(run.state for run in facts.runs.values())
    left = pacing.counts(facts)
    idle = order.idle_times(facts)
    calm = [
        ms
        for run_id, ms in idle.items()
        if facts.calm(facts.runs[run_id].begun_ms - ms, facts.runs[run_id].begun_ms, order.CALM_AFTER_MS)
    ]
    free = sorted(
        run.begun_ms - facts.sent[run.events[0]].at_ms
        for run in facts.runs.values()
        if facts.sent[run.events[0]].key.startswith("free-")
    )
    paces = pacing.paces(facts)
    taken = Counter(why for run in facts.runs.values() for _, why in run.crashes)
    return [
        f"events              {len(facts.sent)}, deploys {len(facts.deploys) - 1}",
        f"runs                {len(facts.runs)}: {_listed(states)}; left out: {_listed(Counter(left))}",
        f"bodies              {len(facts.bodies)} of {len({body.pid for body in facts.bodies})} processes; "
        f"runs taken from holders {sum(taken.values())}",
        f"pools               {len(pools_of(facts))}",
        f"idle at an open gate p50 {_at(calm, 0.5):.0f}, p99 {_at(calm, 0.99):.0f}, max {worst(calm):.0f} ms in calm "
        f"({len(calm)} runs); max {worst(idle.values()):.0f} ms in all",
        f"beside a blocked key {len(free)} runs of free keys begun after p50 {_at(free, 0.5):.0f}, max {worst(free):.0f} ms",
        f"throttle in calm    {len(paces)} rows, mean off by at most "
        f"{100 * worst(abs(pace.mean_ms / pace.wanted_ms - 1) for pace in paces):.2f} %",
    ]


def _at(values: list[float] | list[int], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))] if values else 0.0


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
