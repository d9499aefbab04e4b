"""Random play: several children, duplicates, late copies, lost replies, stale holders, crashes, a clock that jumps.

After every act the judge (checked.py) compares everything stored with TRANSITIONS and the invariants. At the end of each
play the rest of the deployment comes back to health, and every run must come to its end: nothing is stranded.

A play is a list of acts, each with a seed of its own, so that acts can be left out without changing what the others
draw: `shrunk` finds a short play that fails. hypothesis' state machines were tried first: four of five of their acts found
nothing in hand, and a thousand plays began four suspensions.

When a verb is added to TRANSITIONS: an act here that sends it, rightly and wrongly, with its weight in WEIGHTS.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import redis

from durableq.model.flow import with_gates
from durableq.store.records import result
from durableq.words.ids import entry_of_run, run_created_at_ms, run_id, tick_run_id
from tests.store.checked import Checked
from tests.store.invariants import entry_order

LEASE_MS = 10_000
FUNCTIONS = ("a/f", "a/g", "b/h")
KEYS = ("k1", "k2", "k3")
BLOBS = (b"", b"x\x00\n y", b"1 2 w 3")
DELAYS = (0, 0, 100, 2000, 60_000)
NAMES = ("order/paid", "durableq/function.finished")
BUCKETS = ("b1", "b2", "b0")
NUMBERS = (
    b" 0=1 1=1 t=10/1000/2 l=2/1000 i=5000 s=skip d=300/900 b=2/700 ",
    b" 0=2 1=1 t=1/1000/1 l=1/60000 i=9000 s=cancel d=1000/0 b=3/9000 ",
    b" 0=3 s=cancel ",
)
LOST = 0.12

WEIGHTS = {
    "send": 12, "begin": 6, "renew": 4, "close": 7, "rescue": 5, "clock": 10, "fire_timers": 10, "prune": 2, "sweep": 2,
    "claim": 24, "reconcile": 3, "record": 14, "wait": 12, "fire": 6, "suspend": 14, "retry": 6, "finish": 7,
    "release": 3, "note": 1, "late_copy": 10, "wrong_holder": 3,
    "deploy": 3, "retire": 1, "look": 1, "tick": 8, "wrong_tick": 2,
    "await_event": 12, "await_signal": 5, "invoke": 7, "signal": 5, "deliver": 12, "deliver_late": 3, "cancel": 3, "outside": 2,
    "retire_names": 1, "body_ended": 4, "pause": 2,
}  # fmt: skip

Act = tuple[str, int]


def planned(seed: int, acts: int) -> list[Act]:
    """The acts of a play, each with what it will draw from."""
    rng = Random(seed)
    names = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=acts)
    return [(name, rng.getrandbits(32)) for name in names]


def shrunk(plan: list[Act], fails: Callable[[list[Act]], bool]) -> list[Act]:
    """A play that still fails, with as many acts left out as a greedy search finds."""
    size = len(plan) // 2
    while size:
        at = 0
        while at < len(plan):
            shorter = plan[:at] + plan[at + size :]
            if fails(shorter):
                plan = shorter
            else:
                at += size
        size //= 2
    return plan


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
            getattr(self, name)(Random(seed))
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
            extras = self.gated(rng, function, rng.choice([b"", b"", b"- 500 ", b"s 0 ", self.listener(rng)]))
            items += ["run", entry, run_id(entry, function, 0), function, due, extras]
        self.route(meta, entries, items)

    def happen(self, rng: Random) -> None:
        """Events that something may wait for."""
        meta = self.checked.stored.of("meta")
        (entry,) = self.accept(rng.choice([b"\xc1 happened", b"\xc1" + b"x" * 5000]))
        items = ["heard", entry, "", rng.choice(NAMES), 0, " ".join(rng.sample(BUCKETS, 2)).encode()]
        self.route(meta, [entry], items)

    def accept(self, *blobs: bytes) -> list[str]:
        found = []
        for blob in blobs:
            self.events += 1
            (entry,) = self.call("send_events", f"e{self.events}", 60_000, blob)
            found.append(entry.decode())
        return found

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

    # crons

    def deploy(self, rng: Random) -> None:
        functions = rng.sample("fg", rng.randint(1, 2))
        items = [part for name in functions for part in (name, rng.choice([b"x", b"y"]))]
        items += [
            part
            for name in functions
            if rng.random() < 0.5
            for part in (f"{name} !", rng.choice([b"500 800", b"0 9000"]))
        ]
        items += [part for name in functions if rng.random() < 0.8 for part in (f"{name} ~", rng.choice(NUMBERS))]
        if rng.random() < 0.3:
            items += [" !", rng.choice([b"fexi", b"e", b""])]
        for name in functions:
            for key in rng.sample(("c1", "c2"), rng.randint(0, 2)):
                items += [f"{name} {key}", rng.choice([b"spec", b"other"])]
        self.call("register_app", "a", f"r{rng.randint(1, 6)}", *items)

    def retire(self, rng: Random) -> None:
        self.call("retire_functions", rng.choice([0, 2000]), "")

    def look(self, rng: Random) -> None:
        self.call("read_crons", rng.choice([1, 100]))

    def tick(self, rng: Random) -> None:
        """What a scheduler does that has just looked, of any of the ticks since."""
        trigger, fields = self.some_cron(rng)
        upto, now = int(fields.get("upto", 0)), self.checked.now_ms
        ticks = sorted({rng.randint(upto + 1, now) for _ in range(rng.randint(0, 3))}) if now > upto else []
        self.call_tick(rng, trigger, fields.get("spec", "spec"), upto, ticks)

    def wrong_tick(self, rng: Random) -> None:
        """What one does that looked long ago, or whose clock is ahead."""
        trigger, fields = self.some_cron(rng)
        upto = int(fields.get("upto", 10_000)) + rng.choice([-1000, 0, 1])
        ticks = [upto + rng.choice([-5, 1]), self.checked.now_ms + rng.choice([0, 1000])]
        self.call_tick(rng, trigger, rng.choice(["spec", "other"]), upto, ticks)

    def call_tick(self, rng: Random, trigger: str, spec: str, upto: int, ticks: list[int]) -> None:
        overlap = rng.choice(["skip", "allow"])
        started = self.checked.stored.of("started", trigger)
        busy = any(self.checked.run(run).get("s", "c") in "qrw" for run in started)
        items = [
            part for at in ticks for part in (at, tick_run_id(trigger.split()[0], trigger, at, 0), b"\xc1 a tick", b"")
        ]
        to, missed = ticks[-1] if ticks else upto, rng.choice([0, 0, 2])
        reply = self.call(
            "tick_cron", trigger, spec, upto, to, missed, to + 1, to + rng.choice(DELAYS), overlap, *items
        )
        if busy and overlap == "skip" and reply != "CRON_MOVED":
            assert reply[0] == 0, f"15 {trigger} started a run beside one that is not final"

    def some_cron(self, rng: Random) -> tuple[str, dict[str, str]]:
        if not self.checked.stored.of("crons"):
            self.deploy(rng)
        trigger = rng.choice([*sorted(self.checked.stored.of("crons")), "a/f c1"])
        return trigger, self.checked.stored.of("cron", trigger)

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
        items = [run, epoch, seen, *self.some_wait(rng), 1]
        shape = rng.random()
        if shape < 0.3:
            items = [run, epoch, seen, "", "", b"", 0, b"", 1]
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

    # waits, signals, children

    def await_event(self, rng: Random) -> None:
        child, run, epoch, seen = self.in_hand(rng)
        if rng.random() < 0.3:
            self.happen(rng)
        path, bucket = rng.choice([("data.id", BUCKETS[0]), ("data.id", BUCKETS[1]), ("-", BUCKETS[2])])
        behind = (
            entry_of_run(run, self.checked.run(run).get("f", ""), run_created_at_ms(run)) if run != "nobody" else ""
        )
        looked, due = "", self.checked.now_ms + rng.choice(DELAYS)
        for _ in range(rng.choice([1, 4, 4])):
            key, name = "v" + rng.choice(KEYS), rng.choice(NAMES)
            reply = self.call(
                "await_events", child.lease, 3, 10_000, run, epoch, seen, key, rng.choice(BLOBS), due, b"", name, behind,
                looked, path, bucket, BUCKETS[2], rng.choice(BLOBS),
            )  # fmt: skip
            if reply == "LEASE_LOST" or not isinstance(reply[1][0], list) or reply[1][0][0] != -1:
                self.told(rng, child, run, reply)
                return
            looked = reply[1][0][1][-1][0].decode()

    def await_signal(self, rng: Random) -> None:
        child, run, epoch, seen = self.in_hand(rng)
        due = self.checked.now_ms + rng.choice(DELAYS)
        key, signal = "g" + rng.choice(KEYS), rng.choice(NAMES)
        items = [run, epoch, seen, key, rng.choice(BLOBS), due, b"", signal, rng.choice([0, 0, 1])]
        self.told(rng, child, run, self.call("await_signals", child.lease, *items))

    def invoke(self, rng: Random) -> None:
        child, run, epoch, seen = self.in_hand(rng)
        key, function = "i" + rng.choice(KEYS), rng.choice(FUNCTIONS)
        items = [run, epoch, seen, key, rng.choice(BLOBS), self.checked.now_ms + rng.choice(DELAYS), b""]
        of_child = [
            run_id(f"1-{run}{key}", function, 0),
            function,
            b"\xc1 given",
            self.gated(rng, function, rng.choice([b"", self.listener(rng)])),
        ]
        self.told(rng, child, run, self.call("invoke_runs", child.lease, *items, *of_child))

    def outside(self, rng: Random) -> None:
        self.events += 1
        run, function = run_id(f"2-{self.events}", "outside", 0), rng.choice(FUNCTIONS)
        self.call("start_runs", rng.choice(["", "me"]), run, function, b"\xc1 given", self.gated(rng, function, b""))
        self.call("watch_runs", "me", self.some_run(rng), run)

    def signal(self, rng: Random) -> None:
        self.call("send_signals", rng.choice(NAMES), f"s{rng.randint(1, 5)}", 60_000, rng.choice(BLOBS))

    def cancel(self, rng: Random) -> None:
        run = self.some_run(rng)
        before = self.checked.run(run).get("s")
        reply = self.call("cancel_runs", "why", 3, run)
        assert (reply[1][0] == b"") == (before in ("q", "r", "w")), f"22 {run} was {before}, answered {reply[1][0]!r}"

    # flow control

    def body_ended(self, rng: Random) -> None:
        """A child says that the bodies of cancelled runs have ended."""
        child = self.child(rng)
        runs = sorted(self.checked.stored.of("leaving", child.lease))
        self.call("free_slots", child.lease, rng.choice([*runs, "nobody"]), self.some_run(rng))

    def pause(self, rng: Random) -> None:
        self.call("pause_functions", rng.choice(FUNCTIONS), rng.choice(["wait", "skip", "", ""]), "a/f", "")

    def gated(self, rng: Random, function: str, extras: bytes) -> bytes:
        """With flow control, or without: what the router evaluates for one event."""
        if rng.random() < 0.4:
            return extras
        mine = f"{function}:k{rng.randint(1, 2)}"
        parts = [f"i={mine}", f"l={mine}", f"d={mine} e={rng.randint(1, 9)}", f"b={mine}", f"s={mine}s"]
        parts = [part for part in parts if rng.random() < 0.15]
        parts += [f"p={rng.choice([-500, 0, 700])}"] * (rng.random() < 0.2)
        parts += [f"t={mine}t"] * (rng.random() < 0.3)
        parts += rng.choice(
            [
                [],
                [f"c0={mine}"],
                ["c0=+n:x"],
                [f"c0={function}w", f"c1={mine}"],
                [f"r0={mine}r"],
                [f"r0={mine}r", "c1=+n:y"],
            ]
        )
        return with_gates(" ".join(parts), extras) if parts else extras

    def retire_names(self, rng: Random) -> None:
        self.call("retire_names", rng.choice([0, 2000]), rng.choice([1, 100]), rng.choice([0, 1]))

    def deliver(self, rng: Random) -> None:
        """What a worker does that finds something posted; it may die after any page."""
        if rng.random() < 0.6:
            self.happen(rng)
        page: Any = self.call("read_posts", "", "", 1, 0, 2, 100)
        while len(page) > 1:
            name, entry, _, bucket, flat, number, above = page
            tickets = [part for ticket in flat[::2] if rng.random() < 0.8 for part in (bucket.decode(), ticket)]
            reply = self.call("deliver_event", name.decode(), entry.decode(), int(number == 0), 3, *tickets)
            if reply == "POST_MOVED" or number == 0 or rng.random() < 0.1:
                return
            page = self.call("read_posts", name.decode(), entry.decode(), number, above, 2, 100)

    def deliver_late(self, rng: Random) -> None:
        """Somebody's delivery that stood still: any entry, any ticket."""
        entries = [entry for entry, _ in self.checked.stored.of("events")] or ["1-0"]
        buckets = [part for bucket in BUCKETS for part in (bucket, rng.randint(1, 12))]
        self.call("deliver_event", rng.choice(NAMES), rng.choice(entries), rng.choice([0, 0, 1]), 3, *buckets)

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
        """A healthy child and a scheduler come back: every run must reach its end."""
        self.checked.now_ms = max([self.checked.now_ms + 100_000, *self.checked.stored.of("timers").values()])
        self.call("pause_functions", *(part for name in FUNCTIONS for part in (name, "")))
        for turn in range(80):
            if all(v["s"] in "cfx" for _, v in self.checked.stored.family("run")) and not self.held_back():
                return
            self.checked.now_ms += 2500
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

    def held_back(self) -> list[str]:
        return [key for family in ("debounce", "batch") for key, _ in self.checked.stored.family(family)]

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
