"""Until when a body counts: its end, its process' death, or the loss of its lease."""

from __future__ import annotations

from tests.ledger.flow.bodies import bodies_of, full_times, moved_clock
from tests.ledger.flow.facts import Ran
from tests.ledger.flow.notes import Line


def line(kind: str, at_ms: float, body: int = 0, run_id: str = "", pid: int = 7) -> Line:
    return Line(kind, at_ms, at_ms, pid, body, run_id, "", "turn" * (kind == "start"), ())


def ran(run_id: str, state: str = "completed", *crashes: int) -> Ran:
    taken = tuple((at_ms, "its lease ran out") for at_ms in crashes)
    return Ran(run_id, "flow/one", ("e",), 1, 2, state, crashes=taken)


def ends(lines: list[Line], *runs: Ran, lost: list[float] | None = None) -> dict[str, float]:
    found = bodies_of(sorted(lines, key=lambda each: each.at_ms), {run.id: run for run in runs}, {7: lost or []})
    return {body.run_id: body.ended_ms for body in found}


def test_it_ends_when_it_says_so_or_with_the_last_sign_of_life() -> None:
    lines = [line("start", 1, 1, "a"), line("start", 2, 2, "b"), line("end", 5, 1), line("beat", 40)]
    assert ends(lines, ran("a"), ran("b")) == {"a": 5, "b": 40}


def test_it_counts_no_more_when_its_run_was_taken_away() -> None:
    lines = [line("start", 1, 1, "a"), line("beat", 20), line("beat", 13_000), line("end", 13_010, 1)]
    assert ends(lines, ran("a", "completed", 10_500)) == {"a": 10_500}


def test_a_cancelled_body_goes_with_the_lease_of_its_process() -> None:
    lines = [line("start", 1, 1, "a"), line("start", 2, 2, "b"), line("beat", 20), line("beat", 13_000)]
    lines += [line("end", 13_010, 1), line("end", 13_010, 2)]
    both = (ran("a", "cancelled"), ran("b", "completed", 10_500))
    assert ends(lines, *both, lost=[13_005]) == {"a": 10_500, "b": 10_500}
    assert ends(lines, *both) == {"a": 13_010, "b": 10_500}, "it may have kept its lease"
    assert ends(lines, ran("a", "cancelled"), ran("b"), lost=[13_005])["a"] == 7_520


def test_a_pool_is_full_while_as_many_are_in_it() -> None:
    assert full_times([(0, 10), (5, 20), (10, 30)], 2) == [(5, 10), (10, 20)]


def test_a_clock_that_was_moved_is_noticed() -> None:
    lines = [line("beat", 0), line("beat", 100)._replace(monotonic_ms=20)]
    assert not moved_clock(lines[:1])
    assert len(moved_clock(lines)) == 1
