"""What must hold at the end of every acceptance test, whatever was done to the processes.

1. Every accepted event has exactly one run of its function; no run is without an event.
2. Every run is final, in the state that its program is meant to end in.
3. No body of a step began after that step's result was recorded: the ledger against the memos' own times.
4. A run that completed has the result of every step that its program asks for, and the ledger saw each of them return.
5. What is stored keeps the numbered invariants of model/run.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from durableq.model.event import decode_event
from durableq.model.memo import RESULTS
from durableq.model.run import State
from durableq.store.reads import RunDetails
from durableq.words.ids import step_key
from tests.acceptance.harness import Stage
from tests.acceptance.ledger import Ledger
from tests.store.invariants import violations
from tests.store.stored import read_stored

SLACK_MS = 1.0
"""Redis stamps whole milliseconds, cut off."""


@dataclass(frozen=True)
class Figures:
    """What was found, for tests that demand more and for scripts/chaos to print."""

    runs: int
    bodies: int
    again: int
    """Bodies that began a second time or later, before anything was recorded: at-least-once, as promised."""


async def check(stage: Stage, *, failing: Collection[str] = ()) -> Figures:
    """Assert all of it. Runs of the programs named in `failing` must have failed, all others have completed."""
    runs = await stage.runs()
    problems = [
        *wrong_runs(stage.sent, runs),
        *wrong_ends(runs, failing),
        *executed_again(stage.ledger, runs),
        *violations(await read_stored(await stage.calls())),
    ]
    assert not problems, "\n".join(problems[:20])
    starts = stage.ledger.starts()
    return Figures(len(runs), starts.total(), starts.total() - len(starts))


def wrong_runs(sent: dict[str, str], runs: Collection[RunDetails]) -> list[str]:
    """Rule 1."""
    found: Counter[tuple[str, str]] = Counter()
    for run in runs:
        event = decode_event(run.input, "0-0")
        found[event.id or "", run.row.function.partition("/")[2]] += 1
    wanted = Counter(dict.fromkeys(sent.items(), 1))
    return [
        *(
            f"event {event} of {name} has {found[event, name]} runs"
            for event, name in wanted
            if found[event, name] != 1
        ),
        *(f"event {event} has a run of {name}, unasked" for event, name in found if (event, name) not in wanted),
    ]


def wrong_ends(runs: Collection[RunDetails], failing: Collection[str]) -> list[str]:
    """Rule 2."""
    problems = []
    for run in runs:
        wanted = State.FAILED if run.row.function.partition("/")[2] in failing else State.COMPLETED
        if run.row.state is not wanted:
            problems.append(f"run {run.row.id} of {run.row.function} is {run.row.state.label}, not {wanted.label}")
    return problems


def executed_again(ledger: Ledger, runs: Collection[RunDetails]) -> list[str]:
    """Rules 3 and 4."""
    started, returned = defaultdict(list), set()
    for line in ledger.lines():
        if line.kind == "start":
            started[line.run_id, line.step].append(line)
        elif line.kind == "end":
            returned.add((line.run_id, line.step))
    memos = {run.row.id: run.memos for run in runs}
    completed = {run.row.id for run in runs if run.row.state is State.COMPLETED}
    problems = []
    for (run_id, step), lines in started.items():
        memo = memos.get(run_id, {}).get(step_key(step, 0))
        if memo is None or memo.kind not in RESULTS:
            if run_id in completed:
                problems.append(f"run {run_id} completed without a result of step {step}")
            continue
        problems += [
            f"step {step} of run {run_id} began {line.at_ms - memo.at_ms:.0f} ms after it was recorded (pid {line.pid})"
            for line in lines
            if line.at_ms > memo.at_ms + SLACK_MS
        ]
        if run_id in completed and (run_id, step) not in returned:
            problems.append(f"step {step} of run {run_id} is recorded, but no body of it returned")
    return problems
