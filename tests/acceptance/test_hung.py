"""Code that keeps a child's loop from turning, even by holding the GIL: the lease holds, and the log names the line."""

from __future__ import annotations

import pytest

from tests.acceptance.checks import check
from tests.acceptance.harness import REPOSITORY, Stage, until

LINES = {"sleep": "the line that blocks by sleeping", "gil": "the line that holds the GIL"}
LEASE_S = 10


def line_with(mark: str) -> int:
    """The number of the line of programs.py that ends in this comment."""
    lines = (REPOSITORY / "tests/acceptance/programs.py").read_text().splitlines()
    return next(number for number, text in enumerate(lines, 1) if text.endswith(f"# {mark}"))


@pytest.mark.parametrize("leases", [1.2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", ["sleep", "gil"])
async def test_a_blocked_loop_keeps_its_lease_and_is_named(stage: Stage, how: str, leases: float) -> None:
    stage.scheduler()
    hung = await stage.worker().working()
    await stage.send("blocking", seconds=leases * LEASE_S, how=how)
    await until(lambda: stage.ledger.count("start") == 1, "the body has begun", within_s=10)
    idle = await stage.worker().working()
    said = await hung.says("loop.blocked", within_s=10)
    assert f"programs.py:{line_with(LINES[how])} in " in said["line"]
    assert said["child"] == hung.child
    await stage.all_end(within_s=leases * LEASE_S * 2 + 5)
    began, ended = stage.ledger.lines("start", step="blocks"), stage.ledger.lines("end", step="blocks")
    assert ended[0].at_ms - began[0].at_ms > leases * LEASE_S * 1000
    assert (await check(stage)).again == 0
    assert {line.pid for line in stage.ledger.lines()} == {hung.child}
    assert idle.running
    assert hung.running


async def test_a_child_silent_for_stuck_after_is_replaced(stage: Stage) -> None:
    """Its death counts as one: the run is executed again, by the next child."""
    worker = await stage.worker("--stuck-after", "5s").working()
    await stage.send("blocking", seconds=8, how="sleep")
    await worker.says("child.killed", within_s=15)
    await worker.says("child.working", count=2)
    (run,) = await stage.runs()
    assert any(b"silent for" in entry.note for entry in run.history if entry.verb == "crashed")
