"""The stage of races with flow control: functions f and g of app a with numbers, and triggers that bring gates.

`RUN` is claimed by L1 as a rule, what comes later by L2. Acts with a run in their name trigger that run, so what arrives twice
is the same trigger. The end is that of every race, but claims go on until nothing is queued: a limit of one lets one through.
"""

from __future__ import annotations

from typing import Any

import redis

from durableq.model.flow import with_gates
from tests.store.invariants import entry_order
from tests.store.stage import CHILD, DUE_MS, OTHER, RUN, Stage

THIRD = "T" * 26
ROUNDS_MAX = 50


class FlowStage(Stage):
    """One namespace with flow control."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self.gates = "c0=p"
        self.releases = 1
        self.claims = {"L1": 0, "L2": 0}
        self.slots_of: dict[str, set[str]] = {}

    # what is there before

    def numbers(self, numbers: str, g: str = "") -> None:
        """The newest deployment has these."""
        self.releases += 1
        self._do(
            "register_app", "a", f"n{self.releases}", "f", b"x", "f ~", numbers.encode(), "g", b"x", "g ~", g.encode()
        )

    def under(self, gates: str, numbers: str, g: str = "") -> None:
        """From here on triggers bring these gates, and the functions have these numbers."""
        self.gates = gates
        self.numbers(numbers, g)
        for lease in ("L1", "L2"):
            self._do("register_lease", lease, 10**6, "w", "a", "r", "a/f", 1, "a/g", 1)

    def triggered(self, run: str = RUN, function: str = "a/f", gates: str | None = None) -> Any:
        extras = with_gates(self.gates if gates is None else gates, b"")
        self.checked.now_ms += 1
        return self._do("start_runs", "", run, function, b"\xc1 given", extras)

    def taken(self, lease: str = "L1") -> list[str]:
        """What a claim under this lease brings now."""
        self.claims[lease] += 1
        reply = self._do("claim_runs", lease, self.claims[lease], 10, 0, 0, 10**8, "a")
        return [one[0].decode() for one in reply[4]]

    def held_and_parked(self) -> None:
        """RUN is in hand, OTHER is parked behind it."""
        self.triggered(RUN)
        assert self.taken() == [RUN]
        self.triggered(OTHER)
        assert self.taken("L2") == []

    # acts

    def trigger_run(self) -> Any:
        return self._noted("trigger_run", self.triggered(RUN))

    def trigger_other(self) -> Any:
        return self._noted("trigger_other", self.triggered(OTHER))

    def trigger_third(self) -> Any:
        return self._noted("trigger_third", self.triggered(THIRD))

    def trigger_g(self) -> Any:
        return self._noted("trigger_g", self.triggered(THIRD, "a/g"))

    def arrive_run(self) -> Any:
        return self._noted("arrive_run", self._arrive(RUN, b"1", 3))

    def arrive_other(self) -> Any:
        return self._noted("arrive_other", self._arrive(OTHER, b"2", 5))

    def arrive_third(self) -> Any:
        return self._noted("arrive_third", self._arrive(THIRD, b"3", 4))

    def _arrive(self, run: str, number: bytes, ts: int) -> Any:
        """An event is accepted, and routed at once by a router that knows of all before it."""
        (entry,) = self._do("send_events", "e" + number.decode(), 60_000, b"\xc1 event " + number)
        if isinstance(entry, list):
            return None
        meta = self.checked.look().of("meta")
        item = ["run", entry.decode(), run, "a/f", 0, with_gates(f"{self.gates} e={ts}", b"")]
        return self._do(
            "route_events", meta["routed_upto"], entry.decode(), int(meta["registry"]), int(meta.get("names", 0)),
            0, "", 1, 0, *item,
        )  # fmt: skip

    def claim_own(self) -> Any:
        self.claims["L1"] += 1
        return self._noted("claim_own", self._claim("L1"))

    def claim(self) -> Any:
        self.claims["L2"] += 1
        return self._noted("claim", self._claim("L2"))

    def _claim(self, lease: str) -> Any:
        return self._do("claim_runs", lease, self.claims[lease], 10, 0, 0, 10**8, "a")

    def finish_other(self) -> Any:
        return self._noted("finish_other", self._do("finish_runs", "L2", 100, 100, OTHER, 1, "c", b"out"))

    def cancel_other(self) -> Any:
        return self._noted("cancel_other", self._do("cancel_runs", "why", 100, OTHER))

    def body_ended(self) -> Any:
        """The child of L1 says that the body of RUN, which was cancelled in hand, has ended."""
        return self._noted("body_ended", self._do("free_slots", "L1", RUN))

    def compare_hands(self) -> Any:
        """L1 compares hands, and has nothing: the replies of its claims were lost, or what it had was dropped."""
        return self._noted("compare_hands", self._do("release_strangers", "L1", 100, self.claims["L1"]))

    def raise_limit(self) -> Any:
        return self._noted("raise_limit", self.numbers(" 0=2 1=2 t=2/1000/1 ", " 0=2 "))

    def lower_limit(self) -> Any:
        return self._noted("lower_limit", self.numbers(" 0=1 1=1 t=1/1000/1 ", " 0=1 "))

    def drop_limits(self) -> Any:
        return self._noted("drop_limits", self.numbers(""))

    def pause(self) -> Any:
        return self._noted("pause", self._do("pause_functions", "a/f", "wait"))

    def pause_and_skip(self) -> Any:
        return self._noted("pause_and_skip", self._do("pause_functions", "a/f", "skip"))

    def resume(self) -> Any:
        return self._noted("resume", self._do("pause_functions", "a/f", ""))

    def rerun(self) -> Any:
        return self._noted("rerun", self._do("rerun_runs", "", THIRD, RUN, b"", 0, with_gates(self.gates, b"")))

    def fire_later(self) -> Any:
        """The scheduler's round some time behind what has come since the race began."""
        self.checked.now_ms += DUE_MS
        return self._noted("fire_later", self._do("fire_timers", 100, 100))

    def invoke(self) -> Any:
        due = self.checked.now_ms + 10**7
        items = [
            RUN,
            1,
            self.seen[RUN],
            "wait",
            b"blob",
            due,
            b"",
            CHILD,
            "a/g",
            b"\xc1 given",
            with_gates(self.gates, b""),
        ]
        return self._told("invoke", self._do("invoke_runs", "L1", *items))

    # looking

    def skips(self, function: str = "a/f") -> list[str]:
        """Why triggers of a function started nothing, oldest first."""
        lines = self.checked.client.lrange(self.checked.keys.of("skips", function), 0, -1)
        return [line.decode().split(" ")[2] for line in reversed(lines)]

    def given(self, run: str) -> bytes | None:
        """What a run was given."""
        found = self.checked.client.get(self.checked.keys.of("input", run))
        return found if found is None or isinstance(found, bytes) else bytes(found)

    def claimed_at(self, act: str, run: str) -> bool:
        """Whether this act, a claim, has brought the run."""
        return any(one[0].decode() == run for reply in self.replies[act] if isinstance(reply, list) for one in reply[4])

    def runs(self) -> set[str]:
        return {run for run, _ in self.checked.stored.family("run")}

    # the end

    def settle(self) -> None:
        """As every race ends; and the slots are free, the lanes empty, nothing is held back and nothing paused."""
        if self.checked.stored.of("paused", "a"):
            self.resume()
        self.checked.now_ms = max([self.checked.now_ms + 10**6, *self.checked.stored.of("timers").values()])
        for lease in ("L1", "L2"):
            self._do("close_lease", lease, 0, "left", 100, 100)
        self._do("register_lease", "L3", 10**6, "w", "a", "r", "a/f", 1, "a/g", 1)
        for number in range(1, ROUNDS_MAX):
            self.fire()
            while self.sweep()[1]:
                pass
            claimed = self._do("claim_runs", "L3", number, 100, 0, 0, 10**8, "a")[4]
            for run, _, epoch, *_ in claimed:
                self._do("finish_runs", "L3", 100, 100, run.decode(), epoch, "c", b"")
            timers = self.checked.stored.of("timers")
            if not claimed and not timers:
                break
            self.checked.now_ms = max([self.checked.now_ms + 1000, *timers.values()])
        after = self.checked.stored
        left = {run: v["s"] for run, v in after.family("run") if v["s"] not in "cfx"}
        assert not left, f"{left} are stuck"
        routed = self.checked.stored.of("meta")["routed_upto"]
        assert all(entry_order(entry) <= entry_order(routed) for entry, _ in after.of("events"))
        for name in (
            "slots",
            "lane",
            "lanes",
            "parked",
            "blocked",
            "sharers",
            "gated",
            "leaving",
            "debounce",
            "batch",
            "lock",
        ):
            full = {key: members for key, members in after.family(name) if members}
            assert not full, f"{name} has {full}"
        assert not after.of("timers")
