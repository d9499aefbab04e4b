"""Random play: several children, duplicates, late copies, lost replies, stale holders, crashes, a clock that jumps.

After every act the judge (checked.py) compares everything stored with TRANSITIONS and the invariants. At the end of each
play the rest of the deployment comes back to health, and every run must come to its end: nothing is stranded.

A play is a list of acts (plans.py). Those of children, leases and time are here, those of crons, waits and flow control beside.
hypothesis' state machines were tried first: four of five of their acts found nothing in hand, and a thousand plays began
four suspensions.

When a verb is added to TRANSITIONS: an act here that sends it, rightly and wrongly, with its weight in WEIGHTS.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import redis

from durableq.store.records import result
from durableq.words.ids import run_id
from tests.store import machine_crons, machine_flow, machine_waits
from tests.store.checked import Checked
from tests.store.draws import BLOBS, BUCKETS, DELAYS, FUNCTIONS, KEYS, NAMES
from tests.store.invariants import entry_order
from tests.store.plans import Act

LEASE_MS = 10_000
LOST = 0.12

WEIGHTS = {
    "send": 12, "begin": 6, "renew": 4, "close": 7, "rescue": 5, "clock": 10, "fire_timers": 10, "prune": 2, "sweep": 2,
    "claim": 24, "reconcile": 3, "record": 14, "wait": 12, "fire": 6, "suspend": 14, "retry": 6, "finish": 7,
    "release": 3, "note": 1, "late_copy": 10, "wrong_holder": 3,
    "deploy": 3, "retire": 1, "look": 1, "tick": 8, "wrong_tick": 2,
    "await_event": 12, "await_signal": 5, "invoke": 7, "signal": 5, "deliver": 12, "deliver_late": 3, "cancel": 3, "outside": 2,
    "retire_names": 1, "body_ended": 4, "leave_slots": 3, "pause": 2, "rerun": 3,
}  # fmt: skip


class Child:
    """What a child believes: its lease, its claims, the runs in its hands with epoch and the last number seen."""

    def __init__(self, lease: str) -> None:
        self.lease = lease
        self.number = 0
        self.hands: dict[str, list[int]] = {}


class Play:
    """One play in one namespace. Every act is a method that draws from its own Random."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.checked = Checked(client, namespace)
        self.call = self.checked.call
        self.children: list[Child] = []
        self.leases = 0
        self.events = 0

    def act(self, plan: list[Act]) -> None:
        """Play it, then bring everything to its end."""
        for name, seed in plan:
            act = ELSEWHERE.get(name) or getattr(type(self), name)
            act(self, Random(seed))
        self.recover()

    # events and leases

    def send(self, rng: Random) -> None:
        meta, entries = self.checked.stored.of("meta"), []
        functions = rng.choices(FUNCTIONS, k=rng.randint(1, 3))
        for _ in functions:
            self.events += 1
            (entry,) = self.call("send_events", f"e{self.events}", 60_000, b"\xc1 an event")
            entries.append(entry.decode())
        items: list[Any] = []
        for entry, function in zip(entries, functions, strict=True):
            due = self.checked.now_ms + rng.choice([-1, -1, 0, 500])
            extras = rng.choice([b"", b"", b"- 500 ", b"s 0 ", self.listener(rng)])
            extras = machine_flow.gated(rng, function, extras)
            items += ["run", entry, run_id(entry, function, 0), function, due, extras]
            if rng.random() < 0.3:  # the name is heard that starts the run: its own event cancels it not
                items += ["heard", entry, "", rng.choice(NAMES), 0, " ".join(BUCKETS).encode()]
        self.route(meta, entries, items)

    def route(self, meta: dict[str, str], entries: list[str], items: list[Any]) -> None:
        """Route these, and what a script has written before them."""
        beyond = entry_order(meta["routed_upto"])
        all_entries = [entry for entry, _ in self.checked.stored.of("events") if entry_order(entry) > beyond]
        assert all_entries[-1] == entries[-1]
        now = self.checked.stored.of("meta")
        self.call(
            "route_events", meta["routed_upto"], entries[-1], int(meta["registry"]), int(now.get("names", 0)),
            items.count("heard"), "", len(all_entries), 1000, *items,
        )  # fmt: skip

    def begin(self, rng: Random) -> None:
        if len(self.children) < 4:
            self.leases += 1
            child = Child(f"L{self.leases}")
            self.call(
                "register_lease",
                child.lease,
                LEASE_MS,
                "w",
                "a b",
                "r",
                *(
                    part
                    for name in rng.sample(FUNCTIONS, rng.randint(1, 3))
                    for part in (name, rng.choice([1, 1, 800]))
                ),
            )
            self.children.append(child)

    def renew(self, rng: Random) -> None:
        leases = [child.lease for child in self.children if rng.random() < 0.8]
        if leases:
            self.call("renew_leases", LEASE_MS, *leases)

    def close(self, rng: Random) -> None:
        child = self.child(rng)
        crashed = int(rng.random() < 0.8)
        self.call("close_lease", child.lease, crashed, "signal 9", rng.choice([1, 100, 100]), 3)
        if rng.random() < 0.6:  # else its child goes on as if nothing had happened
            self.children.remove(child)

    def rescue(self, rng: Random) -> None:
        self.call("rescue_leases", LEASE_MS, rng.choice([1, 100]), 3)

    # time

    def clock(self, rng: Random) -> None:
        self.checked.now_ms += rng.choice([1, 300, 1500, 1500, 2900, 2900, 12_000, -2000, -50_000])

    def fire_timers(self, rng: Random) -> None:
        self.call("fire_timers", rng.choice([1, 2, 100]), 3)

    def prune(self, rng: Random) -> None:
        self.call(
            "prune_runs", rng.choice([2, 100]), rng.choice([1, 10**9]), 10**9, rng.choice([0, 1000, 10**9]), 10**9
        )

    def sweep(self, rng: Random) -> None:
        self.call("sweep_ended", rng.choice([1, 2, 100]), rng.choice([1, 1000]), 3)

    # what children do

    def claim(self, rng: Random) -> None:
        child = self.child(rng)
        child.number += rng.random() < 0.9
        suspects = any(runs for _, runs in self.checked.stored.family("suspects"))
        alone = rng.random() < (0.6 if suspects else 0.05)
        reply = self.call("claim_runs", child.lease, child.number, rng.randint(0, 4), int(alone), 0, 1000, "a", "b")
        if reply == "LEASE_LOST":
            self.children.remove(child)
        elif rng.random() > LOST:
            for run, _, epoch, _, _, _, numbered, *_ in reply[4]:
                child.hands[run.decode()] = [epoch, numbered]

    def reconcile(self, rng: Random) -> None:
        child = self.child(rng)
        child.number += 1
        reply = self.call("release_strangers", child.lease, 100, child.number, *child.hands)
        if reply != "LEASE_LOST":
            for run in reply[2]:
                del child.hands[run.decode()]

    def record(self, rng: Random) -> None:
        child, run, epoch, seen = self.in_hand(rng)
        kind, key = rng.choice("dea"), rng.choice("wrwrvgi") + rng.choice(KEYS)
        items = [run, epoch, seen, key, result(kind, rng.choice(BLOBS), b"note")]
        if rng.random() < 0.3:
            items += [run, epoch, seen, "rk4", result("d", b"", b"")]
        self.told(rng, child, run, self.call("record_steps", child.lease, *items))

    def wait(self, rng: Random) -> None:
        child, run, epoch, seen = self.in_hand(rng)
        self.told(rng, child, run, self.call("record_waits", child.lease, run, epoch, seen, *self.some_wait(rng)))

    def fire(self, rng: Random) -> None:
        child, run, epoch, seen = self.in_hand(rng)
        pending = [key for key, memo in self.checked.stored.of("steps", run).items() if memo[0] == "0"] or ["wk1"]
        self.told(rng, child, run, self.call("fire_waits", child.lease, run, epoch, seen, rng.choice(pending)))

    def suspend(self, rng: Random) -> None:
        child, run, epoch, seen = self.in_hand(rng)
        last = rng.choice([1, 1, 2])
        items = [run, epoch, seen, *self.some_wait(rng), last]
        shape = rng.random()
        if shape < 0.3:
            items = [run, epoch, seen, "", "", b"", 0, b"", last]
        elif shape < 0.5:
            items = [run, epoch, seen, *self.some_wait(rng), 0, *items]
        self.told(rng, child, run, self.call("suspend_runs", child.lease, *items), b"")

    def retry(self, rng: Random) -> None:
        child, run, epoch, _ = self.in_hand(rng)
        due = self.checked.now_ms + rng.choice(DELAYS)
        self.told(rng, child, run, self.call("retry_runs", child.lease, run, epoch, 1, due, b""), b"")

    def finish(self, rng: Random) -> None:
        child, run, epoch, _ = self.in_hand(rng)
        keep = rng.choice([1, 3])
        items = [run, epoch, rng.choice("cf"), rng.choice(BLOBS)] * rng.randint(1, 2)
        self.told(rng, child, run, self.call("finish_runs", child.lease, keep, keep, *items), b"")

    def release(self, rng: Random) -> None:
        child, run, epoch, _ = self.in_hand(rng)
        self.told(rng, child, run, self.call("release_runs", child.lease, run, epoch), b"")

    def note(self, rng: Random) -> None:
        self.call("note_doing", self.child(rng).lease, "pay")

    # what nobody should do

    def late_copy(self, rng: Random) -> None:
        """A call that a broken connection held back arrives again."""
        name, args = self.checked.log[-min(len(self.checked.log), rng.choice([1, 2, 3, rng.randint(1, 40)]))]
        self.call(name, *args)

    def wrong_holder(self, rng: Random) -> None:
        child, run, epoch, seen = self.in_hand(rng)
        self.call(
            "record_steps", child.lease, run, epoch + rng.choice([-1, 1]), seen, "wk1", result("d", b"wrong epoch", b"")
        )
        other = self.child(rng)
        if other is not child:
            self.call("finish_runs", other.lease, 3, 3, run, epoch, "c", b"wrong lease")

    # the end

    def recover(self) -> None:
        """A healthy child, a scheduler and a router come back: every run must reach its end."""
        self.checked.now_ms = max([self.checked.now_ms + 100_000, *self.checked.stored.of("timers").values()])
        self.call("pause_functions", *(part for name in FUNCTIONS for part in (name, "")))
        for turn in range(80):
            ended = all(v["s"] in "cfx" for _, v in self.checked.stored.family("run"))
            if ended and not machine_flow.held_back(self):
                return
            self.checked.now_ms += 2500
            machine_waits.catch_up(self)
            self.call("fire_timers", 100, 100)
            self.call("sweep_ended", 100, 1000, 100)
            self.call("rescue_leases", LEASE_MS, 100, 100)
            for alone in (1, 0):
                lease = f"end{turn}{alone}"
                items = [part for name in FUNCTIONS for part in (name, 1)]
                self.call("register_lease", lease, LEASE_MS, "w", "a b", "r", *items)
                for run in self.call("claim_runs", lease, 1, 100, alone, 0, 1000, "a", "b")[4]:
                    self.call("finish_runs", lease, 1000, 1000, run[0].decode(), run[2], "c", b"")
                self.call("close_lease", lease, 0, "left", 100, 100)
        raise AssertionError(f"stranded: {[v for _, v in self.checked.stored.family('run') if v['s'] in 'qrw']}")

    # what acts draw

    def some_run(self, rng: Random) -> str:
        return rng.choice([*sorted(run for run, _ in self.checked.stored.family("run")), "nobody"])

    def listener(self, rng: Random) -> bytes:
        """What dress_run reads: a listener, perhaps with a time by which to begin."""
        name = rng.choice(NAMES)
        one = (
            f"data.id {rng.choice(BUCKETS[:2])} {BUCKETS[2]} {rng.choice([0, 50])} {len(name)} {name}".encode()
            + b"tail"
        )
        return f"{rng.choice(['-', 's'])} {rng.choice([0, 700])} {len(one)} ".encode() + one

    def child(self, rng: Random) -> Child:
        if not self.children:
            self.begin(rng)
        return rng.choice(self.children)

    def in_hand(self, rng: Random) -> tuple[Child, str, int, int]:
        """A run in somebody's hands, claimed first if need be; a run that never was, if that brings none."""
        for make in (None, self.claim, self.send, self.begin, self.claim):
            if make is not None:
                make(rng)
            hands = [(child, run) for child in self.children for run in sorted(child.hands)]
            if hands:
                break
        else:
            return self.child(rng), "nobody", 1, 0
        child, run = rng.choice(hands)
        epoch, seen = child.hands[run]
        return child, run, epoch, seen

    def some_wait(self, rng: Random) -> list[Any]:
        """key, kind, blob, due, note. A key has one kind for ever, as the engine's have."""
        kind = rng.choice("wr")
        return [kind + rng.choice(KEYS), kind, rng.choice(BLOBS), self.checked.now_ms + rng.choice(DELAYS), b""]

    def told(self, rng: Random, child: Child, run: str, reply: Any, gone: bytes = b"STALE") -> None:
        """The child learns what its call came to, unless the reply was lost."""
        if rng.random() < LOST:
            return
        if reply == "LEASE_LOST":
            self.children.remove(child)
        elif reply[1][0] in (b"STALE", gone):
            child.hands.pop(run, None)
        elif run in child.hands:
            # Who was told what is newer has seen everything up to the last number.
            child.hands[run][1] = int(self.checked.run(run).get("q", 0))


ELSEWHERE: dict[str, Callable[[Play, Random], None]] = {
    "deploy": machine_crons.deploy,
    "retire": machine_crons.retire,
    "look": machine_crons.look,
    "tick": machine_crons.tick,
    "wrong_tick": machine_crons.wrong_tick,
    "await_event": machine_waits.await_event,
    "await_signal": machine_waits.await_signal,
    "invoke": machine_waits.invoke,
    "outside": machine_waits.outside,
    "signal": machine_waits.signal,
    "cancel": machine_waits.cancel,
    "retire_names": machine_waits.retire_names,
    "deliver": machine_waits.deliver,
    "deliver_late": machine_waits.deliver_late,
    "body_ended": machine_flow.body_ended,
    "leave_slots": machine_flow.leave_slots,
    "rerun": machine_flow.rerun,
    "pause": machine_flow.pause,
}
"""Acts that are no methods: those of crons, of waits and of flow control."""
