"""The machine: what a run can be, what may change it, and what is true in Redis in each state.

Words. A run is *in hand* when a lease holds it. Its *holder* is the pair (lease, epoch): the random id of the child's
lease and the number of the claim, both compared by every script that advances the run. A *result* is anything that
user code can be told: a step's value or error, the end of a wait, an event. Each result takes the run's next *number*.
A *memo* is a recorded result, or the record of a wait that is not over. A *timer* is (due time, what becomes due).
A *filed* entry is what an event may answer: a pending wait, or a *listener* that cancels its run; its *ticket* is its place in
the order of filing. A name is *heard* when something is filed under it, or was not long ago. A *post* is what routing has left
to be delivered of a name.

Invariants. Each is held by the scripts named; tests/store tries to break them one by one.

 1. A run's state is exactly one of State, kept in its hash; final states never change.                (every script)
 2. RUNNING  <=> the run is in held(lease) of the lease in its hash, which is in `leases` or `dead`.     (claim, free)
 3. QUEUED   <=> the run is in ready(function), or in its lane and gated(function) if it has gates, or in suspects(app) after
    two deaths.                                                                           (route, fire, free, release)
 4. WAITING  <=> the run is in waiting(function), and a timer of a wait, delay or backoff of it exists, or a result newer than
    it has seen has already made it ready. No state is reached in which nothing will ever move the run.   (suspend, retry)
 5. A final run is in done(function, state), in no queue and no held set; what hangs on it (timers, filed entries, signals,
    awaited children) is void, and it is in `void` until all of that is gone.         (finish, cancel, free_runs, sweep)
 6. The epoch grows by one at each claim. A write is applied only if lease and epoch are the run's
    and the lease has not been declared dead.                                     (record, wait, fire, suspend, finish …)
 7. A memo that is a result is never overwritten: the first write wins and every later one is answered with it.
 8. Numbers of a run are 1, 2, 3 … without gaps or repeats; the last one is in the run's hash.
 9. A timer leaves `timers` only in the script that performs its effect, or when its run is final. Those of `timeouts` are where
    the newest deployment wants them as soon as its timer `o` has gone through the function's runs.        (register_app, fire)
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
16. A pending wait of a living run has a timer; one for an event is filed, under the place that its memo names; one for a
    signal has the signal's field, unless another wait has taken that over; one for a child names a run whose `u` names it.
    Whichever script ends it first (event, signal, child, timer, holder, user code) writes the one result, and takes timer and
    filing away by the same act.                                                      (await_*, invoke, end_wait, record)
17. A filed entry is of a pending wait, or of a listener in listens(run); or its run is in `void`. heard(name).open counts
    those of the name; a name with none is in `idle`.                                             (file_wait, take_back)
18. A wait for an event is filed only when its holder has looked at every entry of the name behind the wait's place, up to the
    cursor, in the same act. An entry that is routed later is posted with a ticket at least as high.       (await_events)
19. `routed_upto` passes an entry of a heard name only in the script that puts it into recent(name), and into post(name) if
    there is anything filed where it would be. The routers' decisions rest on all names that are heard.          (route_events)
20. Of a name only the first entry of its post is delivered, to entries with tickets up to its bound whose place is before it;
    it leaves the post when all of them have been looked at. So the earliest match wins.                  (deliver_event)
21. A child's id is a function of (parent, step key, function); it and the parent's wait are created by the same act. Its
    end answers the parent's memo if that is pending and names it, by the same act; else nobody.         (invoke, end_run)
22. After CANCELLED nothing is recorded of a run, as after every final state; its awaited children are cancelled, as those
    of a failed run are.                                                                               (cancel, sweep)
23. System events are written by the script that ends or creates a run, once, of the sorts in meta's `echo`; never about the
    end of a run that an end event started, nor of what such a run invokes.                                      (echo)
24. slots(pool) has exactly the runs that hold one, and what a lease is still leaving. In hand a run holds one of each pool
    among the gates in its `j`; else, once begun, of those for the whole run (`r`, `z`).  (claim, let_go, cancel, free_leaving)
25. A claim takes a slot only while the pool has fewer runs than the number that the newest deployment gives the function.
    A singleton's pool has one.                                                                                  (claim)
26. A lane that has runs is open, in lanes(function), or parked at a gate. While a gate has room and lanes of a function are
    parked at it, an open lane of the function has that gate, or a timer `T` or `G` will open one.     (claim, let_go, fire)
27. A function with open lanes is in work(app), as `function*`, unless it is paused.                     (offer, claim, pause)
28. Within any `period` of a rate limit's key at most `limit` triggers are admitted; of an idempotency key one within its time.
    What is not admitted has taken no token, and leaves a record.                                          (admit_run)
29. A debounce that is pending has its timer, and is the newest event of its key since it began; a batch that is open has its
    timer, and its text is every event of its key since then. Each event is in one.             (hold_back, close_batch, fire)
30. lock(key) names the run that was last admitted under a singleton's key, if that is not final.  (admit_run, end_flow)

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
    CANCELLED = "x"

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def final(self) -> bool:
        return self in FINAL

    @classmethod
    def of_label(cls, label: str) -> State:
        return cls[label.upper()]


FINAL: Final = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

ABSENT: Final = None
"""The state of a run that is not there: not yet routed, or pruned."""


class Transition(NamedTuple):
    """From `before`, `verb` may lead to any of `after`; the script of that name performs it."""

    before: State | None
    verb: str
    after: tuple[State | None, ...]
    meaning: str


Q, R, W, C, F = State.QUEUED, State.RUNNING, State.WAITING, State.COMPLETED, State.FAILED
X = State.CANCELLED

TRANSITIONS: Final = (
    Transition(ABSENT, "route_events", (Q, W), "an event starts the run: now, or at the event's future ts"),
    Transition(ABSENT, "tick_cron", (Q,), "a tick of a cron trigger starts it"),
    Transition(ABSENT, "invoke_runs", (Q,), "another run invokes it, and waits"),
    Transition(ABSENT, "start_runs", (Q,), "somebody outside invokes it"),
    Transition(ABSENT, "fire_timers", (Q, W), "a debounce fires, or a batch is due"),
    Transition(ABSENT, "rerun_runs", (Q,), "somebody outside has another run's work done again"),
    Transition(Q, "claim_runs", (R,), "a child takes it under its lease; the epoch grows"),
    Transition(R, "record_steps", (R,), "a step's result or error, first write wins"),
    Transition(R, "record_waits", (R,), "a sleep or a retry's delay begins while the run stays in hand"),
    Transition(R, "await_events", (R,), "a wait for an event begins"),
    Transition(R, "await_signals", (R,), "a wait for a signal begins"),
    Transition(R, "invoke_runs", (R,), "a wait for a child begins, with the child"),
    Transition(R, "fire_waits", (R,), "the holder ends a wait that is due"),
    Transition(R, "fire_timers", (R, X), "a scheduler ends a wait that is due; the holder is told. X: timeouts.finish"),
    Transition(Q, "fire_timers", (Q, X), "the same, of a run that is ready anyway. X: timeouts.start or .finish"),
    Transition(W, "fire_timers", (Q, W, X), "a wait ends and the run is ready, unless a backoff holds it. X: timeouts"),
    Transition(R, "deliver_event", (R, X), "an event answers a wait; the holder is told. X: cancel_on"),
    Transition(Q, "deliver_event", (Q, X), "the same, of a run that is ready anyway"),
    Transition(W, "deliver_event", (Q, W, X), "an event answers a wait and the run is ready. X: cancel_on"),
    Transition(R, "send_signals", (R,), "a signal answers a wait; the holder is told"),
    Transition(Q, "send_signals", (Q,), "the same, of a run that is ready anyway"),
    Transition(W, "send_signals", (Q, W), "a signal answers a wait and the run is ready"),
    Transition(
        R,
        "suspend_runs",
        (W, R, Q),
        "nothing can go on; R if there is a newer result, Q if Redis has lost what would wake it",
    ),
    Transition(R, "retry_runs", (W,), "code outside steps failed and has attempts left"),
    Transition(
        R, "finish_runs", (C, F, R), "the function returned, or failed for good. R: a child that it awaits ended"
    ),
    Transition(Q, "finish_runs", (Q,), "a child that it awaits ended"),
    Transition(W, "finish_runs", (Q, W), "a child that it awaits ended, and it is ready"),
    Transition(R, "release_runs", (Q,), "given back unworked: drain, or more than there was room for"),
    Transition(R, "release_strangers", (Q,), "in the lease's held set, but not in its child's hands: a reply was lost"),
    Transition(
        R, "close_lease", (Q, F, R), "its worker died or left; F at the third death, alone. R: a child run ended so"
    ),
    Transition(Q, "close_lease", (Q,), "a child run that it awaits failed at its third death"),
    Transition(W, "close_lease", (Q, W), "the same, and it is ready"),
    Transition(
        R, "rescue_leases", (Q, F, R), "the lease ran out; F at the third death, alone. R: a child run ended so"
    ),
    Transition(Q, "rescue_leases", (Q,), "a child run that it awaits failed at its third death"),
    Transition(W, "rescue_leases", (Q, W), "the same, and it is ready"),
    Transition(R, "cancel_runs", (X, R), "asked for from outside. R: a child that it awaits was cancelled"),
    Transition(Q, "cancel_runs", (X, Q), "the same, of a queued run"),
    Transition(W, "cancel_runs", (X, Q, W), "the same, of a waiting run; it is ready if its child was"),
    Transition(R, "sweep_ended", (X,), "the run that awaited it failed or was cancelled"),
    Transition(Q, "sweep_ended", (X,), "the same, of a queued run"),
    Transition(W, "sweep_ended", (X,), "the same, of a waiting run"),
    Transition(C, "prune_runs", (ABSENT,), "its retention is over"),
    Transition(X, "prune_runs", (ABSENT,), "its retention is over"),
    Transition(F, "prune_runs", (ABSENT,), "its retention is over"),
    Transition(C, "finish_runs", (C, ABSENT), "more finished runs than are kept: the oldest go"),
    Transition(F, "finish_runs", (F, ABSENT), "more finished runs than are kept: the oldest go"),
    Transition(F, "close_lease", (F, ABSENT), "the same, when a run failed at its third death"),
    Transition(F, "rescue_leases", (F, ABSENT), "the same, when a run failed at its third death"),
    Transition(X, "cancel_runs", (X, ABSENT), "the same, when runs are cancelled"),
    Transition(X, "deliver_event", (X, ABSENT), "the same"),
    Transition(X, "fire_timers", (X, ABSENT), "the same"),
    Transition(X, "sweep_ended", (X, ABSENT), "the same"),
)
"""Every change of a run's state. Anything else is refused by the script (STALE) and changes nothing."""

DEATHS_BEFORE_ALONE: Final = 2
"""After this many deaths of its worker a run is claimed alone; at the next death, alone, it fails."""
