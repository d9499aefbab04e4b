"""Claims ready runs up to the free places of the hand.

Authority: a claim carries (lease, number). The link sends it again after a broken connection, and the same number is
answered with the same runs, so a lost reply loses none. A claim is never given up: the next number is drawn after its reply.

Runs that saw two deaths of their worker are claimed only by a child that the parent starts for them (`alone`): one at a
time, with nothing else in hand, until there are none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from durableq.services.hand import Hand
from durableq.store.calls import BATCH
from durableq.store.records import Claim, Claimed
from durableq.store.runs import Runs
from durableq.words.clock import ServerClock


class Claimer:
    """A service: one claim a round, at once again while there was more to have."""

    def __init__(
        self,
        runs: Runs,
        hand: Hand,
        clock: ServerClock,
        apps: Sequence[str],
        *,
        start: Callable[[Claimed, bool], None],
        events_wait: Callable[[], None],
        posts_wait: Callable[[], None],
        suspects_wait: Callable[[], None],
        nothing_left: Callable[[], None],
        alone: bool,
        poll_s: float,
    ) -> None:
        self._runs = runs
        self._hand = hand
        self._clock = clock
        self._apps = apps
        self._start = start
        self._events_wait = events_wait
        self._posts_wait = posts_wait
        self._suspects_wait = suspects_wait
        self._nothing_left = nothing_left
        self._alone = alone
        self._poll_s = poll_s
        self._number = 0
        self._skip = 0
        self.lease = ""
        self.wanting = False
        """Whether the last claim left room, so that a bell would be of use."""
        self.claiming = asyncio.Lock()
        """Held while a claim is under way: the reconciler must not meet a claim half done."""

    def renew(self, lease: str) -> None:
        """Claim under another lease from now on."""
        self.lease = lease
        self._number = 0

    async def run_once(self) -> float:
        # Half of the places at most: while the code of one half executes, the other half's commit and claim travel, so
        # that neither this process nor Redis waits for the other.
        room = min(BATCH, self._hand.room, (self._hand.places + 1) // 2)
        # Alone means that Redis, too, knows of nothing else in hand: a claim that overtakes the last commit gets nothing.
        if room <= 0 or (self._alone and not self._hand.empty):
            self.wanting = False
            await self._hand.changed()
            return 0.0
        async with self.claiming:
            claim = await self._claim(room)
        if claim.unrouted:
            self._events_wait()
        if claim.posted:
            self._posts_wait()
        if self._alone:
            if claim.runs:
                return 0.0
            self._nothing_left()
            return self._poll_s
        if claim.suspects:
            self._suspects_wait()
        self.wanting = len(claim.runs) < room and claim.skip == 0
        return self._poll_s if self.wanting else 0.0

    def draw(self) -> int:
        """The next number, for whatever else must be told apart from late copies of claims."""
        self._number += 1
        return self._number

    async def _claim(self, room: int) -> Claim:
        lease, number = self.lease, self.draw()
        claim = await self._runs.claim_runs(lease, number, room, self._alone, self._skip, self._apps)
        self._clock.saw(claim.now_ms)
        self._skip = claim.skip
        if lease == self.lease:
            for run in claim.runs:
                self._start(run, claim.alone)
        return claim
