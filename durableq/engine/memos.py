"""What a turn knows of its run's record: the memos, and up to which number it knows them all.

Authority: the store. This is a copy, complete up to `seen`.

Invariants: `seen` never goes down. A memo with a number above `seen + 1` is held apart until what lies between is known, or
until nothing that could bring it is under way; so results reach user code in the order of their numbers, live as in replay.
"""

from __future__ import annotations

from durableq.model.memo import Memo, MemoKind

_WAITS = (MemoKind.SLEEPING, MemoKind.RETRYING)


class Memos:
    """The memos of one run in hand."""

    __slots__ = ("_ahead", "by_key", "seen", "size_bytes")

    def __init__(self, by_key: dict[str, Memo], sequence: int) -> None:
        self.by_key = by_key
        self.seen = sequence
        """The last number up to which everything is known. Calls to the store name it."""
        self.size_bytes = sum(len(memo.blob) for memo in by_key.values()) if by_key else 0
        self._ahead: set[int] = set()
        # They are read after the claim that told `sequence`, and a wait may have ended in between.
        for number in sorted(memo.number for memo in by_key.values() if memo.number > sequence):
            self._number(number)

    def learn(self, key: str, memo: Memo) -> bool:
        """Take in a memo from the store. False if it was known, or is older than what is."""
        known = self.by_key.get(key)
        if memo.number == self.seen + 1 and not self._ahead:
            self.seen = memo.number  # as nearly always
        elif memo.number:
            self._number(memo.number)
        if known is not None:
            if known.number >= memo.number or _is_outdated(memo, known):
                return False
            self.size_bytes -= len(known.blob)
        self.by_key[key] = memo
        self.size_bytes += len(memo.blob)
        return True

    def began(self, key: str, memo: Memo) -> None:
        """A wait of ours has begun: it has no number, and replaces an earlier wait of the step."""
        known = self.by_key.get(key)
        if known is not None:
            if known.kind not in _WAITS:
                return  # it has ended already; that reply was quicker
            self.size_bytes -= len(known.blob)
        self.size_bytes += len(memo.blob)
        self.by_key[key] = memo

    def knows(self, number: int) -> bool:
        """Whether everything up to this number is known."""
        return number <= self.seen

    def bridge(self) -> None:
        """Nothing under way can bring what is missing: a number that nobody told was overwritten before we saw it."""
        if self._ahead:
            self.seen = max(self.seen, *self._ahead)
            self._ahead.clear()

    def _number(self, number: int) -> None:
        if number > self.seen:
            self._ahead.add(number)
            while self.seen + 1 in self._ahead:
                self.seen += 1
                self._ahead.remove(self.seen)


def _is_outdated(memo: Memo, known: Memo) -> bool:
    """Whether this tells of the end of a retry's delay after which we have already tried, failed, and begun another."""
    return memo.kind is MemoKind.RETRYING and memo.blob != known.blob
