"""Heard: which events the run's waits have had, so that the next wait of a name begins behind them.

In code that follows one another a wait is behind whatever the last wait of that name had, under whatever condition. Branches
beside each other read each for itself: one that is further on must not make another pass over what it has not seen, nor one
that is further back give it an event twice. What comes after them goes on, for each condition, behind what the branch had that
waited under it; under another condition, behind the furthest.

Authority: the record. It is filled in the order in which events are told to user code, which a replay repeats.

How. Each branch has a list of what it had, and of what branches that it started had, once they have ended. An entry counts from
its `stamp` on, a count of the run's moves. It supersedes what was there when it was begun: for one that the branch itself had,
everything; for one of another branch, what was there at that one's birth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from durableq.engine.branch import Branch
    from durableq.engine.replay import Replay


class _Had(NamedTuple):
    if_: str | None
    entry: str
    stamp: int
    supersedes: int
    """Entries with this stamp or a lower one."""


class Heard:
    """What the waits of one replay have had."""

    __slots__ = ("_had", "_replay")

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._had: dict[Branch, dict[str, list[_Had]]] = {}

    def had(self, event_name: str, if_: str | None, entry: str) -> None:
        """The branch that is executing is told this entry."""
        branch, now = self._replay.current, self._replay.moves
        if branch is not None:
            # Until a child looks back on it, only the last counts; but one may have been born at any time before.
            self._had.setdefault(branch, {}).setdefault(event_name, []).append(_Had(if_, entry, now, now))

    def behind(self, event_name: str, if_: str | None) -> str:
        """The entry behind which the executing branch's next wait looks; "" for the beginning of the run."""
        branch, upto = self._replay.current, self._replay.moves
        while branch is not None:
            known = self._last(branch, event_name, upto)
            if known:
                same = [had.entry for had in known if had.if_ == if_]
                return max(same or [had.entry for had in known], key=_place)
            upto = min(upto, branch.born)
            branch = branch.parent
        return ""

    def ended(self, branch: Branch) -> None:
        """This branch has ended: who started it goes on from what it had."""
        mine = self._had.get(branch)
        if mine is None or branch.parent is None:
            return
        now = self._replay.moves
        theirs = self._had.setdefault(branch.parent, {})
        for event_name in mine:
            last = self._last(branch, event_name, now)
            theirs.setdefault(event_name, []).extend(had._replace(stamp=now, supersedes=branch.born) for had in last)
        del self._had[branch]

    def _last(self, branch: Branch, event_name: str, upto: int) -> list[_Had]:
        """What counted for this branch at that time."""
        counting: list[_Had] = []
        for had in self._had.get(branch, {}).get(event_name, ()):
            if had.stamp <= upto:
                counting = [other for other in counting if other.stamp > had.supersedes]
                counting.append(had)
        return counting


def _place(entry: str) -> tuple[int, int]:
    at_ms, _, sequence = entry.partition("-")
    return int(at_ms), int(sequence)
