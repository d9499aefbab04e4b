"""The account: what must be true when all is over, and the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from durableq.model.run import State
from durableq.store.reads import RunDetails
from tests.acceptance.checks import executed_again, wrong_ends, wrong_runs
from tests.acceptance.harness import Stage
from tests.acceptance.ledger import Ledger
from tests.chaos.faults import Blow
from tests.chaos.producers import FAILING
from tests.store import invariants
from tests.store.stored import read_stored

DEATHS = 3
EXPECTED_ERRORS = {"child.died"}
"""What is logged as an error and is chaos' own doing."""


async def violations(stage: Stage, runs: Sequence[RunDetails]) -> list[str]:
    """Everything that must not be."""
    condemned = {run.row.id for run in runs if is_condemned(run)}
    spared = [run for run in runs if run.row.id not in condemned]
    return [
        *wrong_runs(stage.sent, runs),
        *wrong_ends(spared, FAILING),
        *executed_again(stage.ledger, runs),
        *unexpected_errors(stage),
        *invariants.violations(await read_stored(await stage.calls())),
    ]


def is_condemned(run: RunDetails) -> bool:
    """Whether it failed because chaos killed its worker three times without a step recorded in between, as promised."""
    crashes = sum(entry.verb == "crashed" for entry in run.history)
    return run.row.state is State.FAILED and run.output.startswith(b"TWorkerCrashed") and crashes >= DEATHS


def unexpected_errors(stage: Stage) -> Iterator[str]:
    """Errors in the logs that no fault explains."""
    for process in stage.processes:
        for entry in process.log(level="error"):
            if entry["event"] not in EXPECTED_ERRORS:
                yield f"{process.name} logged {entry['event']}: {entry.get('error') or entry.get('exception') or entry}"


def bodies_again(ledger: Ledger) -> int:
    """Bodies that were executed again because a kill, a drain or a freeze cut them off before they were recorded."""
    meant = {"stubborn": 3, "hopeless": 2, "fatal": DEATHS}
    return sum(max(0, count - meant.get(step, 1)) for (_, step), count in ledger.starts().items())


def recoveries(ledger: Ledger, blows: Sequence[Blow]) -> dict[str, list[float]]:
    """Per fault, the seconds until each body that it cut off began again; of a fault of Redis, until any body began."""
    lines = ledger.lines()
    found: dict[str, list[float]] = defaultdict(list)
    for blow in blows:
        later = [line for line in lines if line.at_ms > blow.at_ms and line.kind == "start"]
        if blow.name.startswith("Redis") and later:
            found[blow.name].append((later[0].at_ms - blow.at_ms) / 1000)
        for key in _open_bodies(ledger, blow):
            again = [line.at_ms for line in later if (line.run_id, line.step) == key]
            if again:
                found[blow.name].append((again[0] - blow.at_ms) / 1000)
    return found


def _open_bodies(ledger: Ledger, blow: Blow) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for line in ledger.lines():
        if line.at_ms > blow.at_ms:
            break
        if line.pid in blow.pids:
            if line.kind == "start":
                found.add((line.run_id, line.step))
            elif line.kind in ("end", "cut"):
                found.discard((line.run_id, line.step))
    return found
