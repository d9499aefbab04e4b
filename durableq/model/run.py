"""The machine: what a run can be, what may change it, and what is true in Redis in each state.

Words. A run is *in hand* when a lease holds it. Its *holder* is the pair (lease, epoch): the random id of the child's
lease and the number of the claim, both compared by every script that advances the run. A *result* is anything that
user code can be told: a step's value or error, the end of a wait. Each result takes the run's next *number*.
A *memo* is a recorded result, or the record of a wait that is not over. A *timer* is (due time, what becomes due).

Invariants. Each is held by the scripts named; tests/store tries to break them one by one.

 1. A run's state is exactly one of State, kept in its hash; final states never change.                (every script)
 2. RUNNING  <=> the run is in held(lease) of the lease in its hash, which is in `leases` or `dead`.     (claim, free)
 3. QUEUED   <=> the run is in ready(function), or in suspects(app) after two deaths.         (route, fire, free, release)
 4. WAITING  <=> the run is in waiting(function), and a timer for it exists, or a result newer than it
    has seen has already made it ready. No state is reached in which nothing will ever move the run.   (suspend, retry)
 5. A final run is in done(function, state), in no queue and no held set; its timers are void.    (finish, free_runs)
 6. The epoch grows by one at each claim. A write is applied only if lease and epoch are the run's
    and the lease has not been declared dead.                                     (record, wait, fire, suspend, finish …)
 7. A memo that is a result is never overwritten: the first write wins and every later one is answered with it.
 8. Numbers of a run are 1, 2, 3 … without gaps or repeats; the last one is in the run's hash.
 9. A timer leaves `timers` only in the script that performs its effect, or when its run is final.
10. `routed_upto` only grows; runs of the entries (a, b] are created in the script that moves it from a to b.
11. A run id is a function of (entry, function), or of (function, trigger, tick), so routing an entry or performing a tick
    again creates nothing.
12. A lease that is not in `leases` claims nothing; it leaves `leases` only by being closed or rescued.
13. No lease is rescued while `beat` shows that everything stood still (Redis away, all processes away) within the last
    lease time.
14. Every key has an owner or a lifetime: keys of a run go with the run, keys of a lease with the lease, the rest is
    capped, expires, or exists once per namespace, app or function.
15. A cron trigger of a registered function is in `crons`, with a hash that says what it is and up to where its ticks are
    settled. That only grows while the trigger is registered, never beyond the server's time, and in the script that
    creates the runs of the ticks between. No run of a tick is created while another of its trigger is not final, where
    overlap is 'skip'.                                                                          (register_app, tick_cron)

When adding a transition: add its row here, its script in store/lua with a header that names the same row, its verb in
store, its row in the model test (tests/store/machine.py), and what dies with it to the invariants above.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class State(StrEnum):
    """The states of a run, as stored (one letter, so that a queued run stays small) and as shown (`label`)."""

    QUEUED = "q"
    RUNNING = "r"
    WAITING = "w"
    COMPLETED = "c"
    FAILED = "f"

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def final(self) -> bool:
        return self in FINAL

    @classmethod
    def of_label(cls, label: str) -> State:
        return cls[label.upper()]


FINAL: Final = frozenset({State.COMPLETED, State.FAILED})

ABSENT: Final = None
"""The state of a run that is not there: not yet routed, or pruned."""


class Transition(NamedTuple):
    """From `before`, `verb` may lead to any of `after`; the script of that name performs it."""

    before: State | None
    verb: str
    after: tuple[State | None, ...]
    meaning: str


Q, R, W, C, F = State.QUEUED, State.RUNNING, State.WAITING, State.COMPLETED, State.FAILED

TRANSITIONS: Final = (
    Transition(ABSENT, "route_events", (Q, W), "an event starts the run: now, or at the event's future ts"),
    Transition(ABSENT, "tick_cron", (Q,), "a tick of a cron trigger starts it"),
    Transition(Q, "claim_runs", (R,), "a child takes it under its lease; the epoch grows"),
    Transition(R, "record_steps", (R,), "a step's result or error, first write wins"),
    Transition(R, "record_waits", (R,), "a sleep or a retry's delay begins while the run stays in hand"),
    Transition(R, "fire_waits", (R,), "the holder ends a wait that is due"),
    Transition(R, "fire_timers", (R,), "a scheduler ends a wait that is due; the holder is told"),
    Transition(Q, "fire_timers", (Q,), "the same, of a run that is ready anyway"),
    Transition(W, "fire_timers", (Q, W), "a wait ends and the run is ready, unless a backoff still holds it"),
    Transition(
        R,
        "suspend_runs",
        (W, R, Q),
        "nothing can go on; R if there is a newer result, Q if Redis has lost what would wake it",
    ),
    Transition(R, "retry_runs", (W,), "code outside steps failed and has attempts left"),
    Transition(R, "finish_runs", (C, F), "the function returned, or failed for good"),
    Transition(R, "release_runs", (Q,), "given back unworked: drain, or more than there was room for"),
    Transition(R, "release_strangers", (Q,), "in the lease's held set, but not in its child's hands: a reply was lost"),
    Transition(R, "close_lease", (Q, F), "the child died or left; F at the third death, alone"),
    Transition(R, "rescue_leases", (Q, F), "the lease ran out unrenewed; F at the third death, alone"),
    Transition(C, "prune_runs", (ABSENT,), "its retention is over"),
    Transition(F, "prune_runs", (ABSENT,), "its retention is over"),
    Transition(C, "finish_runs", (C, ABSENT), "more finished runs than are kept: the oldest go"),
    Transition(F, "finish_runs", (F, ABSENT), "more finished runs than are kept: the oldest go"),
    Transition(F, "close_lease", (F, ABSENT), "the same, when a run failed at its third death"),
    Transition(F, "rescue_leases", (F, ABSENT), "the same, when a run failed at its third death"),
)
"""Every change of a run's state. Anything else is refused by the script (STALE) and changes nothing."""

DEATHS_BEFORE_ALONE: Final = 2
"""After this many deaths of its worker a run is claimed alone; at the next death, alone, it fails."""
