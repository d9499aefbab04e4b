"""From the lines of the notes to bodies: when each began, and until when it counted.

A body counts while its process holds its run. It stops counting when it ends; when its process dies, which its beats show
to a few hundredths of a second (the last sign of life, so never too late); and when Redis took its run away, as it does when
a lease runs out. That the last happens only to processes that could not renew is judged apart (leases.py). A run that had been
cancelled in hand says nothing of that: then others that were in the same hand tell when the lease went, or the standstill.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tests.ledger.flow.facts import Body, Ran
from tests.ledger.flow.notes import Line

STILL_MS = 250.0
"""A gap in the beats longer than this: the process stood still."""
MOVED_MS = 50.0
LEAST_MS = 7500.0
"""A lease lasts for ten seconds, and is renewed every two: for so long at least it is there when its process stands still."""
NOTICED_MS = 5000.0
"""Within this a process that goes on has found out that its lease is gone."""


def bodies_of(
    lines: Sequence[Line], runs: Mapping[str, Ran], lost: Mapping[int, Sequence[float]] | None = None
) -> list[Body]:
    """Every body. `lines` in the order of their times. `lost`: when processes found that their lease was gone."""
    last, ends = {}, {}
    for line in lines:
        last[line.pid] = line.at_ms
        if line.kind == "end":
            ends[line.pid, line.body] = line.at_ms
    gaps = standstills(lines)
    cuts = _lease_ends(lines, ends, runs, gaps, lost or {})
    found = []
    for line in lines:
        if line.kind != "start":
            continue
        ended_ms = ends.get((line.pid, line.body), last[line.pid])
        run = runs.get(line.run_id)
        taken = [at_ms for at_ms, _ in run.crashes if at_ms > line.at_ms] if run else []
        if run and run.state == "cancelled":
            taken += [at_ms for at_ms in cuts.get(line.pid, ()) if at_ms > line.at_ms]
        still = sum(to - begin for begin, to in gaps.get(line.pid, ()) if to <= line.at_ms < to + STILL_MS)
        found.append(
            Body(line.run_id, line.pid, line.what, line.at_ms, min([ended_ms, *taken]), line.events, delayed_ms=still)
        )
    return found


def _lease_ends(
    lines: Sequence[Line],
    ends: Mapping[tuple[int, int], float],
    runs: Mapping[str, Ran],
    gaps: Mapping[int, Sequence[tuple[float, float]]],
    lost: Mapping[int, Sequence[float]],
) -> dict[int, list[float]]:
    """Per process when it lost a lease while it stood still: when its runs were taken away, or from when on they might be."""
    found = defaultdict(list)
    for pid, times in lost.items():
        for at_ms in times:
            for began_ms, ended_ms in gaps.get(pid, ()):
                if not ended_ms - began_ms > LEAST_MS or not began_ms < at_ms < ended_ms + NOTICED_MS:
                    continue
                taken = [
                    crashed_ms
                    for line in lines
                    if (line.kind, line.pid) == ("start", pid) and line.run_id in runs and line.at_ms < ended_ms
                    for crashed_ms, _ in runs[line.run_id].crashes
                    if began_ms < crashed_ms < ended_ms <= ends.get((pid, line.body), ended_ms)
                ]
                found[pid].append(min(taken, default=began_ms + LEAST_MS))
    return found


def standstills(lines: Iterable[Line]) -> dict[int, list[tuple[float, float]]]:
    """Per process when it stood still: it was stopped, or the machine had no time for it."""
    found, before = defaultdict(list), dict[int, float]()
    for line in lines:
        if line.pid in before and line.at_ms - before[line.pid] > STILL_MS:
            found[line.pid].append((before[line.pid], line.at_ms))
        before[line.pid] = line.at_ms
    return found


def moved_clock(lines: Sequence[Line]) -> list[str]:
    """The wall clock against the monotonic one: a ledger during which it was moved cannot be judged."""
    offsets = [line.at_ms - line.monotonic_ms for line in lines]
    if offsets and max(offsets) - min(offsets) > MOVED_MS:
        return [f"the machine's clock was moved by {max(offsets) - min(offsets):.0f} ms: judge nothing by this ledger"]
    return []


def together(bodies: Iterable[Body]) -> list[tuple[float, float]]:
    """The times in which at least one of these bodies went on, in order."""
    spans: list[tuple[float, float]] = []
    for body in sorted(bodies, key=lambda body: body.began_ms):
        if spans and body.began_ms <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], body.ended_ms))
        else:
            spans.append((body.began_ms, body.ended_ms))
    return spans


def full_times(spans: Iterable[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """When at least `limit` of these spans went on at once, in order."""
    turns = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    count, since, found = 0, 0.0, []
    for at_ms, change in turns:
        if count < limit <= count + change:
            since = at_ms
        elif count + change < limit <= count:
            found.append((since, at_ms))
        count += change
    return found


def last_before(spans: Sequence[tuple[float, float]], at_ms: float) -> float:
    """The last moment up to then at which one of these spans (in order) went on; 0 if none did."""
    place = bisect_right(spans, (at_ms, float("inf")))
    return min(at_ms, spans[place - 1][1]) if place else 0.0
