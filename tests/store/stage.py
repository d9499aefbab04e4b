"""Where races are driven: a namespace, its clock, and every script by a short name, sent as whoever it is would send it.

`RUN` is in the hands of L1 (or asleep), `OTHER` and `CHILD` in those of L2; KEY is the wait that things happen to. What a
holder has seen follows from what it was told. Each act is one script, as the judge of checked.py sees it, but for `deliver`,
`route` and `begin`, which are the few that a worker sends one behind the other.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import redis

from durableq.store.records import memo, result
from tests.store.checked import Checked
from tests.store.invariants import entry_order

RUN, OTHER, CHILD = "R" * 26, "O" * 26, "C" * 26
KEY, NAME, BUCKET, ANYHOW, SIGNAL = "wait", "order/paid", "b1", "b0", "go"
DUE_MS, FAR_MS = 1000, 10**8
LISTENER = f"data.id {BUCKET} {ANYHOW} 0 {len(NAME)} {NAME}tail".encode()
LISTENS = f"- 0 {len(LISTENER)} ".encode() + LISTENER


class Stage:
    """One namespace, and what has been answered in it."""

    def __init__(self, client: redis.Redis) -> None:
        self.checked = Checked(client, "race")
        self.replies: dict[str, list[Any]] = defaultdict(list)
        self.seen: dict[str, int] = defaultdict(int)
        self.done: list[str] = []
        """The acts of the race in their order, copies too, but for those whose sender was refused as no holder of the run, and
        for deliveries that found nothing to deliver."""
        self.sent: dict[str, list[tuple[str, tuple[Any, ...]]]] = {}
        self.page: Any = []
        self.entry, self.names = "", 0
        self._do = self.checked.arrange
        self._do("register_app", "a", "r1", "f", b"x")
        for lease in ("L1", "L2"):
            self._do("register_lease", lease, 10**6, "w", "a", "r", "a/f", 1)

    def begin_race(self) -> None:
        """From here on everything is judged; timers of DUE_MS are due."""
        self.checked.now_ms += DUE_MS
        self.names = int(self.checked.look().of("meta").get("names", 0))
        self._do = self.checked.call
        self.replies.clear()

    def act(self, name: str) -> None:
        """Do one of the acts below."""
        first = len(self.checked.log)
        getattr(self, name)()
        self.sent[name] = self.checked.log[first:]
        self._keep(name, self.replies[name][-1])

    def again(self, name: str) -> None:
        """What an act has sent arrives once more, to the letter. Its answer reaches nobody who would go by it."""
        for script, args in self.sent[name]:
            reply = self.checked.call(script, *args)
        self.replies[name].append(reply)
        self._keep(name, reply)

    def _keep(self, name: str, reply: Any) -> None:
        stale = isinstance(reply, list) and len(reply) > 1 and reply[1] == [b"STALE"]
        nothing_to_answer = name in ("deliver", "answer") and not (isinstance(reply, list) and len(reply) == 3)
        if not stale and not nothing_to_answer:
            self.done.append(name)

    # what is there before

    def started(self, run: str = RUN, extras: bytes = b"") -> None:
        self._do("start_runs", "", run, "a/f", b"\xc1 given", extras)

    def in_hand(self, run: str = RUN, lease: str = "L1", extras: bytes = b"") -> None:
        self.started(run, extras)
        assert len(self._do("claim_runs", lease, 1, 10, 0, 0, 1000, "a")[4]) == 1

    def happened(self) -> None:
        """An event is accepted."""
        (entry,) = self._do("send_events", "e1", 60_000, b"\xc1 happened")
        self.entry = entry.decode()

    def happened_late(self) -> None:
        """An event is accepted behind DUE_MS. Its entry is made by hand: a server numbers entries by its own clock."""
        key, client = self.checked.keys.of, self.checked.client
        self.checked.now_ms += DUE_MS + 1
        self.entry = f"{self.checked.now_ms}-0"
        client.xadd(key("events"), {"b": b"\xc1 happened"}, id=self.entry)
        client.hincrby(key("meta"), "sent", 1)
        self.checked.look()

    def invoked(self, due_ms: int = DUE_MS) -> None:
        """RUN awaits CHILD, which L2 has in hand."""
        due = self.checked.now_ms + due_ms
        self._do("invoke_runs", "L1", RUN, 1, 0, KEY, b"blob", due, b"", CHILD, "a/f", b"\xc1 given", b"")
        self._do("claim_runs", "L2", 1, 10, 0, 0, 1000, "a")

    # events

    def route(self) -> Any:
        """As a router does that knew the names when the race began, and asks again when there are new ones."""
        known = self.checked.stored.of("meta")
        reply = self._route(self.names)
        if reply == "NAMES_CHANGED":
            reply = self._route(int(known["names"]))
        return self._noted("route", reply)

    def _route(self, names: int) -> Any:
        before = self.checked.stored.of("meta")
        behind = [
            entry
            for entry, _ in self.checked.stored.of("events")
            if entry_order(entry) > entry_order(before["routed_upto"])
        ]
        heard = ["heard", self.entry, "", NAME, 0, f"{BUCKET} {ANYHOW}".encode()] if self.entry in behind else []
        return self._do(
            "route_events", before["routed_upto"], behind[-1] if behind else "", int(before["registry"]), names,
            1 if heard else 0, "", len(behind), 0, *heard,
        )  # fmt: skip

    def read(self) -> Any:
        self.page = self._do("read_posts", "", "", 1, 0, 100, 10**6)
        return self._noted("read", self.page)

    def answer(self) -> Any:
        """What was read last is answered; nothing, if that was nothing."""
        page = self.page if len(self.page) > 1 else [NAME.encode(), b"1-0", b"", BUCKET.encode(), [], 0, 0]
        tickets = [part for ticket in page[4][::2] for part in (page[3].decode(), ticket)]
        number = int(page[5] == 0)
        return self._noted("answer", self._do("deliver_event", NAME, page[1].decode(), number, 100, *tickets))

    def deliver(self) -> Any:
        """All that is posted and in nobody's hands."""
        return self._noted("deliver", self._deliver())

    def _deliver(self) -> Any:
        reply: Any = None
        while len(self.read()) > 1:
            while True:
                reply = self.answer()
                if reply == "POST_MOVED" or self.page[5] == 0:
                    break
                name, entry, _, _, _, number, above = self.page
                self.page = self._do("read_posts", name.decode(), entry.decode(), number, above, 100, 10**6)
        return reply

    def begin(self, due_ms: int = FAR_MS) -> Any:
        """Begin to wait for the event, as a holder does: what is there already is looked at, and taken if it is the one."""
        looked, due = "", self.checked.now_ms + due_ms
        while True:
            reply = self._do(
                "await_events", "L1", 100, 10**6, RUN, 1, self.seen[RUN], KEY, b"blob", due, b"", NAME, "",
                looked, "data.id", BUCKET, ANYHOW, b"tail",
            )  # fmt: skip
            if not (isinstance(reply, list) and isinstance(reply[1][0], list) and reply[1][0][0] == -1):
                return self._told("begin", reply)
            found: list[Any] = reply[1][0][1]
            entries = [entry.decode() for entry, _ in found]
            if self.entry in entries:
                came = result("m", f"{self.entry} \xc1 happened".encode("latin-1"), b"").replace(b"m0 ", b"m ", 1)
                return self._told("begin", self._do("record_steps", "L1", RUN, 1, self.seen[RUN], KEY, came))
            looked = entries[-1]

    # signals

    def signal(self) -> Any:
        return self._noted("signal", self._do("send_signals", SIGNAL, "token", 60_000, b"yes"))

    def await_signal(self, due_ms: int = FAR_MS) -> Any:
        return self._told("await_signal", self._await_signal(RUN, "L1", 0, due_ms))

    def _await_signal(self, run: str, lease: str, replace: int, due_ms: int) -> Any:
        items = [run, 1, self.seen[run], KEY, b"blob", self.checked.now_ms + due_ms, b"", SIGNAL, replace]
        return self._do("await_signals", lease, *items)

    def replace(self) -> Any:
        return self._told("replace", self._await_signal(OTHER, "L2", 1, FAR_MS), OTHER)

    def compete(self) -> Any:
        return self._told("compete", self._await_signal(OTHER, "L2", 0, FAR_MS), OTHER)

    # time

    def fire(self) -> Any:
        return self._noted("fire", self._do("fire_timers", 100, 100))

    def fire_own(self) -> Any:
        return self._told("fire_own", self._do("fire_waits", "L1", RUN, 1, self.seen[RUN], KEY))

    def nap(self, due_ms: int = DUE_MS) -> Any:
        items = [RUN, 1, self.seen[RUN], "nap", "w", b"", self.checked.now_ms + due_ms, b""]
        return self._told("nap", self._do("record_waits", "L1", *items))

    # holders

    def suspend(self) -> Any:
        items = [RUN, 1, self.seen[RUN], "", "", b"", 0, b"", 1]
        return self._told("suspend", self._do("suspend_runs", "L1", *items))

    def abandon(self) -> Any:
        return self._told("abandon", self._do("record_steps", "L1", RUN, 1, self.seen[RUN], KEY, result("a", b"", b"")))

    def finish(self) -> Any:
        return self._noted("finish", self._do("finish_runs", "L1", 100, 100, RUN, 1, "c", b"out"))

    def fail(self) -> Any:
        return self._noted("fail", self._do("finish_runs", "L1", 100, 100, RUN, 1, "f", b"out"))

    def retry(self) -> Any:
        return self._noted("retry", self._do("retry_runs", "L1", RUN, 1, 1, self.checked.now_ms + 500, b""))

    def release(self) -> Any:
        return self._noted("release", self._do("release_runs", "L1", RUN, 1))

    def child_ends(self) -> Any:
        return self._noted("child_ends", self._do("finish_runs", "L2", 100, 100, CHILD, 1, "c", b"its"))

    def crash(self) -> Any:
        return self._noted("crash", self._do("close_lease", "L1", 1, "signal 9", 100, 100))

    def claim(self) -> Any:
        return self._noted("claim", self._do("claim_runs", "L2", 2, 10, 0, 0, 1000, "a"))

    # the rest

    def cancel(self, run: str = RUN) -> Any:
        return self._noted("cancel", self._do("cancel_runs", "why", 100, run))

    def cancel_child(self) -> Any:
        return self._noted("cancel_child", self._do("cancel_runs", "why", 100, CHILD))

    def sweep(self) -> Any:
        return self._noted("sweep", self._do("sweep_ended", 100, 1000, 100))

    def prune(self) -> Any:
        return self._noted("prune", self._do("prune_runs", 100, 10**12, 0, 10**12, 10**12))

    def retire_names(self) -> Any:
        return self._noted("retire_names", self._do("retire_names", 0, 100, 0))

    def deploy_without(self) -> Any:
        """A release that listens to no system event any more."""
        return self._noted("deploy_without", self._do("register_app", "a", "r2", "f", b"y", " !", b""))

    # looking

    def state(self, run: str = RUN) -> str:
        return self.checked.run(run).get("s", "absent")

    def kind(self, run: str = RUN, key: str = KEY) -> str:
        """Of the memo: `0` and its kind while it is pending, else the kind; "" when there is none."""
        raw = self.checked.stored.of("steps", run).get(key)
        if raw is None:
            return ""
        found = memo(raw if isinstance(raw, bytes) else raw.encode())
        return found.kind.value if found.number else f"0{found.kind.value}"

    def won(self, act: str, answer: Any = b"") -> int:
        """How many of these calls were told that they did it."""
        told = [reply[1][0] if isinstance(reply, list) else reply for reply in self.replies[act]]
        return sum(one == answer for one in told)

    # the end

    def settle(self) -> None:
        """What a healthy deployment does: every run is ready, in hand or final then, and ends; and nothing is left over."""
        self.checked.now_ms += 300
        while self.deliver() is not None:
            pass
        if any(
            entry_order(e) > entry_order(self.checked.stored.of("meta")["routed_upto"])
            for e, _ in self.checked.stored.of("events")
        ):
            self.route()
            self.deliver()
        self.checked.now_ms = max([self.checked.now_ms + 10**6, *self.checked.stored.of("timers").values()])
        self.fire()
        while self.sweep()[1]:
            pass
        stuck = [run for run, v in self.checked.stored.family("run") if v["s"] not in "qrcfx"]
        assert not stuck, f"{stuck} wait, and there is nothing left that would move them"
        for lease in ("L1", "L2"):
            self._do("close_lease", lease, 0, "left", 100, 100)
        self._do("register_lease", "L3", 10**6, "w", "a", "r", "a/f", 1)
        for number in (1, 2):
            for run, _, epoch, *_ in self._do("claim_runs", "L3", number, 100, 0, 0, 1000, "a")[4]:
                self._do("finish_runs", "L3", 100, 100, run.decode(), epoch, "c", b"")
            self.sweep()
        after = self.checked.stored
        assert {v["s"] for _, v in after.family("run")} <= set("cfx")
        for name in ("timers", "signals", "void", "posts"):
            assert not after.of(name), f"{name} has {after.of(name)}"
        assert not [members for _, members in after.family("waits") if members]

    def _noted(self, act: str, reply: Any) -> Any:
        self.replies[act].append(reply)
        return reply

    def _told(self, act: str, reply: Any, run: str = RUN) -> Any:
        """The holder has been answered: it has seen what there is, unless it was refused."""
        told = reply[1][0] if isinstance(reply, list) else None
        if isinstance(told, list):
            self.seen[run] = int(self.checked.run(run).get("q", 0)) if self._do == self.checked.call else 0
        elif isinstance(told, int):
            self.seen[run] = told
        return self._noted(act, reply)
