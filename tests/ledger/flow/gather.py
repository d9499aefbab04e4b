"""Brings together what is known: the stream, runs, records of skips, notes of bodies, faults, deploys."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime

from durableq.model.event import decode_event, each_given
from durableq.model.flow import ONE_DAY_MS
from durableq.model.run import State
from durableq.store.calls import Calls
from durableq.store.flow import Flow, Skip
from durableq.store.reads import RunDetails
from tests.acceptance.harness import Stage
from tests.chaos.faults import Blow
from tests.ledger.entries import PAGE, place_of
from tests.ledger.flow.bodies import bodies_of, moved_clock
from tests.ledger.flow.facts import Deploy, Facts, Left, Place, Ran, Sent
from tests.ledger.flow.names import APP_ID, OTHER_APP_ID, event_name, functions
from tests.ledger.flow.notes import FOLDER, read_notes

LONGEST_MS = 14_000.0
"""No fault goes on for longer; what is noted of each is when it was over."""
SKIPS_KEPT = 1000


class Skips:
    """Reads the records of skips as they grow: Redis keeps the newest of each function only."""

    def __init__(self, stage: Stage) -> None:
        self.found: dict[tuple[str, Skip], None] = {}
        self._stage = stage
        self._counts: dict[tuple[str, str], int] = {}

    async def read(self) -> None:
        """What is new."""
        calls = await self._stage.calls()
        flow = Flow(calls)
        for app in (APP_ID, OTHER_APP_ID):
            for (name, reason), count in (await flow.skipped(app)).items():
                if self._counts.get((f"{app}/{name}", reason)) != count:
                    self._counts[f"{app}/{name}", reason] = count
                    for skip in await flow.skips(f"{app}/{name}", SKIPS_KEPT):
                        self.found[f"{app}/{name}", skip] = None

    def missed(self) -> list[str]:
        """A violation of the ledger's own: more were left out than were read."""
        wanted = sum(self._counts.values())
        return [] if wanted == len(self.found) else [f"{wanted} were left out, and {len(self.found)} records were read"]


async def gather(
    stage: Stage, runs: Sequence[RunDetails], skips: Skips, deploys: Sequence[Deploy], blows: Sequence[Blow]
) -> tuple[Facts, list[str]]:
    """The facts, and what is wrong with the ledger itself."""
    calls = await stage.calls()
    names = event_names()
    sent, by_place = await _events(calls, set(names.values()))
    admitted = await _admissions(calls)
    wanted = set(functions())
    ran = {run.row.id: _run(run, admitted) for run in runs if run.row.function in wanted}
    left, problems = [], []
    for function, skip in skips.found:
        event = by_place.get(place_of(skip.place))
        if event is None:
            problems.append(f"{function}: {skip} names no event of the ledger")
        else:
            left.append(Left(function, skip.at_ms, event.id, skip.reason, skip.key, skip.other))
    lines = read_notes(stage.directory / FOLDER)
    faults = [(blow.at_ms - LONGEST_MS, blow.at_ms, blow.name) for blow in blows]
    facts = Facts(sent, ran, left, bodies_of(lines, ran, _lost_leases(stage)), deploys, faults)
    return facts, problems + skips.missed() + moved_clock(lines)


def event_names() -> dict[str, str]:
    """The event that starts each function."""
    return {function: event_name(*reversed(function.split("/"))) for function in functions()}


def _lost_leases(stage: Stage) -> dict[int, list[float]]:
    """When children found that their lease was gone, by pid."""
    found: dict[int, list[float]] = {}
    for process in stage.processes:
        for entry in process.log("lease.lost"):
            if "child" in entry:
                at_ms = datetime.fromisoformat(entry["timestamp"]).timestamp() * 1000
                found.setdefault(entry["child"], []).append(at_ms)
    return found


async def _events(calls: Calls, names: set[str]) -> tuple[dict[str, Sent], dict[Place, Sent]]:
    found: dict[str, Sent] = {}
    last = "-"
    while True:
        page = await calls.read("XRANGE", calls.key("events"), last, "+", "COUNT", PAGE)
        for raw, fields in page:
            last = f"({raw.decode()}"
            if fields[1][:1] == b"S":
                continue
            event = decode_event(fields[1], raw.decode())
            if event.name in names:
                found[event.id or ""] = Sent(
                    event.id or "", event.name, place_of(raw.decode()), event.data, event.ts or 0
                )
        if len(page) < PAGE:
            return found, {event.place: event for event in found.values()}


async def _admissions(calls: Calls) -> dict[str, int]:
    """When each run was let in, of those that have an idempotency key: it lasts for a day from then on."""
    found: dict[str, int] = {}
    cursor = b"0"
    while True:
        cursor, keys = await calls.read("SCAN", cursor, "MATCH", f"{calls.key('once', '')}*", "COUNT", 1000)
        for value in await asyncio.gather(*(calls.read("GET", key.decode()) for key in keys)):
            if value is not None and (parts := re.fullmatch(r"(\d+) (\S+)", value.decode())):
                found[parts[2]] = int(parts[1]) - ONE_DAY_MS
        if cursor == b"0":
            return found


def _run(run: RunDetails, admitted: dict[str, int]) -> Ran:
    events = tuple(given.event().id or "" for given in each_given(run.input, 0))
    crashes = tuple(
        (entry.at_ms, entry.note.decode("utf-8", "replace")) for entry in run.history if entry.verb == "crashed"
    )
    row = run.row
    why = run.output.decode("utf-8", "replace") if row.state in (State.FAILED, State.CANCELLED) else ""
    return Ran(
        row.id,
        row.function,
        events,
        row.begun_at_ms,
        row.ended_at_ms,
        row.state.label,
        admitted.get(row.id, 0),
        crashes,
        why,
    )
